/*
 * The shared objects that the dynamic linker has mapped.  Any thread may use
 * this, while others map and unmap.
 */

#ifndef OBJECTS_H_INCLUDED
#define OBJECTS_H_INCLUDED


#include <limits.h>
#include <stdbool.h>
#include <stddef.h>


#define OBJECTS_NAME_MAX    PATH_MAX
#define OBJECTS_SYMBOL_MAX  128


/* Their names, which are paths, at one time: each ends with a NUL. */
typedef struct {
    char    *names;
    size_t   used;
    size_t   size;
} objects_t;


/* What an object is to Python. */
typedef struct {
    bool  extension;                      /* exports a PyInit_ function */
    bool  links_python;                   /* needs libpython */
    bool  nodelete;                       /* says that it is to stay mapped */
    char  unique[OBJECTS_SYMBOL_MAX];     /* a symbol that keeps it, or "" */
} objects_facts_t;


/* NULL without memory.  Freed by objects_free(), which takes NULL. */
objects_t *objects_list(void);
void objects_free(objects_t *objects);

/* Whether the last part of the name begins so. */
bool objects_begins(const char *name, const char *prefix);

/*
 * The next four need no memory.  name[], OBJECTS_NAME_MAX in size, gets what
 * was found.
 */

bool objects_is_mapped(const char *name);

/* One whose name's last part begins so. */
bool objects_find(const char *prefix, char *name);

/* The one with the number n, from 0, of those that are not listed. */
bool objects_since(const objects_t *before, size_t n, char *name);

/* The same of those that are extensions of Python. */
bool objects_extension(const objects_t *before, size_t n, char *name);

/* False when it is not mapped (any more), or there is no memory to tell. */
bool objects_inspect(const char *name, objects_facts_t *facts);

/* Closes what was opened of it and never closed, as long as that helps. */
void objects_close(const char *name);


#endif /* OBJECTS_H_INCLUDED */
