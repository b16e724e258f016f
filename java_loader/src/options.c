#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define SPACE  " \t\r\n"


static const char  *ours[] = {
    /* signals are nginx's; it has the attach listener started, too, which
     * jcmd would else ask for by a SIGQUIT */
    "-Xrs",
    /* a worker is one of many */
    "-Xmx512m",
    /* no file in /tmp that is written at every safepoint */
    "-XX:-UsePerfData",
    /* fork() lets us give the child its signals back */
    "-Djdk.lang.Process.launchMechanism=FORK",
    /* whatever the locale says, which nginx clears */
    "-Dfile.encoding=UTF-8",
    "--enable-native-access=ALL-UNNAMED",
};

/* one thread for a small heap, where others have as many as there are CPUs */
static const char  default_collector[] = "-XX:+UseSerialGC";


static int
add(JavaVMInitArgs *args, const char *text, void *extra)
{
    JavaVMOption  *option;

    option = &args->options[args->nOptions];
    option->optionString = strdup(text);
    option->extraInfo = extra;

    if (option->optionString == NULL) {
        return -1;
    }

    args->nOptions++;

    return 0;
}


/* Whether the user has chosen one: two are an error. */
static int
names_collector(const char *text)
{
    const char  *use;

    for (use = strstr(text, "-XX:+Use"); use != NULL;
         use = strstr(use + 1, "-XX:+Use"))
    {
        if (strncmp(use + strcspn(use, SPACE) - 2, "GC", 2) == 0) {
            return 1;
        }
    }

    return 0;
}


static int
add_ours(JavaVMInitArgs *args, const char *users)
{
    size_t  i;

    for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (add(args, ours[i], NULL) != 0) {
            return -1;
        }
    }

    return names_collector(users) ? 0 : add(args, default_collector, NULL);
}


static int
add_jar(JavaVMInitArgs *args, const char *jar)
{
    int    rc;
    char  *path;

    if (asprintf(&path, "-Djava.class.path=%s", jar) == -1) {
        return -1;
    }

    rc = add(args, path, NULL);
    free(path);

    return rc;
}


static int
add_users(JavaVMInitArgs *args, char *users)
{
    char  *word, *last;

    for (word = strtok_r(users, SPACE, &last); word != NULL;
         word = strtok_r(NULL, SPACE, &last))
    {
        if (add(args, word, NULL) != 0) {
            return -1;
        }
    }

    return 0;
}


JavaVMInitArgs *
options_create(const char *jar, void *vfprintf_hook, void *abort_hook,
    void *exit_hook)
{
    char            *users;
    size_t           max;
    const char      *text;
    JavaVMInitArgs  *args;

    text = getenv("JAVA_OPTS");
    users = strdup(text != NULL ? text : "");
    args = calloc(1, sizeof(JavaVMInitArgs));

    if (users == NULL || args == NULL) {
        free(users);
        free(args);
        return NULL;
    }

    /* a word has two characters at least, its space included; ours and five */
    max = sizeof(ours) / sizeof(ours[0]) + 5 + strlen(users) / 2 + 1;

    args->version = JNI_VERSION_10;
    args->ignoreUnrecognized = JNI_FALSE;
    args->options = calloc(max, sizeof(JavaVMOption));

    /* the hooks first: they are of use once they were read */
    if (args->options == NULL
        || add(args, "vfprintf", vfprintf_hook) != 0
        || add(args, "abort", abort_hook) != 0
        || add(args, "exit", exit_hook) != 0
        || add_ours(args, users) != 0
        || add_users(args, users) != 0
        || add_jar(args, jar) != 0)
    {
        options_free(args);
        args = NULL;
    }

    free(users);

    return args;
}


void
options_free(JavaVMInitArgs *args)
{
    while (args->nOptions > 0) {
        free(args->options[--args->nOptions].optionString);
    }

    free(args->options);
    free(args);
}
