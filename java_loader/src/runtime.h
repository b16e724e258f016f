/* Runtimes: loaded and unloaded in Java (Runtimes.java), called from here. */

#ifndef RUNTIME_H_INCLUDED
#define RUNTIME_H_INCLUDED


#include <jni.h>
#include <stddef.h>


/*
 * On an attached thread, once per VM.  Prepares the Java side.  Returns 0, or
 * -1 with an exception pending.
 */
int runtime_install(JNIEnv *env);

/* Any thread; blocks.  A runtime's libffi_init(). */
int runtime_load(JavaVM *vm, const char *cfg, void *tq);

/* Any thread; blocks, for a few seconds at most.  A runtime's libffi_fini(). */
void runtime_unload(JavaVM *vm, void *tq);


#endif /* RUNTIME_H_INCLUDED */
