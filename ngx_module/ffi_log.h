/*
 * What guest code logs, on its way to the event loop: nginx swaps the log's
 * descriptor there, so that only the event loop may write to it.
 *
 * The list is bounded.  What does not fit is dropped and counted.
 */

#ifndef FFI_LOG_H_INCLUDED
#define FFI_LOG_H_INCLUDED


#include <stddef.h>


typedef struct ffi_log_line_s  ffi_log_line_t;

struct ffi_log_line_s {
    ffi_log_line_t           *next;
    int                       level;
    const char               *name;         /* the runtime's, "" for none */
    const char               *id;           /* the request's, "" for none */
    size_t                    len;
    char                     *text;         /* no newline, no control code */
};


/*
 * Lines on the list at most, and bytes of one line: with what goes before it,
 * a runtime's name and a request's id included, nginx has 2048.
 */
#define FFI_LOG_LINES_MAX  4096
#define FFI_LOG_LINE_MAX   1664


/*
 * Any thread.  Adds a line for each line of msg and wakes the event loop.
 * name, id and msg are copied.
 */
void ffi_log_write(int level, const char *name, const char *id,
    const char *msg, size_t len);

/* Event loop.  Whether there are lines, or drops, to be taken. */
int ffi_log_pending(void);

/*
 * Event loop.  Takes the oldest line, to be freed with free(); NULL when
 * there is none.
 */
ffi_log_line_t *ffi_log_take(void);

/* Event loop, after the lines.  Lines dropped since the last call. */
unsigned ffi_log_dropped(void);


#endif /* FFI_LOG_H_INCLUDED */
