/* System.exit() and Runtime.halt() throw: they would end the worker. */

#ifndef HALT_H_INCLUDED
#define HALT_H_INCLUDED


#include <jni.h>


/* On an attached thread.  Returns 0, or -1 with an exception pending. */
int halt_forbid(JNIEnv *env);

/*
 * On an attached thread.  The threads that are registered as shutdown hooks:
 * a local reference, or NULL, maybe with an exception pending.
 */
jobjectArray JNICALL halt_hooks(JNIEnv *env, jclass caller);


#endif /* HALT_H_INCLUDED */
