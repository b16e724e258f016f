#include "libjvm.h"

#include <dlfcn.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>


#define LIBJVM      "/lib/server/libjvm.so"
#define SYSTEM_VMS  "/usr/lib/jvm/"


/* The library below a home, if there is one. */
static int
in_home(const char *home, char path[PATH_MAX])
{
    return snprintf(path, PATH_MAX, "%s" LIBJVM, home) < PATH_MAX
           && access(path, R_OK) == 0;
}


/* The default Java of the system, else the first that there is. */
static int
in_system(char path[PATH_MAX])
{
    int     found;
    glob_t  homes;

    if (in_home(SYSTEM_VMS "default-java", path)) {
        return 1;
    }

    found = 0;

    if (glob(SYSTEM_VMS "*" LIBJVM, 0, NULL, &homes) == 0) {
        found = snprintf(path, PATH_MAX, "%s", homes.gl_pathv[0]) < PATH_MAX;
    }

    globfree(&homes);

    return found;
}


static int
find(char path[PATH_MAX], char *error, size_t size)
{
    const char  *home;

    home = getenv("JAVA_HOME");

    if (home != NULL && home[0] != '\0') {
        if (in_home(home, path)) {
            return 0;
        }

        snprintf(error, size, "no Java in JAVA_HOME: %s" LIBJVM " is missing",
                 home);
        return -1;
    }

    if (in_home(JAVA_HOME, path) || in_system(path)) {
        return 0;
    }

    snprintf(error, size, "no Java: neither %s nor a folder in " SYSTEM_VMS
             " has " LIBJVM "; install a JRE >= 17, or say where it is with "
             "\"env JAVA_HOME=...;\" in nginx.conf", JAVA_HOME);

    return -1;
}


int
libjvm_open(libjvm_t *libjvm, char *error, size_t size)
{
    void  *handle;
    char   path[PATH_MAX];

    if (find(path, error, size) != 0) {
        return -1;
    }

    handle = dlopen(path, RTLD_NOW|RTLD_LOCAL);

    if (handle == NULL) {
        snprintf(error, size, "%s", dlerror());
        return -1;
    }

    libjvm->create = (libjvm_create_pt) dlsym(handle, "JNI_CreateJavaVM");
    libjvm->created = (libjvm_created_pt) dlsym(handle,
                                                "JNI_GetCreatedJavaVMs");

    if (libjvm->create == NULL || libjvm->created == NULL) {
        snprintf(error, size, "%s is not a Java VM", path);
        return -1;
    }

    return 0;
}
