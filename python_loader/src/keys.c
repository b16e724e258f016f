#include "keys.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>


static bool
is_in(const void *address, const char *prefix)
{
    Dl_info      info;
    const char  *slash;

    if (address == NULL || dladdr(address, &info) == 0) {
        return false;
    }

    slash = strrchr(info.dli_fname, '/');

    return strncmp(slash != NULL ? slash + 1 : info.dli_fname, prefix,
                   strlen(prefix)) == 0;
}


void
keys_find(keys_t *keys, const char *prefix)
{
    pthread_key_t  key;

    keys->n = 0;

    for (key = 0; key < PTHREAD_KEYS_MAX && keys->n < KEYS_MAX; key++) {
        /* NULL for a number that is not a key */
        if (is_in(pthread_getspecific(key), prefix)) {
            keys->keys[keys->n++] = key;
        }
    }
}


void
keys_mark(keys_t *keys)
{
    size_t  i;

    for (i = 0; i < keys->n; i++) {
        (void) pthread_setspecific(keys->keys[i], keys);
    }
}


void
keys_delete(keys_t *keys)
{
    size_t  i;

    for (i = 0; i < keys->n; i++) {
        /* a key deleted, and perhaps made anew by another, has no value */
        if (pthread_getspecific(keys->keys[i]) == keys) {
            (void) pthread_key_delete(keys->keys[i]);
        }
    }
}
