/*
 * The Java VM: one in a process, started for the first runtime, for ever.
 */

#ifndef VM_H_INCLUDED
#define VM_H_INCLUDED


#include <jni.h>


#define VM_ERROR_MAX  8192


/*
 * Any thread; blocks.  The VM, started if it does not run; resty-ffi.jar is
 * beside the library.  NULL, and why, NUL-terminated, in error[].
 */
JavaVM *vm_start(const char *library, char error[VM_ERROR_MAX]);

/* Any thread.  The VM that runs. */
JavaVM *vm_started(void);


#endif /* VM_H_INCLUDED */
