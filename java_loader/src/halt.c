#include "halt.h"

#include <stdio.h>


static void
refuse(JNIEnv *env)
{
    jclass  class;

    class = (*env)->FindClass(env, "java/lang/SecurityException");

    if (class != NULL) {
        (*env)->ThrowNew(env, class, "System.exit() and Runtime.halt() would "
                         "end nginx's worker");
    }
}


/* What both of them call first, before any shutdown hook. */
static void JNICALL
before_halt(JNIEnv *env, jclass class)
{
    refuse(env);
}


/* What they end with. */
static void JNICALL
halt(JNIEnv *env, jclass class, jint status)
{
    refuse(env);
}


/* A signal that the VM or others use already. */
static jlong JNICALL
handle_signal(JNIEnv *env, jclass class, jint number, jlong handler)
{
    return -1;
}


static int
replace(JNIEnv *env, const char *name, const JNINativeMethod *methods, int n)
{
    jclass  class;

    class = (*env)->FindClass(env, name);

    return class != NULL
           && (*env)->RegisterNatives(env, class, methods, n) == 0 ? 0 : -1;
}


int
halt_forbid(JNIEnv *env)
{
    static const JNINativeMethod  shutdown[] = {
        { "beforeHalt", "()V", (void *) before_halt },
        { "halt0", "(I)V", (void *) halt },
    };
    static const JNINativeMethod  signals[] = {
        { "handle0", "(IJ)J", (void *) handle_signal },
    };

    return replace(env, "java/lang/Shutdown", shutdown, 2) == 0
           && replace(env, "jdk/internal/misc/Signal", signals, 1) == 0 ? 0 : -1;
}
