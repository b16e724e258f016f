#include "ffi_handle.h"

#include <stdlib.h>
#include <string.h>


_Static_assert(sizeof(void *) == 8, "handles need 64-bit pointers");


#define FFI_HANDLE_KIND_SHIFT  (FFI_HANDLE_SLOT_BITS + FFI_HANDLE_GEN_BITS)


static int ffi_table_grow(ffi_table_t *table);


void
ffi_table_init(ffi_table_t *table, ffi_handle_kind_e kind, size_t size)
{
    table->kind = kind;
    table->size = size;
}


static int
ffi_table_grow(ffi_table_t *table)
{
    char        *slab;
    uint32_t     i;
    ffi_slot_t  *slot;

    if (table->nslabs == FFI_SLAB_MAX) {
        return -1;
    }

    slab = aligned_alloc(FFI_CACHE_LINE, FFI_SLAB_SLOTS * table->size);
    if (slab == NULL) {
        return -1;
    }

    memset(slab, 0, FFI_SLAB_SLOTS * table->size);

    for (i = 0; i < FFI_SLAB_SLOTS; i++) {
        slot = (ffi_slot_t *) (slab + i * table->size);

        slot->number = table->nslabs * FFI_SLAB_SLOTS + i;
        slot->kind = table->kind;
        atomic_init(&slot->word, ffi_slot_word(1, FFI_SLOT_FREE));

        ffi_table_give(table, slot);
    }

    /* pairs with the acquire in ffi_table_find() */
    atomic_store_explicit(&table->slabs[table->nslabs], slab,
                          memory_order_release);
    table->nslabs++;

    return 0;
}


ffi_slot_t *
ffi_table_take(ffi_table_t *table)
{
    ffi_slot_t  *slot;

    if (table->free == NULL && ffi_table_grow(table) != 0) {
        return NULL;
    }

    slot = table->free;
    table->free = slot->next;

    return slot;
}


void
ffi_slot_retire(ffi_slot_t *slot)
{
    uint64_t  gen;

    gen = ffi_slot_gen(atomic_load_explicit(&slot->word,
                                            memory_order_relaxed));
    gen = (gen + 1) & FFI_HANDLE_GEN_MASK;

    /*
     * seq_cst: pairs with a reader that announces itself and then compares
     * the generation (ffi_queue.c)
     */
    atomic_store(&slot->word, ffi_slot_word(gen, FFI_SLOT_FREE));
}


void
ffi_table_give(ffi_table_t *table, ffi_slot_t *slot)
{
    slot->next = NULL;

    if (table->free == NULL) {
        table->free = slot;

    } else {
        table->free_last->next = slot;
    }

    table->free_last = slot;
}


void *
ffi_slot_handle(const ffi_slot_t *slot)
{
    uint64_t  gen;

    gen = ffi_slot_gen(atomic_load_explicit(&slot->word,
                                            memory_order_relaxed));

    return (void *) (uintptr_t) ((uint64_t) slot->kind << FFI_HANDLE_KIND_SHIFT
                                 | gen << FFI_HANDLE_SLOT_BITS
                                 | slot->number);
}


ffi_slot_t *
ffi_table_at(ffi_table_t *table, uint32_t number)
{
    char  *slab;

    /* pairs with the release in ffi_table_grow() */
    slab = atomic_load_explicit(&table->slabs[number / FFI_SLAB_SLOTS],
                                memory_order_acquire);
    if (slab == NULL) {
        return NULL;
    }

    return (ffi_slot_t *) (slab + (number % FFI_SLAB_SLOTS) * table->size);
}


ffi_slot_t *
ffi_table_find(ffi_table_t *table, const void *handle, uint64_t *gen)
{
    uint64_t  bits;

    bits = (uint64_t) (uintptr_t) handle;

    if (bits >> FFI_HANDLE_KIND_SHIFT != table->kind) {
        return NULL;
    }

    *gen = (bits >> FFI_HANDLE_SLOT_BITS) & FFI_HANDLE_GEN_MASK;

    return ffi_table_at(table, bits & FFI_HANDLE_SLOT_MASK);
}
