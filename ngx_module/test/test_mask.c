#include "check.h"
#include "ffi_mask.h"

#include <string.h>


#define SIZE  96


static const char *
shown(const char *text)
{
    /* of its own length, for a sanitizer to see what is read beyond */
    size_t       len;
    char        *copy;
    static char  buf[SIZE];

    len = strlen(text);
    copy = malloc(len ? len : 1);
    check(copy != NULL);
    memcpy(copy, text, len);

    memset(buf, 'x', sizeof(buf));
    ffi_mask(buf, sizeof(buf), copy, len);
    check(memchr(buf, '\0', sizeof(buf)) != NULL);

    free(copy);

    return buf;
}


#define is(text, expected)  check(strcmp(shown(text), expected) == 0)


static void
harmless_json_is_shown_without_its_space(void)
{
    is("{}", "{}");
    is(" [ ] ", "[]");
    is("{\"size\": 10, \"on\": true, \"name\": \"cache\",\n \"x\": null}",
       "{\"size\":10,\"on\":true,\"name\":\"cache\",\"x\":null}");
    is("{\"a\": {\"b\": [1, -2.5e3, false]}}",
       "{\"a\":{\"b\":[1,-2.5e3,false]}}");
}


static void
values_of_secret_names_are_not(void)
{
    is("{\"password\": \"a\", \"n\": 1}", "{\"password\":\"***\",\"n\":1}");
    is("{\"DB_PassWord\":\"a\"}", "{\"DB_PassWord\":\"***\"}");
    is("{\"api_key\":[1,{\"b\":2}],\"n\":1}", "{\"api_key\":\"***\",\"n\":1}");
    is("{\"tokens\":{\"n\":\"a\"}}", "{\"tokens\":\"***\"}");
    is("{\"a\":{\"b\":[{\"secret\":7}]}}",
       "{\"a\":{\"b\":[{\"secret\":\"***\"}]}}");
    is("{\"p\\u0061ss\":\"a\"}", "{\"p\\u0061ss\":\"***\"}");
}


static void
strings_that_sound_like_secrets_are_not(void)
{
    is("{\"url\":\"redis://me:it@host\"}", "{\"url\":\"***\"}");
    is("{\"url\":\"redis://host\"}", "{\"url\":\"redis://host\"}");
    is("{\"x\":\"host=a password=b\"}", "{\"x\":\"***\"}");
    is("{\"x\":\"a\\nb\"}", "{\"x\":\"***\"}");
    is("{\"x\":\"0123456789012345678901234567890123456789"
       "0123456789012345678901234\"}", "{\"x\":\"***\"}");
}


static void
strings_in_lists_are_not(void)
{
    is("{\"args\":[\"-p\",\"it\",3]}", "{\"args\":[\"***\",\"***\",3]}");
    is("[\"it\"]", "[\"***\"]");
}


static void
of_what_is_no_json_nothing_is_shown(void)
{
    const char *const  *text;

    static const char *const  texts[] = {
        "", " ", "it", "3", "\"it\"", "{", "[", "{\"a\"", "{\"a\":", "{\"a\":1",
        "{\"a\":1,}", "{a:1}", "{\"a\" 1}", "[1,]", "[1 2]", "[1]x",
        "{\"a\":\"b}",
        "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"\\", "{\"a\":it}",
        "[truex]", "{\"a\":\"\n\"}", "{]", "[}", "[nul]", "[\"\\u", NULL
    };

    for (text = texts; *text != NULL; text++) {
        is(*text, "***");
    }
}


static void
depth_is_bounded(void)
{
    char  deep[4096];

    memset(deep, '[', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';

    is(deep, "***");
}


static void
what_is_too_long_is_cut(void)
{
    size_t  i;
    char    text[1024];

    strcpy(text, "[1");
    for (i = 0; i < 200; i++) {
        strcat(text, ",1");
    }
    strcat(text, "]");

    check(strlen(shown(text)) == SIZE - 1);
    check(strcmp(shown(text) + SIZE - 4, "...") == 0);
}


static void
every_cut_of_a_text_is_read_within_its_bounds(void)
{
    size_t       i;
    char         copy[128];
    const char  *text;

    text = "{\"a\": [1, {\"b\\u0041\": \"c\\n\"}, true], \"key\": {\"x\": []}}";

    for (i = 0; i < strlen(text); i++) {
        memcpy(copy, text, i);
        copy[i] = '\0';
        is(copy, "***");
    }
}


int
main(void)
{
    harmless_json_is_shown_without_its_space();
    values_of_secret_names_are_not();
    strings_that_sound_like_secrets_are_not();
    strings_in_lists_are_not();
    of_what_is_no_json_nothing_is_shown();
    depth_is_bounded();
    what_is_too_long_is_cut();
    every_cut_of_a_text_is_read_within_its_bounds();

    return 0;
}
