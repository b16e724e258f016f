/*
 * Checked handles: what libraries get instead of pointers.
 *
 * A table owns slots, allocated in slabs that are never freed, so that any
 * handle, however old or forged, can be looked up without touching freed
 * memory.  A handle is the slot's number, the generation of its present use
 * and the kind of table, packed into 64 bits:
 *
 *     63..60 kind   59..20 generation   19..0 slot
 *
 * The kind makes every handle greater than any user-space address, so that
 * neither Go's garbage collector nor a debugger takes one for a pointer.
 *
 * Free slots are reused first in, first out: with 40 bits of generation a
 * stale handle cannot match again within years of full load.
 */

#ifndef FFI_HANDLE_H_INCLUDED
#define FFI_HANDLE_H_INCLUDED


#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>


#define FFI_HANDLE_SLOT_BITS   20
#define FFI_HANDLE_SLOT_MASK   ((1u << FFI_HANDLE_SLOT_BITS) - 1)
#define FFI_HANDLE_GEN_BITS    40
#define FFI_HANDLE_GEN_MASK    ((UINT64_C(1) << FFI_HANDLE_GEN_BITS) - 1)

/* Small enough that a quiet worker's tasks stay in the first-level cache. */
#define FFI_SLAB_SLOTS         64
#define FFI_SLAB_MAX           ((1u << FFI_HANDLE_SLOT_BITS) / FFI_SLAB_SLOTS)

/* What two threads write at once is kept this many bytes apart. */
#define FFI_CACHE_LINE         64

#define FFI_SLOT_STATE_BITS    8
#define FFI_SLOT_STATE_MASK    ((1u << FFI_SLOT_STATE_BITS) - 1)

/* The state of a slot that is in no use; a user's own states start at 1. */
#define FFI_SLOT_FREE          0


typedef enum {
    FFI_HANDLE_TASK = 5,
    FFI_HANDLE_QUEUE = 6
} ffi_handle_kind_e;


/* The head of whatever a table holds. */
typedef struct ffi_slot_s  ffi_slot_t;

struct ffi_slot_s {
    /* generation << FFI_SLOT_STATE_BITS | state */
    _Atomic uint64_t          word;

    /* set once before start */
    uint32_t                  number;
    uint32_t                  kind;

    /* event loop only */
    ffi_slot_t               *next;
};


typedef struct {
    /* set once before start */
    ffi_handle_kind_e         kind;
    size_t                    size;

    /* grown by the event loop, read by any thread */
    _Atomic(char *)           slabs[FFI_SLAB_MAX];

    /* event loop only */
    uint32_t                  nslabs;
    ffi_slot_t               *free;
    ffi_slot_t               *free_last;
} ffi_table_t;


#define ffi_slot_word(gen, state)                                             \
    ((uint64_t) (gen) << FFI_SLOT_STATE_BITS | (state))
#define ffi_slot_gen(word)    ((word) >> FFI_SLOT_STATE_BITS)
#define ffi_slot_state(word)  ((unsigned) ((word) & FFI_SLOT_STATE_MASK))


/* size: bytes of an entry, whose first member is an ffi_slot_t. */
void ffi_table_init(ffi_table_t *table, ffi_handle_kind_e kind, size_t size);

/*
 * Event loop.  Takes a free slot; the entry's other members are as the last
 * user left them, zero at first.  NULL when memory or slot numbers ran out.
 * The slot stays FREE to other threads until the caller stores a state.
 */
ffi_slot_t *ffi_table_take(ffi_table_t *table);

/*
 * Event loop.  Ends the present generation: every handle of it is stale from
 * here on.
 */
void ffi_slot_retire(ffi_slot_t *slot);

/* Event loop.  Gives a retired slot back. */
void ffi_table_give(ffi_table_t *table, ffi_slot_t *slot);

/* Event loop, or any thread that knows the slot cannot be retired meanwhile. */
void *ffi_slot_handle(const ffi_slot_t *slot);

/*
 * Any thread.  The slot of that number (less than 2^FFI_HANDLE_SLOT_BITS), or
 * NULL.
 */
ffi_slot_t *ffi_table_at(ffi_table_t *table, uint32_t number);

/*
 * Any thread.  Finds the slot that a handle names and the generation it was
 * made for, which the caller must compare.  NULL for what was never a handle
 * of this table.
 */
ffi_slot_t *ffi_table_find(ffi_table_t *table, const void *handle,
    uint64_t *gen);


#endif /* FFI_HANDLE_H_INCLUDED */
