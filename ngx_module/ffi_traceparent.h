/* The header "traceparent" of W3C's Trace Context. */

#ifndef FFI_TRACEPARENT_H_INCLUDED
#define FFI_TRACEPARENT_H_INCLUDED


#include <stddef.h>


/* Of version 00; what a later one adds behind it is left out. */
#define FFI_TRACEPARENT_LEN  55


/* Any thread.  Whether the text begins with a traceparent that is valid. */
int ffi_traceparent_valid(const char *text, size_t len);


#endif /* FFI_TRACEPARENT_H_INCLUDED */
