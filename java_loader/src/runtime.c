#include "runtime.h"

#include "error.h"

#include <ngx_http_lua_ffi.h>

#include <stdint.h>
#include <string.h>


#define RUNTIMES   "resty/ffi/internal/Runtimes"

#define ERROR_MAX  512


/* set once before the first load */
static jclass     runtimes;
static jmethodID  install, load, unload;


int
runtime_install(JNIEnv *env)
{
    jclass  class;

    class = (*env)->FindClass(env, RUNTIMES);
    if (class == NULL) {
        return -1;
    }

    runtimes = (*env)->NewGlobalRef(env, class);
    (*env)->DeleteLocalRef(env, class);

    install = (*env)->GetStaticMethodID(env, runtimes, "install", "()V");
    load = (*env)->GetStaticMethodID(env, runtimes, "load", "(J[B)[B");
    unload = (*env)->GetStaticMethodID(env, runtimes, "unload", "(J)V");

    if ((*env)->ExceptionCheck(env)) {
        return -1;
    }

    (*env)->CallStaticVoidMethod(env, runtimes, install);

    return (*env)->ExceptionCheck(env) ? -1 : 0;
}


/* The thread's environment; NULL when it cannot be one of Java's. */
static JNIEnv *
attach(JavaVM *vm)
{
    void              *env;
    JavaVMAttachArgs   args = { JNI_VERSION_10, (char *) "ffi-op", NULL };

    return (*vm)->AttachCurrentThreadAsDaemon(vm, &env, &args) == JNI_OK ? env
                                                                        : NULL;
}


static jbyteArray
as_bytes(JNIEnv *env, const char *text)
{
    size_t      len;
    jbyteArray  bytes;

    len = strlen(text);
    bytes = (*env)->NewByteArray(env, (jsize) len);

    if (bytes != NULL) {
        (*env)->SetByteArrayRegion(env, bytes, 0, (jsize) len,
                                   (const jbyte *) text);
    }

    return bytes;
}


static void
say_why(JNIEnv *env, void *tq, jbyteArray why)
{
    char    text[ERROR_MAX];
    jbyte  *bytes;

    bytes = why != NULL ? (*env)->GetByteArrayElements(env, why, NULL) : NULL;

    if (bytes != NULL) {
        ngx_http_lua_ffi_set_error(tq, (const char *) bytes,
                                   (*env)->GetArrayLength(env, why));
        (*env)->ReleaseByteArrayElements(env, why, bytes, JNI_ABORT);

    } else {
        error_text(env, text, sizeof(text));
        ngx_http_lua_ffi_set_error(tq, text, strlen(text));
    }
}


int
runtime_load(JavaVM *vm, const char *cfg, void *tq)
{
    int          rc;
    JNIEnv      *env;
    jbyteArray   bytes, why;
    const char   error[] = "no memory for a Java thread";

    env = attach(vm);

    if (env == NULL) {
        ngx_http_lua_ffi_set_error(tq, error, strlen(error));
        return -1;
    }

    bytes = cfg != NULL ? as_bytes(env, cfg) : NULL;
    why = NULL;

    if (!(*env)->ExceptionCheck(env)) {
        why = (*env)->CallStaticObjectMethod(env, runtimes, load,
                                             (jlong) (uintptr_t) tq, bytes);
    }

    rc = 0;

    if (why != NULL || (*env)->ExceptionCheck(env)) {
        say_why(env, tq, why);
        rc = -1;
    }

    (void) (*vm)->DetachCurrentThread(vm);

    return rc;
}


void
runtime_unload(JavaVM *vm, void *tq)
{
    char     text[ERROR_MAX];
    JNIEnv  *env;

    env = attach(vm);
    if (env == NULL) {
        return;
    }

    (*env)->CallStaticVoidMethod(env, runtimes, unload,
                                 (jlong) (uintptr_t) tq);

    if ((*env)->ExceptionCheck(env)) {
        error_text(env, text, sizeof(text));
        ngx_http_lua_ffi_log(tq, NGX_HTTP_LUA_FFI_LOG_ERR, text, strlen(text));
    }

    (void) (*vm)->DetachCurrentThread(vm);
}
