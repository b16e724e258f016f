/* The native methods of the Java side: resty.ffi.internal.Nginx. */

#ifndef BRIDGE_H_INCLUDED
#define BRIDGE_H_INCLUDED


#include <jni.h>


/* On an attached thread.  Returns 0, or -1 with an exception pending. */
int bridge_register(JNIEnv *env);


#endif /* BRIDGE_H_INCLUDED */
