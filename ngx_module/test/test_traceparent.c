#include "check.h"
#include "ffi_traceparent.h"

#include <string.h>


#define VALID  "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


static int
valid(const char *text)
{
    /* of its own length, for a sanitizer to see what is read beyond */
    int     rc;
    char   *copy;
    size_t  len;

    len = strlen(text);
    copy = malloc(len ? len : 1);
    check(copy != NULL);
    memcpy(copy, text, len);

    rc = ffi_traceparent_valid(copy, len);
    free(copy);

    return rc;
}


static void
what_the_standard_says_is_valid(void)
{
    check(valid(VALID));
    check(valid("00-00000000000000000000000000000001-0000000000000001-00"));
    check(valid("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    check(valid("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-new"));
}


static void
anything_else_is_not(void)
{
    check(!valid(""));
    check(!valid("00"));
    check(!valid(VALID "-new"));
    check(!valid(VALID "0"));
    check(!valid("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x"));
    check(!valid("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    check(!valid("00-00000000000000000000000000000000-00f067aa0ba902b7-01"));
    check(!valid("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"));
    check(!valid("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"));
    check(!valid("00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    check(!valid("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g"));
    check(!valid("00-4bf92f3577b34da6a3ce929d0e0e473\n-00f067aa0ba902b7-01"));
}


static void
no_other_byte_will_do_in_any_place(void)
{
    size_t  i;
    char    text[] = VALID;

    for (i = 0; i < sizeof(VALID) - 1; i++) {
        text[i] = 'x';
        check(!valid(text));
        text[i] = VALID[i];
    }

    check(valid(text));
}


int
main(void)
{
    what_the_standard_says_is_valid();
    anything_else_is_not();
    no_other_byte_will_do_in_any_place();

    return 0;
}
