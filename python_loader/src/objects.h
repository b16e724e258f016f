/*
 * The shared objects that the dynamic linker has mapped.  Any thread may use
 * this, while others map and unmap.
 */

#ifndef OBJECTS_H_INCLUDED
#define OBJECTS_H_INCLUDED


#include <stdbool.h>
#include <stddef.h>


#define OBJECTS_SYMBOL_MAX  128


/* Their names, which are paths, at one time. */
typedef struct {
    size_t   n;
    char   **names;
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

bool objects_has(const objects_t *objects, const char *name);

/* The first name whose last part begins so, or NULL; borrowed. */
const char *objects_find(const objects_t *objects, const char *prefix);

/* False when it is not mapped (any more). */
bool objects_inspect(const char *name, objects_facts_t *facts);

/* Closes what was opened of it and never closed, as long as that helps. */
void objects_close(const char *name);


#endif /* OBJECTS_H_INCLUDED */
