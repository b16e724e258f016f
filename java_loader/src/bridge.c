#include "bridge.h"

#include "copy.h"

#include <ngx_http_lua_ffi.h>

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>


/* As many as poll_many() takes. */
#define BATCH_MAX  64

/* The rc of a call that failed before it reached a handler. */
#define FAILED     1

/* The index of a method that the handler does not have; as Nginx.java has it. */
#define UNKNOWN    0xffff

/*
 * Requests up to this size go to Java with their tasks; a larger one is fetched
 * when its turn comes, so that a batch of them need not fit into the heap.
 */
#define SMALL_MAX  (64 << 10)

/* Added to the index then; as Nginx.java has it. */
#define LARGE      0x10000


typedef struct {
    char    *bytes;
    size_t   len;
} name_t;


/* The sorted names of a handler's methods. */
typedef struct {
    int      n;
    name_t   names[];
} methods_t;


static void *
as_handle(jlong number)
{
    return (void *) (uintptr_t) number;
}


static void
fail(void *task, const char *message)
{
    (void) ngx_http_lua_ffi_respond_copy(task, FAILED, message,
                                         strlen(message));
}


/* ---- methods ----------------------------------------------------------- */

static void JNICALL
methods_free(JNIEnv *env, jclass class, jlong address)
{
    int         i;
    methods_t  *methods = as_handle(address);

    for (i = 0; i < methods->n; i++) {
        free(methods->names[i].bytes);
    }

    free(methods);
}


/* With a NUL beyond its end; the caller's to free; NULL without memory. */
static char *
copy_bytes(JNIEnv *env, jbyteArray array, size_t *len)
{
    char  *copy;

    *len = (*env)->GetArrayLength(env, array);
    copy = malloc(*len + 1);

    if (copy != NULL) {
        (*env)->GetByteArrayRegion(env, array, 0, (jsize) *len,
                                   (jbyte *) copy);
        copy[*len] = '\0';
    }

    return copy;
}


static jlong JNICALL
methods_create(JNIEnv *env, jclass class, jobjectArray names)
{
    int         n;
    name_t     *name;
    jbyteArray  bytes;
    methods_t  *methods;

    n = (*env)->GetArrayLength(env, names);
    methods = calloc(1, sizeof(methods_t) + n * sizeof(name_t));

    while (methods != NULL && methods->n < n) {
        bytes = (*env)->GetObjectArrayElement(env, names, methods->n);
        name = &methods->names[methods->n++];
        name->bytes = copy_bytes(env, bytes, &name->len);
        (*env)->DeleteLocalRef(env, bytes);

        if (name->bytes == NULL) {
            methods_free(env, class, (jlong) (uintptr_t) methods);
            return 0;
        }
    }

    return (jlong) (uintptr_t) methods;
}


static int
compare(const char *bytes, size_t len, const name_t *name)
{
    int  order;

    order = memcmp(bytes, name->bytes, len < name->len ? len : name->len);

    if (order != 0 || len == name->len) {
        return order;
    }

    return len < name->len ? -1 : 1;
}


static int
methods_find(const methods_t *methods, void *task)
{
    int          found, high, low, middle;
    size_t       len;
    const char  *name;

    name = methods != NULL ? ngx_http_lua_ffi_get_method(task, &len) : NULL;

    for (low = 0, high = name != NULL ? methods->n : 0; low < high; ) {
        middle = (low + high) / 2;
        found = compare(name, len, &methods->names[middle]);

        if (found == 0) {
            return middle;
        }

        if (found < 0) {
            high = middle;

        } else {
            low = middle + 1;
        }
    }

    return UNKNOWN;
}


/* ---- tasks ------------------------------------------------------------- */

/* Of size bytes; NULL for NULL, or with an exception pending. */
static jbyteArray
as_bytes(JNIEnv *env, const char *bytes, size_t size)
{
    jbyteArray  array;

    array = bytes != NULL ? (*env)->NewByteArray(env, (jsize) size) : NULL;

    if (array != NULL) {
        (*env)->SetByteArrayRegion(env, array, 0, (jsize) size,
                                   (const jbyte *) bytes);
    }

    return array;
}


/*
 * Puts the request into its place, but for a large one.  Returns the second of
 * the two numbers that Java gets with a task, or -1: there is no memory.
 */
static jlong
take(JNIEnv *env, void *task, const methods_t *methods, jobjectArray requests,
    int i)
{
    size_t       size;
    jbyteArray   bytes;
    const char  *request;

    request = ngx_http_lua_ffi_get_request(task, &size);
    bytes = NULL;

    if (request != NULL && size > SMALL_MAX) {
        return methods_find(methods, task) | LARGE;
    }

    bytes = as_bytes(env, request, size);

    if (bytes == NULL && request != NULL) {
        (*env)->ExceptionClear(env);
        return -1;
    }

    (*env)->SetObjectArrayElement(env, requests, i, bytes);
    (*env)->DeleteLocalRef(env, bytes);

    return methods_find(methods, task);
}


static jint JNICALL
poll(JNIEnv *env, jclass class, jlong tq, jlong methods, jlongArray tasks,
    jobjectArray requests)
{
    int     i, n, taken;
    void   *polled[BATCH_MAX];
    jlong   found[2 * BATCH_MAX], *next;

    n = (*env)->GetArrayLength(env, requests);

    n = ngx_http_lua_ffi_task_poll_many(as_handle(tq), polled,
                                        n < BATCH_MAX ? n : BATCH_MAX, -1);

    for (i = 0, taken = 0; i < n; i++) {
        next = &found[2 * taken];
        next[0] = (jlong) (uintptr_t) polled[i];
        next[1] = take(env, polled[i], as_handle(methods), requests, taken);

        if (next[1] == -1) {
            fail(polled[i], "OutOfMemoryError: no heap for the request");

        } else {
            taken++;
        }
    }

    (*env)->SetLongArrayRegion(env, tasks, 0, 2 * taken, found);

    return n < 0 ? n : taken;
}


static jbyteArray JNICALL
request(JNIEnv *env, jclass class, jlong task)
{
    size_t       size;
    const char  *bytes;

    bytes = ngx_http_lua_ffi_get_request(as_handle(task), &size);

    if (size > INT_MAX) {
        (*env)->ThrowNew(env, (*env)->FindClass(env,
                                                "java/lang/OutOfMemoryError"),
                         "no Java array holds such a request");
        return NULL;
    }

    return as_bytes(env, bytes, size);
}


static void JNICALL
respond(JNIEnv *env, jclass class, jlong number, jint rc, jbyteArray response)
{
    void    *copy, *task;
    size_t   len;

    task = as_handle(number);

    if (response == NULL) {
        (void) ngx_http_lua_ffi_respond_copy(task, rc, NULL, 0);
        return;
    }

    copy = copy_bytes(env, response, &len);

    if (copy == NULL) {
        fail(task, "no memory for the response");
        return;
    }

    (void) ngx_http_lua_ffi_respond_take(task, rc, copy, len);
}


typedef const char *(*text_pt)(void *task, size_t *len);


static jbyteArray
text_of(JNIEnv *env, jlong task, text_pt get)
{
    size_t       len;
    const char  *text;

    text = get(as_handle(task), &len);

    return as_bytes(env, text, len);
}


static jbyteArray JNICALL
method(JNIEnv *env, jclass class, jlong task)
{
    return text_of(env, task, ngx_http_lua_ffi_get_method);
}


static jbyteArray JNICALL
request_id(JNIEnv *env, jclass class, jlong task)
{
    return text_of(env, task, ngx_http_lua_ffi_get_request_id);
}


static jbyteArray JNICALL
traceparent(JNIEnv *env, jclass class, jlong task)
{
    return text_of(env, task, ngx_http_lua_ffi_get_traceparent);
}


static jlong JNICALL
time_left(JNIEnv *env, jclass class, jlong task)
{
    return ngx_http_lua_ffi_time_left(as_handle(task));
}


static jboolean JNICALL
is_abandoned(JNIEnv *env, jclass class, jlong task)
{
    return ngx_http_lua_ffi_is_abandoned(as_handle(task)) != 0;
}


static jboolean JNICALL
is_ending(JNIEnv *env, jclass class, jlong tq)
{
    return ngx_http_lua_ffi_is_ending(as_handle(tq)) != 0;
}


static jboolean JNICALL
is_reload(JNIEnv *env, jclass class, jlong tq)
{
    return ngx_http_lua_ffi_is_reload(as_handle(tq)) != 0;
}


/* ---- the VM ------------------------------------------------------------ */

static void JNICALL
open_package(JNIEnv *env, jclass class, jobject module, jstring name,
    jobject to)
{
    jmethodID  open;

    open = (*env)->GetMethodID(env, (*env)->GetObjectClass(env, module),
                               "implAddOpens",
                               "(Ljava/lang/String;Ljava/lang/Module;)V");
    if (open != NULL) {
        (*env)->CallVoidMethod(env, module, open, name, to);
    }

    (*env)->ExceptionClear(env);
}


/* ---- files ------------------------------------------------------------- */

static jint JNICALL
copy(JNIEnv *env, jclass class, jbyteArray path)
{
    int     fd;
    char   *bytes;
    size_t  len;
    jclass  error;

    bytes = copy_bytes(env, path, &len);
    fd = bytes != NULL ? copy_file(bytes) : -1;

    if (fd == -1) {
        error = (*env)->FindClass(env, "java/io/IOException");
        (void) (*env)->ThrowNew(env, error, strerror(errno));
    }

    free(bytes);

    return fd;
}


static void JNICALL
close_file(JNIEnv *env, jclass class, jint fd)
{
    (void) close(fd);
}


/* ---- the log ----------------------------------------------------------- */

typedef void (*log_pt)(void *handle, int level, const char *msg, size_t len);


static void
log_with(JNIEnv *env, log_pt write, jlong handle, jint level, jbyteArray text)
{
    jbyte  *bytes;

    bytes = (*env)->GetByteArrayElements(env, text, NULL);

    if (bytes != NULL) {
        write(as_handle(handle), level, (const char *) bytes,
              (*env)->GetArrayLength(env, text));
        (*env)->ReleaseByteArrayElements(env, text, bytes, JNI_ABORT);
    }
}


static void JNICALL
log_runtime(JNIEnv *env, jclass class, jlong tq, jint level, jbyteArray text)
{
    log_with(env, ngx_http_lua_ffi_log, tq, level, text);
}


static void JNICALL
log_task(JNIEnv *env, jclass class, jlong task, jint level, jbyteArray text)
{
    log_with(env, ngx_http_lua_ffi_log_task, task, level, text);
}


int
bridge_register(JNIEnv *env)
{
    int                           n;
    jclass                        class;
    static const JNINativeMethod  methods[] = {
        { "createMethods", "([[B)J", (void *) methods_create },
        { "freeMethods", "(J)V", (void *) methods_free },
        { "poll", "(JJ[J[[B)I", (void *) poll },
        { "request", "(J)[B", (void *) request },
        { "respond", "(JI[B)V", (void *) respond },
        { "method", "(J)[B", (void *) method },
        { "requestId", "(J)[B", (void *) request_id },
        { "traceparent", "(J)[B", (void *) traceparent },
        { "timeLeft", "(J)J", (void *) time_left },
        { "isAbandoned", "(J)Z", (void *) is_abandoned },
        { "isEnding", "(J)Z", (void *) is_ending },
        { "isReload", "(J)Z", (void *) is_reload },
        { "open", "(Ljava/lang/Module;Ljava/lang/String;Ljava/lang/Module;)V",
          (void *) open_package },
        { "copyFile", "([B)I", (void *) copy },
        { "closeFile", "(I)V", (void *) close_file },
        { "log", "(JI[B)V", (void *) log_runtime },
        { "logTask", "(JI[B)V", (void *) log_task },
    };

    n = sizeof(methods) / sizeof(methods[0]);
    class = (*env)->FindClass(env, "resty/ffi/internal/Nginx");

    return class != NULL
           && (*env)->RegisterNatives(env, class, methods, n) == 0 ? 0 : -1;
}
