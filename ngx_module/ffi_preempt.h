/*
 * Go interrupts a thread of its own that does not yield with SIGURG.  Each Go
 * library takes that signal's handler for itself when it is opened, and does
 * not pass on what is meant for another: only the one opened last could still
 * interrupt, and a loop without calls in any other would stop all of its
 * goroutines.  So the handlers are called one after another; each knows its
 * own threads.
 */

#ifndef FFI_PREEMPT_H_INCLUDED
#define FFI_PREEMPT_H_INCLUDED


/*
 * dlopen() of a library that is never unmapped, for whose handler there is
 * room: up to FFI_PREEMPT_MAX of them.  Any thread; blocks.
 */
void *ffi_preempt_open(const char *file, int flags);


/* As many as may be mapped, see NGX_HTTP_LUA_FFI_RESIDENT_MAX. */
#define FFI_PREEMPT_MAX  128


#endif /* FFI_PREEMPT_H_INCLUDED */
