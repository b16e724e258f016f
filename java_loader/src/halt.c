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


int
halt_forbid(JNIEnv *env)
{
    jclass                        class;
    static const JNINativeMethod  methods[] = {
        { "beforeHalt", "()V", (void *) before_halt },
        { "halt0", "(I)V", (void *) halt },
    };

    class = (*env)->FindClass(env, "java/lang/Shutdown");

    return class != NULL
           && (*env)->RegisterNatives(env, class, methods, 2) == 0 ? 0 : -1;
}
