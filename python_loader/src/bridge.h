/*
 * The built-in module _resty_ffi: the contract's functions for Python code,
 * and the loop that serves a runtime.  Its Python side is _resty_ffi.pyi.
 */

#ifndef BRIDGE_H_INCLUDED
#define BRIDGE_H_INCLUDED


/* Before the interpreter is initialised.  Returns 0, or -1 without memory. */
int bridge_register(void);


#endif /* BRIDGE_H_INCLUDED */
