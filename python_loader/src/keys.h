/*
 * Keys of thread-specific data that libpython leaves: since 3.13 a constructor
 * of it (mimalloc's) makes one.  A process has 1024 of them.
 */

#ifndef KEYS_H_INCLUDED
#define KEYS_H_INCLUDED


#include <pthread.h>
#include <stddef.h>


#define KEYS_MAX  8


typedef struct {
    size_t         n;
    pthread_key_t  keys[KEYS_MAX];
} keys_t;


/*
 * The thread that mapped it.  Finds the keys whose values on this thread are
 * addresses in a shared object whose name begins so.
 */
void keys_find(keys_t *keys, const char *prefix);

/*
 * One thread, before and after the object is unmapped.  Deletes those that it
 * has not deleted itself.
 */
void keys_mark(keys_t *keys);
void keys_delete(keys_t *keys);


#endif /* KEYS_H_INCLUDED */
