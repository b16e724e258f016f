/*
 * The library that embeds Python (interpreter-X.Y.so): what the host calls of
 * it.  It links libpython, and so each version of Python has its own.
 */

#ifndef EMBED_H_INCLUDED
#define EMBED_H_INCLUDED


/* The symbol that is an embed_t. */
#define EMBED_SYMBOL  "resty_ffi_embed"


/*
 * Any thread that does not hold the GIL; all of them block.  Texts are the
 * library's, valid until the next call of the same function.
 */
typedef struct {
    /* Once, first.  library: where the loader was found.  NULL, or why not. */
    const char  *(*start)(const char *library);

    /* libffi_init(), libffi_fini() and libffi_overdue() of a runtime. */
    int          (*load)(char *cfg, void *tq);
    void         (*unload)(void *tq);
    void         (*overdue)(void *tq, void *task);

    /* Whether Python can be ended now: NULL, or why not. */
    const char  *(*busy)(void);

    /* Ends Python, which start() may have failed to start; none of the above
     * after it. */
    void         (*end)(void);

    /* Frees what Python left behind, when its extensions are unmapped. */
    void         (*release)(void);
} embed_t;


#endif /* EMBED_H_INCLUDED */
