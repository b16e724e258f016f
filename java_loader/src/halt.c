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


/* The keys of a map that is guarded by the lock of its class. */
static jobjectArray
keys_of(JNIEnv *env, jclass class, jobject map)
{
    jclass        collection, type;
    jobject       keys;
    jmethodID     key_set, to_array;
    jobjectArray  array;

    type = (*env)->GetObjectClass(env, map);
    key_set = (*env)->GetMethodID(env, type, "keySet", "()Ljava/util/Set;");
    collection = (*env)->FindClass(env, "java/util/Collection");
    to_array = (*env)->GetMethodID(env, collection, "toArray",
                                   "()[Ljava/lang/Object;");

    if ((*env)->MonitorEnter(env, class) != JNI_OK) {
        return NULL;
    }

    keys = (*env)->CallObjectMethod(env, map, key_set);
    array = keys != NULL ? (*env)->CallObjectMethod(env, keys, to_array)
                         : NULL;

    (void) (*env)->MonitorExit(env, class);

    return array;
}


jobjectArray JNICALL
halt_hooks(JNIEnv *env, jclass caller)
{
    jclass    class;
    jobject   map;
    jfieldID  field;

    class = (*env)->FindClass(env, "java/lang/ApplicationShutdownHooks");
    field = class != NULL
                ? (*env)->GetStaticFieldID(env, class, "hooks",
                                           "Ljava/util/IdentityHashMap;")
                : NULL;

    if (field == NULL) {
        (*env)->ExceptionClear(env);
        return NULL;
    }

    map = (*env)->GetStaticObjectField(env, class, field);

    return map != NULL ? keys_of(env, class, map) : NULL;
}
