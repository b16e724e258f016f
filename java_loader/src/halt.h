/*
 * System.exit() and Runtime.halt() throw: they would end the worker.  So does
 * sun.misc.Signal.handle(): signals are nginx's.
 */

#ifndef HALT_H_INCLUDED
#define HALT_H_INCLUDED


#include <jni.h>


/* On an attached thread.  Returns 0, or -1 with an exception pending. */
int halt_forbid(JNIEnv *env);


#endif /* HALT_H_INCLUDED */
