#include "ffi_traceparent.h"

#include <string.h>


/* Version, trace-id, parent-id and flags. */
static const size_t  ffi_traceparent_fields[] = { 2, 32, 16, 2 };


static int ffi_traceparent_field(const char *p, size_t len, const char *bad);


int
ffi_traceparent_valid(const char *text, size_t len)
{
    size_t       i;
    const char  *p;

    /* none of these is allowed: a version, an id, an id, any flags */
    static const char *const  bad[] = { "f", "0", "0", "" };

    if (len < FFI_TRACEPARENT_LEN) {
        return 0;
    }

    p = text;

    for (i = 0; i < 4; i++) {
        if (!ffi_traceparent_field(p, ffi_traceparent_fields[i], bad[i])) {
            return 0;
        }

        p += ffi_traceparent_fields[i];

        if (i < 3 && *p++ != '-') {
            return 0;
        }
    }

    return len == FFI_TRACEPARENT_LEN
           || (*p == '-' && memcmp(text, "00", 2) != 0);
}


/* Whether it is of lowercase hexadecimal digits, not all of them bad. */
static int
ffi_traceparent_field(const char *p, size_t len, const char *bad)
{
    size_t  i, n;

    for (i = 0, n = 0; i < len; i++) {
        if (memchr("0123456789abcdef", p[i], 16) == NULL) {
            return 0;
        }

        n += (p[i] == *bad);
    }

    return n < len;
}
