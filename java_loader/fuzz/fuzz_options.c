/*
 * JAVA_OPTS, taken apart: each word of it is an option, in order, between ours
 * and the class path, and there is one garbage collector.
 */

#include "../src/options.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define JAR    "/resty-ffi.jar"
#define SPACE  " \t\r\n"
#define HOOKS  3

#define check(cond)  ((cond) ? (void) 0 : fail(#cond))


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
fail(const char *what)
{
    fprintf(stderr, "check failed: %s\n", what);
    abort();
}


static const char *
option(const JavaVMInitArgs *args, int i)
{
    check(i >= 0 && i < args->nOptions);

    return args->options[i].optionString;
}


static int
is_collector(const char *word)
{
    const char  *use;

    use = strstr(word, "-XX:+Use");

    return use != NULL && strcmp(word + strlen(word) - 2, "GC") == 0;
}


/* Takes the text apart; returns how many words it has. */
static int
check_words(const JavaVMInitArgs *args, int first, char *text)
{
    int    n, chosen, ours;
    char  *word, *last;

    chosen = 0;
    n = 0;

    for (word = strtok_r(text, SPACE, &last); word != NULL;
         word = strtok_r(NULL, SPACE, &last))
    {
        check(strcmp(option(args, first + n), word) == 0);
        chosen |= is_collector(word);
        n++;
    }

    ours = strcmp(option(args, first - 1), "-XX:+UseSerialGC") == 0;
    check(ours == !chosen);

    return n;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int              n, given;
    char            *text, *variable;
    JavaVMInitArgs  *args;

    /* an environment variable ends with a NUL */
    text = strndup((const char *) data, size);
    check(text != NULL);

    /* setenv() would keep every value that there ever was */
    check(asprintf(&variable, "JAVA_OPTS=%s", text) != -1);
    check(putenv(variable) == 0);

    args = options_create(JAR, NULL, NULL, NULL);
    check(args != NULL);
    check(strcmp(option(args, HOOKS), "-Xrs") == 0);
    check(strcmp(option(args, args->nOptions - 1), "-Djava.class.path=" JAR)
          == 0);

    for (n = 0, given = 0; text[n] != '\0'; n++) {
        given += strchr(SPACE, text[n]) == NULL
                 && (n == 0 || strchr(SPACE, text[n - 1]) != NULL);
    }

    check(check_words(args, args->nOptions - 1 - given, text) == given);

    options_free(args);
    check(unsetenv("JAVA_OPTS") == 0);
    free(variable);
    free(text);

    return 0;
}
