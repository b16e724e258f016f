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


/* How many libraries there is room for. */
#define FFI_PREEMPT_MAX  128

/*
 * Sees to the handler of a Go library that was opened.  To be called after each
 * dlopen() that may have opened one, before the next: of two, only the handler
 * of the last is found.  Any thread.
 */
void ffi_preempt_adopt(void);


#endif /* FFI_PREEMPT_H_INCLUDED */
