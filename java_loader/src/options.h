/* The options that the VM is started with. */

#ifndef OPTIONS_H_INCLUDED
#define OPTIONS_H_INCLUDED


#include <jni.h>


/*
 * Those of ours, those of JAVA_OPTS after them, and then "vfprintf" and "exit"
 * with these hooks.  NULL without memory; freed with options_free().
 */
JavaVMInitArgs *options_create(const char *jar, void *vfprintf_hook,
    void *exit_hook);

void options_free(JavaVMInitArgs *args);


#endif /* OPTIONS_H_INCLUDED */
