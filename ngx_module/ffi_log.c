#include "ffi_log.h"

#include "ffi_done.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>


typedef struct {
    /* whether there is anything to take: read before the lock is tried */
    atomic_int                pending;

    pthread_mutex_t           lock;

    /* guarded by lock */
    ffi_log_line_t           *first;
    ffi_log_line_t          **last;
    unsigned                  count;
    unsigned                  dropped;
} ffi_log_t;


static ffi_log_t  ffi_log = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .last = &ffi_log.first
};


static ffi_log_line_t *ffi_log_line(int level, const char *name,
    const char *id, const char *text, size_t len);
static int ffi_log_add(ffi_log_line_t *line);
static void ffi_log_count_drop(void);


/* any thread */
static ffi_log_line_t *
ffi_log_line(int level, const char *name, const char *id, const char *text,
    size_t len)
{
    char            *p;
    size_t           i, name_size, id_size;
    ffi_log_line_t  *line;

    name_size = strlen(name) + 1;
    id_size = strlen(id) + 1;

    line = malloc(sizeof(ffi_log_line_t) + name_size + id_size + len);
    if (line == NULL) {
        return NULL;
    }

    p = (char *) (line + 1);

    line->next = NULL;
    line->level = level;
    line->name = memcpy(p, name, name_size);
    line->id = memcpy(p + name_size, id, id_size);
    line->text = p + name_size + id_size;
    line->len = len;

    /* a terminal that shows the log must not be driven by a guest */
    for (i = 0; i < len; i++) {
        line->text[i] = ((unsigned char) text[i] < ' ' && text[i] != '\t')
                        || text[i] == 0x7f ? '?' : text[i];
    }

    return line;
}


/* any thread; whether the list was empty, or -1 when it is full */
static int
ffi_log_add(ffi_log_line_t *line)
{
    int  rc;

    pthread_mutex_lock(&ffi_log.lock);

    if (ffi_log.count == FFI_LOG_LINES_MAX) {
        rc = -1;

    } else {
        rc = (ffi_log.first == NULL);
        *ffi_log.last = line;
        ffi_log.last = &line->next;
        ffi_log.count++;
        atomic_store_explicit(&ffi_log.pending, 1, memory_order_relaxed);
    }

    pthread_mutex_unlock(&ffi_log.lock);

    return rc;
}


/* any thread */
static void
ffi_log_count_drop(void)
{
    pthread_mutex_lock(&ffi_log.lock);
    ffi_log.dropped++;
    atomic_store_explicit(&ffi_log.pending, 1, memory_order_relaxed);
    pthread_mutex_unlock(&ffi_log.lock);
}


/* any thread */
void
ffi_log_write(int level, const char *name, const char *id, const char *msg,
    size_t len)
{
    int              rc;
    size_t           n;
    const char      *end, *eol;
    ffi_log_line_t  *line;

    end = msg + len;

    while (msg < end) {
        eol = memchr(msg, '\n', end - msg);
        n = (eol ? eol : end) - msg;

        if (n > FFI_LOG_LINE_MAX) {
            n = FFI_LOG_LINE_MAX;
            eol = NULL;
        }

        if (n > 0) {
            line = ffi_log_line(level, name, id, msg, n);
            rc = line ? ffi_log_add(line) : -1;

            if (rc == -1) {
                free(line);
                ffi_log_count_drop();

            } else if (rc == 1) {
                ffi_done_kick();
            }
        }

        msg += n + (eol ? 1 : 0);
    }
}


int
ffi_log_pending(void)
{
    return atomic_load_explicit(&ffi_log.pending, memory_order_relaxed);
}


ffi_log_line_t *
ffi_log_take(void)
{
    ffi_log_line_t  *line;

    pthread_mutex_lock(&ffi_log.lock);

    line = ffi_log.first;

    if (line != NULL) {
        ffi_log.first = line->next;
        ffi_log.count--;

        if (ffi_log.first == NULL) {
            ffi_log.last = &ffi_log.first;
        }
    }

    pthread_mutex_unlock(&ffi_log.lock);

    return line;
}


unsigned
ffi_log_dropped(void)
{
    unsigned  n;

    pthread_mutex_lock(&ffi_log.lock);

    n = ffi_log.dropped;
    ffi_log.dropped = 0;

    if (ffi_log.first == NULL) {
        atomic_store_explicit(&ffi_log.pending, 0, memory_order_relaxed);
    }

    pthread_mutex_unlock(&ffi_log.lock);

    return n;
}
