#include "ffi_mask.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>


/* Deeper JSON is not shown. */
#define FFI_MASK_DEPTH_MAX   32

/* Longer strings are keys, certificates and their like. */
#define FFI_MASK_STRING_MAX  64

#define FFI_MASK_STARS       "***"


typedef struct {
    const char  *p;            /* what is left of the text */
    const char  *end;

    char        *out;
    size_t       room;         /* for bytes, the NUL not included */
    unsigned     depth;
    unsigned     silent;       /* > 0: in a value that is not shown */
    unsigned     cut:1;
} ffi_mask_t;


static int ffi_mask_value(ffi_mask_t *mask, int named);
static int ffi_mask_items(ffi_mask_t *mask, char end,
    int (*item)(ffi_mask_t *mask));
static int ffi_mask_object(ffi_mask_t *mask);
static int ffi_mask_unnamed(ffi_mask_t *mask);
static int ffi_mask_list(ffi_mask_t *mask);
static int ffi_mask_member(ffi_mask_t *mask);
static int ffi_mask_string(ffi_mask_t *mask, const char **s, size_t *len);
static int ffi_mask_escape(ffi_mask_t *mask);
static int ffi_mask_word(ffi_mask_t *mask);
static int ffi_mask_is_number(const char *s, size_t len);
static int ffi_mask_is_secret_name(const char *s, size_t len);
static int ffi_mask_is_secret(const char *s, size_t len);
static int ffi_mask_sounds(const char *s, size_t len,
    const char *const words[]);
static void ffi_mask_space(ffi_mask_t *mask);
static int ffi_mask_take(ffi_mask_t *mask, char c);
static void ffi_mask_put(ffi_mask_t *mask, const char *s, size_t len);
static void ffi_mask_put_string(ffi_mask_t *mask, const char *s, size_t len);


void
ffi_mask(char *shown, size_t size, const char *text, size_t len)
{
    ffi_mask_t  mask;

    mask = (ffi_mask_t) {
        .p = text,
        .end = text + len,
        .out = shown,
        .room = size - sizeof("...")
    };

    ffi_mask_space(&mask);

    if (mask.p == mask.end
        || (*mask.p != '{' && *mask.p != '[')
        || ffi_mask_value(&mask, 0) != 0
        || mask.p != mask.end)
    {
        memset(shown, 0, size);
        memcpy(shown, FFI_MASK_STARS, sizeof(FFI_MASK_STARS));
        return;
    }

    memcpy(mask.out, mask.cut ? "..." : "", mask.cut ? sizeof("...") : 1);
}


/* 0, or -1 when it is no JSON; named: it is known what a string is */
static int
ffi_mask_value(ffi_mask_t *mask, int named)
{
    int          rc;
    size_t       len;
    const char  *s;

    if (mask->p == mask->end) {
        return -1;
    }

    switch (*mask->p) {

    case '{':
        rc = ffi_mask_object(mask);
        break;

    case '[':
        rc = ffi_mask_list(mask);
        break;

    case '"':
        rc = ffi_mask_string(mask, &s, &len);

        if (rc == 0 && named && !ffi_mask_is_secret(s, len)) {
            ffi_mask_put_string(mask, s, len);

        } else {
            ffi_mask_put_string(mask, FFI_MASK_STARS,
                                sizeof(FFI_MASK_STARS) - 1);
        }

        break;

    default:
        rc = ffi_mask_word(mask);
    }

    ffi_mask_space(mask);

    return rc;
}


/* A list of members, or of values, between two brackets. */
static int
ffi_mask_items(ffi_mask_t *mask, char end, int (*item)(ffi_mask_t *mask))
{
    if (++mask->depth > FFI_MASK_DEPTH_MAX) {
        return -1;
    }

    ffi_mask_put(mask, mask->p++, 1);
    ffi_mask_space(mask);

    if (!ffi_mask_take(mask, end)) {
        do {
            ffi_mask_space(mask);

            if (item(mask) != 0) {
                return -1;
            }
        } while (ffi_mask_take(mask, ','));

        if (!ffi_mask_take(mask, end)) {
            return -1;
        }
    }

    mask->depth--;

    return 0;
}


static int
ffi_mask_object(ffi_mask_t *mask)
{
    return ffi_mask_items(mask, '}', ffi_mask_member);
}


static int
ffi_mask_unnamed(ffi_mask_t *mask)
{
    return ffi_mask_value(mask, 0);
}


static int
ffi_mask_list(ffi_mask_t *mask)
{
    return ffi_mask_items(mask, ']', ffi_mask_unnamed);
}


static int
ffi_mask_member(ffi_mask_t *mask)
{
    int          rc, secret;
    size_t       len;
    const char  *name;

    if (mask->p == mask->end || *mask->p != '"'
        || ffi_mask_string(mask, &name, &len) != 0)
    {
        return -1;
    }

    secret = ffi_mask_is_secret_name(name, len);

    ffi_mask_put_string(mask, name, len);
    ffi_mask_space(mask);

    if (!ffi_mask_take(mask, ':')) {
        return -1;
    }

    ffi_mask_space(mask);

    if (!secret) {
        return ffi_mask_value(mask, 1);
    }

    ffi_mask_put_string(mask, FFI_MASK_STARS, sizeof(FFI_MASK_STARS) - 1);

    mask->silent++;
    rc = ffi_mask_value(mask, 0);
    mask->silent--;

    return rc;
}


/* What is between the quotes, as it is. */
static int
ffi_mask_string(ffi_mask_t *mask, const char **s, size_t *len)
{
    *s = ++mask->p;

    for ( /* void */ ; mask->p != mask->end; mask->p++) {

        if (*mask->p == '"') {
            *len = (size_t) (mask->p++ - *s);
            return 0;
        }

        if ((unsigned char) *mask->p < ' '
            || (*mask->p == '\\' && ffi_mask_escape(mask) != 0))
        {
            return -1;
        }
    }

    return -1;
}


/* To its last byte. */
static int
ffi_mask_escape(ffi_mask_t *mask)
{
    int  i;

    if (++mask->p == mask->end || strchr("\"\\/bfnrtu", *mask->p) == NULL) {
        return -1;
    }

    if (*mask->p != 'u') {
        return 0;
    }

    for (i = 0; i < 4; i++) {
        if (++mask->p == mask->end || !isxdigit((unsigned char) *mask->p)) {
            return -1;
        }
    }

    return 0;
}


/* A number, true, false or null. */
static int
ffi_mask_word(ffi_mask_t *mask)
{
    size_t       len, i;
    const char  *s;

    static const char *const  words[] = { "true", "false", "null" };

    s = mask->p;

    while (mask->p != mask->end
           && (isalnum((unsigned char) *mask->p)
               || memchr("+-.", *mask->p, 3) != NULL))
    {
        mask->p++;
    }

    len = (size_t) (mask->p - s);

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (len == strlen(words[i]) && memcmp(s, words[i], len) == 0) {
            ffi_mask_put(mask, s, len);
            return 0;
        }
    }

    if (len == 0 || !ffi_mask_is_number(s, len)) {
        return -1;
    }

    ffi_mask_put(mask, s, len);

    return 0;
}


/* Not read beyond its end, which strspn() would be. */
static int
ffi_mask_is_number(const char *s, size_t len)
{
    while (len && memchr("+-.eE0123456789", *s, 15) != NULL) {
        s++;
        len--;
    }

    return len == 0;
}


static int
ffi_mask_is_secret_name(const char *s, size_t len)
{
    static const char *const  words[] = {
        "auth", "bearer", "cert", "cookie", "cred", "dsn", "hash", "jwt",
        "key", "pass", "pin", "private", "psk", "pwd", "salt", "secret",
        "session", "sig", "token", "\\", NULL
    };

    return ffi_mask_sounds(s, len, words);
}


static int
ffi_mask_is_secret(const char *s, size_t len)
{
    static const char *const  words[] = {
        "@", "auth", "basic ", "bearer", "key", "pass", "psk", "pwd",
        "secret", "sig=", "token", "\\", NULL
    };

    return len > FFI_MASK_STRING_MAX || ffi_mask_sounds(s, len, words);
}


static int
ffi_mask_sounds(const char *s, size_t len, const char *const words[])
{
    size_t  i, n;

    for ( /* void */ ; *words != NULL; words++) {
        n = strlen(*words);

        for (i = 0; i + n <= len; i++) {
            if (strncasecmp(s + i, *words, n) == 0) {
                return 1;
            }
        }
    }

    return 0;
}


static void
ffi_mask_space(ffi_mask_t *mask)
{
    while (mask->p != mask->end && memchr(" \t\r\n", *mask->p, 4) != NULL) {
        mask->p++;
    }
}


static int
ffi_mask_take(ffi_mask_t *mask, char c)
{
    if (mask->p == mask->end || *mask->p != c) {
        return 0;
    }

    ffi_mask_put(mask, mask->p++, 1);

    return 1;
}


static void
ffi_mask_put(ffi_mask_t *mask, const char *s, size_t len)
{
    if (mask->silent) {
        return;
    }

    if (len > mask->room) {
        len = mask->room;
        mask->cut = 1;
    }

    memcpy(mask->out, s, len);
    mask->out += len;
    mask->room -= len;
}


static void
ffi_mask_put_string(ffi_mask_t *mask, const char *s, size_t len)
{
    ffi_mask_put(mask, "\"", 1);
    ffi_mask_put(mask, s, len);
    ffi_mask_put(mask, "\"", 1);
}
