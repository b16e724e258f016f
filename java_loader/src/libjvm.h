/* Finds the VM's library: nothing is linked to it. */

#ifndef LIBJVM_H_INCLUDED
#define LIBJVM_H_INCLUDED


#include <jni.h>
#include <stddef.h>


typedef jint (JNICALL *libjvm_create_pt)(JavaVM **vm, void **env, void *args);
typedef jint (JNICALL *libjvm_created_pt)(JavaVM **vm, jsize max, jsize *n);

typedef struct {
    libjvm_create_pt    create;
    libjvm_created_pt   created;
} libjvm_t;


/*
 * Opens libjvm.so of JAVA_HOME if that is set, else of the JDK that the loader
 * was built with, else one below /usr/lib/jvm.  It stays open.  Returns 0, or
 * -1 and why, NUL-terminated and cut to size, in error[].
 */
int libjvm_open(libjvm_t *libjvm, char *error, size_t size);


#endif /* LIBJVM_H_INCLUDED */
