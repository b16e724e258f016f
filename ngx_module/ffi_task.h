/*
 * A task: one call in flight, from the Lua side that posts it to the library
 * that responds, and back.
 *
 * Life:  FREE -> HELD -> QUEUED -> TAKEN -> DONE -> FREE
 *
 *   HELD     the event loop fills the task in
 *   QUEUED   in a queue; the queue's consumers own it
 *   TAKEN    polled; the library may read the request
 *   DONE     claimed by the one side that answers, on its way back or arrived
 *
 * A compare-and-swap on the state and generation decides who takes and who
 * answers, so that a second response finds nothing to answer.  Task memory is
 * never the request's: requests die first.
 */

#ifndef FFI_TASK_H_INCLUDED
#define FFI_TASK_H_INCLUDED


#include "ffi_handle.h"
#include "ffi_traceparent.h"


typedef struct ffi_task_s   ffi_task_t;
typedef struct ffi_queue_s  ffi_queue_t;


/* A list of tasks that the event loop keeps; see ffi_task_list_*(). */
typedef struct ffi_task_link_s  ffi_task_link_t;

struct ffi_task_link_s {
    ffi_task_link_t          *prev;
    ffi_task_link_t          *next;
};


struct ffi_task_s {
    ffi_slot_t                slot;

    /* the list the task is in: queue, then done list; their rules guard it */
    ffi_task_t               *next;

    /* set before push, constant while QUEUED or TAKEN */
    _Atomic(ffi_queue_t *)    queue;
    size_t                    id_len;        /* of the request's id; 0: none */
    char                     *request;       /* method NUL request NUL */
    size_t                    method_len;
    size_t                    request_len;
    int64_t                   deadline;      /* ms, CLOCK_MONOTONIC */
    unsigned                  request_nil:1;
    char                      traceparent[FFI_TRACEPARENT_LEN + 1];  /* or "" */
    int64_t                   enqueued;      /* ns, as below; 0: untimed */

    /* written by who polls, before the task is TAKEN; 0: nobody has */
    int64_t                   polled;

    /* any thread */
    atomic_int                abandoned;

    /* written by the side that claimed the task, before it goes back */
    int                       rc;
    char                     *response;      /* NULL: nil */
    size_t                    response_len;
    unsigned                  response_own:1;   /* malloc()ed: free() it */
    int64_t                   responded;

    /* kept from call to call, FFI_TASK_KEEP bytes each */
    char                     *request_buf;
    size_t                    request_cap;
    char                     *response_buf;
    size_t                    response_cap;

    /*
     * FFI_TASK_ID_MAX bytes and a NUL, allocated when there is first an id and
     * never freed: written by the event loop, read by any thread, even late
     */
    _Atomic(atomic_char *)    id;

    /* guarded by the queue; next NULL: in no list */
    ffi_task_link_t           gone;

    /* event loop only */
    ffi_task_link_t           link;
    void                     *sema;          /* ngx_http_lua_sema_t */
    int64_t                   timeout;       /* ms, of a call */
    const char               *verdict;       /* why nobody else will answer */
    void                     *place;         /* of its metrics, or NULL */
    unsigned                  weight;        /* for how many its times stand */
    unsigned                  posted:1;      /* sema was, perhaps not taken */
    unsigned                  answered:1;    /* nothing left but the fetch */
    unsigned                  fetched:1;     /* Lua has its answer */
    unsigned                  told:1;        /* that its caller is gone */
    unsigned                  left:1;        /* counted as abandoned */
    unsigned                  slow:1;        /* shown to its library as such */
};


enum {
    FFI_TASK_HELD = 1,
    FFI_TASK_QUEUED,
    FFI_TASK_TAKEN,
    FFI_TASK_DONE
};


/*
 * Buffers of this size stay with the task, larger ones go with the call: a
 * burst of many calls must not leave much memory behind.
 */
#define FFI_TASK_KEEP  1024

/* What is kept of a request's id; it goes into each line that is logged. */
#define FFI_TASK_ID_MAX  128


/* Once per process, before anything else here. */
void ffi_task_init(void);

/* Event loop.  A HELD task, or NULL when memory or handles ran out. */
ffi_task_t *ffi_task_create(void);

/*
 * Event loop.  Copies method and request; request NULL is nil.  -1 without
 * memory.
 */
int ffi_task_set_request(ffi_task_t *task, const char *method,
    size_t method_len, const char *request, size_t request_len);

/* Event loop.  Copies the request's id, cut, printable; -1 without memory. */
int ffi_task_set_id(ffi_task_t *task, const char *id, size_t len);

/*
 * Any thread.  Copies the id.  What is copied, and the task's queue, belong to
 * a handle only if ffi_task_find() finds the task for it afterwards.
 */
void ffi_task_copy_id(ffi_task_t *task, char id[FFI_TASK_ID_MAX + 1]);

/* Event loop.  Frees a large request of a task that is DONE. */
void ffi_task_drop_request(ffi_task_t *task);

/*
 * Event loop.  Frees the response and makes every handle of the task stale.
 */
void ffi_task_destroy(ffi_task_t *task);

/* Event loop, or a thread that has polled the task. */
void *ffi_task_handle(const ffi_task_t *task);

/* Event loop.  The task in a slot, whatever it is used for; may be NULL. */
ffi_task_t *ffi_task_at(uint32_t number);

unsigned ffi_task_state(const ffi_task_t *task);

/* Event loop.  HELD -> QUEUED, or HELD -> DONE for a task nobody polls. */
void ffi_task_set_state(ffi_task_t *task, unsigned state);

/* Moves the task on; -1 when somebody else did or it is not in "from". */
int ffi_task_move(ffi_task_t *task, unsigned from, unsigned to);

/*
 * Any thread.  The TAKEN task that the handle names, or NULL: for reading the
 * request.
 */
ffi_task_t *ffi_task_find(const void *handle);

/*
 * Any thread.  TAKEN -> DONE: from here on the caller alone owns the task and
 * must push it to the done list.  NULL for a stale or forged handle and for a
 * task that was answered already.
 */
ffi_task_t *ffi_task_claim(const void *handle);

/* The claimer.  Copies the response; -1 without memory. */
int ffi_task_copy_response(ffi_task_t *task, int rc, const char *rsp,
    size_t len);

/* The claimer.  Takes a malloc()ed response over; NULL is nil. */
void ffi_task_take_response(ffi_task_t *task, int rc, char *rsp, size_t len);

/* The claimer.  Responds with a static message. */
void ffi_task_static_response(ffi_task_t *task, int rc, const char *msg);


/* The list's owner. */

static inline void
ffi_task_link_append(ffi_task_link_t *list, ffi_task_link_t *link)
{
    link->prev = list->prev;
    link->next = list;
    list->prev->next = link;
    list->prev = link;
}


static inline void
ffi_task_link_remove(ffi_task_link_t *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
}


static inline void
ffi_task_list_init(ffi_task_link_t *list)
{
    list->prev = list;
    list->next = list;
}


static inline int
ffi_task_list_empty(const ffi_task_link_t *list)
{
    return list->next == list;
}


static inline void
ffi_task_list_append(ffi_task_link_t *list, ffi_task_t *task)
{
    ffi_task_link_append(list, &task->link);
}


static inline void
ffi_task_list_remove(ffi_task_t *task)
{
    ffi_task_link_remove(&task->link);
}


/* Appends all tasks of a list to another one. */
static inline void
ffi_task_list_move(ffi_task_link_t *from, ffi_task_link_t *to)
{
    ffi_task_link_t  *link;

    while (!ffi_task_list_empty(from)) {
        link = from->next;
        ffi_task_link_remove(link);
        ffi_task_link_append(to, link);
    }
}


static inline ffi_task_t *
ffi_task_list_entry(ffi_task_link_t *link)
{
    return (ffi_task_t *) ((char *) link - offsetof(ffi_task_t, link));
}


#endif /* FFI_TASK_H_INCLUDED */
