#include "error.h"

#include <stdio.h>


static jstring
as_string(JNIEnv *env, jthrowable exception)
{
    jclass     class;
    jmethodID  method;

    class = (*env)->GetObjectClass(env, exception);
    method = (*env)->GetMethodID(env, class, "toString",
                                 "()Ljava/lang/String;");

    return method != NULL ? (*env)->CallObjectMethod(env, exception, method)
                          : NULL;
}


void
error_text(JNIEnv *env, char *text, size_t size)
{
    jstring      string;
    jthrowable   exception;
    const char  *chars;

    exception = (*env)->ExceptionOccurred(env);
    (*env)->ExceptionClear(env);

    string = exception != NULL ? as_string(env, exception) : NULL;
    chars = string != NULL ? (*env)->GetStringUTFChars(env, string, NULL)
                           : NULL;

    snprintf(text, size, "%s", chars != NULL ? chars : "a Java exception");

    if (chars != NULL) {
        (*env)->ReleaseStringUTFChars(env, string, chars);
    }

    (*env)->ExceptionClear(env);
}
