/* The options that the VM is started with. */

#ifndef OPTIONS_H_INCLUDED
#define OPTIONS_H_INCLUDED


#include <jni.h>


/*
 * "vfprintf", "abort" and "exit" with their hooks, those of ours, and those of
 * JAVA_OPTS, which cannot change where resty-ffi.jar is.  NULL without memory; freed with options_free().
 */
JavaVMInitArgs *options_create(const char *jar, void *vfprintf_hook,
    void *abort_hook, void *exit_hook);

void options_free(JavaVMInitArgs *args);


#endif /* OPTIONS_H_INCLUDED */
