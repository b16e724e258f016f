/* The options that the VM is started with. */

#ifndef OPTIONS_H_INCLUDED
#define OPTIONS_H_INCLUDED


#include <jni.h>


/*
 * "vfprintf" with its hook, "abort" and "exit" with the other, those of ours,
 * and those of JAVA_OPTS.  NULL without memory; freed with options_free().
 */
JavaVMInitArgs *options_create(const char *jar, void *vfprintf_hook,
    void *end_hook);

void options_free(JavaVMInitArgs *args);


#endif /* OPTIONS_H_INCLUDED */
