#include "check.h"
#include "ffi_handle.h"

#include <pthread.h>
#include <stdint.h>


#define READERS  4
#define ROUNDS   100000


static ffi_table_t   table;
static atomic_int    stop;
static _Atomic(void *)  shared;


static void *
handle_of(ffi_slot_t *slot)
{
    atomic_store(&slot->word,
                 ffi_slot_word(ffi_slot_gen(atomic_load(&slot->word)), 1));

    return ffi_slot_handle(slot);
}


static int
is_current(void *handle)
{
    uint64_t     gen;
    ffi_slot_t  *slot;

    slot = ffi_table_find(&table, handle, &gen);

    return slot != NULL && ffi_slot_gen(atomic_load(&slot->word)) == gen;
}


static void
a_handle_finds_its_slot_until_it_is_retired(void)
{
    void        *handle;
    ffi_slot_t  *slot;

    slot = ffi_table_take(&table);
    handle = handle_of(slot);

    check(is_current(handle));

    ffi_slot_retire(slot);
    check(!is_current(handle));

    ffi_table_give(&table, slot);
    check(!is_current(handle));
}


static void
a_handle_is_no_address(void)
{
    ffi_slot_t  *slot;

    slot = ffi_table_take(&table);

    check((uintptr_t) handle_of(slot) >> 60 == FFI_HANDLE_TASK);

    ffi_slot_retire(slot);
    ffi_table_give(&table, slot);
}


static void
what_is_no_handle_is_not_found(void)
{
    uint64_t   gen, bits;
    uint32_t   seed = 1;

    check(ffi_table_find(&table, NULL, &gen) == NULL);
    check(ffi_table_find(&table, &gen, &gen) == NULL);
    check(ffi_table_find(&table, (void *) UINTPTR_MAX, &gen) == NULL);

    for (int i = 0; i < ROUNDS; i++) {
        seed = seed * 1664525 + 1013904223;
        bits = (uint64_t) FFI_HANDLE_TASK << 60
               | (uint64_t) seed << 28 | (seed & FFI_HANDLE_SLOT_MASK);

        check(!is_current((void *) (uintptr_t) bits));
    }
}


static void
slots_are_reused_first_in_first_out(void)
{
    ffi_slot_t  *slots[FFI_SLAB_SLOTS];

    for (int i = 0; i < FFI_SLAB_SLOTS; i++) {
        slots[i] = ffi_table_take(&table);
    }

    for (int i = 0; i < FFI_SLAB_SLOTS; i++) {
        ffi_slot_retire(slots[i]);
        ffi_table_give(&table, slots[i]);
    }

    for (int i = 0; i < FFI_SLAB_SLOTS; i++) {
        check(ffi_table_take(&table) == slots[i]);
    }

    for (int i = 0; i < FFI_SLAB_SLOTS; i++) {
        ffi_table_give(&table, slots[i]);
    }
}


static void *
look_up(void *data)
{
    while (!atomic_load(&stop)) {
        (void) is_current(atomic_load(&shared));
    }

    return NULL;
}


/* for the sanitizers: lookups meet a table that grows */
static void
lookups_run_beside_growth(void)
{
    pthread_t    readers[READERS];
    ffi_slot_t  *slot;

    for (int i = 0; i < READERS; i++) {
        check(pthread_create(&readers[i], NULL, look_up, NULL) == 0);
    }

    for (int i = 0; i < ROUNDS; i++) {
        slot = ffi_table_take(&table);
        check(slot != NULL);
        atomic_store(&shared, handle_of(slot));
    }

    atomic_store(&stop, 1);

    for (int i = 0; i < READERS; i++) {
        check(pthread_join(readers[i], NULL) == 0);
    }
}


int
main(void)
{
    ffi_table_init(&table, FFI_HANDLE_TASK, sizeof(ffi_slot_t) * 2);

    a_handle_finds_its_slot_until_it_is_retired();
    a_handle_is_no_address();
    what_is_no_handle_is_not_found();
    slots_are_reused_first_in_first_out();
    lookups_run_beside_growth();

    return 0;
}
