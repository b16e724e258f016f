/*
 * Python's exceptions as text: what keeps them on this side of the contract.
 * Exceptions of user code are reported in Python (resty_ffi/_report.py); these
 * are the last resort, for when that failed or does not run yet.
 */

#ifndef ERROR_H_INCLUDED
#define ERROR_H_INCLUDED


#include <stddef.h>


/*
 * Holds the GIL.  Clears the current exception and writes "Type: message",
 * cut to size and NUL-terminated, into text.
 */
void error_text(char *text, size_t size);


#endif /* ERROR_H_INCLUDED */
