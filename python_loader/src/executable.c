#include "python_system.h"

#include "executable.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>


#define VERSION  Py_STRINGIFY(PY_MAJOR_VERSION) "." Py_STRINGIFY(PY_MINOR_VERSION)


/* Makes the path that of its folder; false at the root. */
static bool
to_parent(char *path)
{
    char  *slash;

    slash = strrchr(path, '/');
    if (slash == NULL) {
        return false;
    }

    *slash = '\0';

    return true;
}


static bool
join(char *path, const char *folder, const char *name)
{
    return snprintf(path, EXECUTABLE_MAX, "%s/%s", folder, name)
           < EXECUTABLE_MAX;
}


/* An environment of this version: the loaders of all are in one. */
static bool
in_venv(const char *library, char *path)
{
    char  folder[EXECUTABLE_MAX];

    if (snprintf(folder, sizeof(folder), "%s", library)
        >= (int) sizeof(folder))
    {
        return false;
    }

    while (to_parent(folder)) {
        if (join(path, folder, "pyvenv.cfg") && access(path, F_OK) == 0) {
            return join(path, folder, "lib/python" VERSION)
                   && access(path, F_OK) == 0
                   && join(path, folder, "bin/python")
                   && access(path, X_OK) == 0;
        }
    }

    return false;
}


/* From <prefix>/lib or <prefix>/lib/<triplet> to <prefix>/bin. */
static bool
beside_libpython(char *path)
{
    char     folder[PATH_MAX];
    Dl_info  info;

    /* Real: where /lib is a link to /usr/lib, the prefix is /usr. */
    if (dladdr((void *) (uintptr_t) Py_InitializeFromConfig, &info) == 0
        || realpath(info.dli_fname, folder) == NULL)
    {
        return false;
    }

    while (to_parent(folder)) {
        if (join(path, folder, "bin/python" VERSION)
            && access(path, X_OK) == 0)
        {
            return true;
        }
    }

    return false;
}


/* The one that the loader was built for, which may be an environment's. */
static bool
built_for(char *path)
{
    return snprintf(path, EXECUTABLE_MAX, "%s", PYTHON_EXECUTABLE)
           < EXECUTABLE_MAX && access(path, X_OK) == 0;
}


static bool
is_program(const char *path)
{
    struct stat  st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode)
           && access(path, X_OK) == 0;
}


/* False where the program's name says that it is of another version. */
static bool
is_of_version(const char *path)
{
    char         real[PATH_MAX];
    const char  *name;

    if (realpath(path, real) == NULL) {
        return true;
    }

    name = strrchr(real, '/') + 1;

    return strncmp(name, "python3.", sizeof("python3.") - 1) != 0
           || strcmp(name, "python" VERSION) == 0;
}


static bool
wanted_is_usable(const char *wanted, char *why, size_t why_size)
{
    if (wanted[0] != '/' || strlen(wanted) >= EXECUTABLE_MAX
        || !is_program(wanted))
    {
        snprintf(why, why_size, "RESTY_FFI_PYTHON is not the absolute path of "
                 "a program that may be run: %s", wanted);
        return false;
    }

    if (!is_of_version(wanted)) {
        snprintf(why, why_size, "RESTY_FFI_PYTHON is not a python" VERSION
                 ", which this loader was built for: %s", wanted);
        return false;
    }

    return true;
}


int
executable_find(const char *library, char *path, char *why, size_t why_size)
{
    const char  *wanted;

    wanted = getenv("RESTY_FFI_PYTHON");

    if (wanted != NULL && wanted[0] != '\0') {
        if (!wanted_is_usable(wanted, why, why_size)) {
            return -1;
        }

        strcpy(path, wanted);
        return 0;
    }

    if (in_venv(library, path) || built_for(path) || beside_libpython(path)) {
        return 0;
    }

    snprintf(why, why_size, "no python" VERSION " found beside libpython: "
             "set RESTY_FFI_PYTHON to its path");
    return -1;
}
