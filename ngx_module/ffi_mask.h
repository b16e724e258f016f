/*
 * What may be shown of a runtime's configuration: of JSON, if it is an object
 * or a list, everything but
 *
 *   - the value of a name that sounds like a secret's (password, token, key), or
 *     that is written with escapes,
 *   - a string that is long, has escapes, or sounds like one that has a secret
 *     in it (a URL with a user, for instance),
 *   - strings in lists, whose names are unknown.
 *
 * These become "***".  Of anything else nothing is shown but "***".
 */

#ifndef FFI_MASK_H_INCLUDED
#define FFI_MASK_H_INCLUDED


#include <stddef.h>


/*
 * Any thread.  Writes what may be shown of the text, cut at size bytes, the NUL
 * included, with "..." at its end if so.  size is 8 at least.
 */
void ffi_mask(char *shown, size_t size, const char *text, size_t len);


#endif /* FFI_MASK_H_INCLUDED */
