#include "python_system.h"

#include "memory.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>


/* Goes before each block; as large as the alignment of malloc(). */
typedef struct block_s  block_t;

struct block_s {
    _Alignas(max_align_t) block_t  *next;
    block_t                        *prev;
};


typedef struct arena_s  arena_t;

struct arena_s {
    arena_t  *next;
    void     *address;
    size_t    size;
};


static PyObjectArenaAllocator  arena_allocator;      /* Python's own */

/* the raw allocator is called without the GIL, too */
static pthread_mutex_t  lock = PTHREAD_MUTEX_INITIALIZER;

/* guarded by lock */
static block_t          blocks = { &blocks, &blocks };
static arena_t         *arenas;


static void
memory_lock(void)
{
    pthread_mutex_lock(&lock);
}


static void
memory_unlock(void)
{
    pthread_mutex_unlock(&lock);
}


static void *
block_add(block_t *block)
{
    if (block == NULL) {
        return NULL;
    }

    memory_lock();

    block->next = &blocks;
    block->prev = blocks.prev;
    blocks.prev->next = block;
    blocks.prev = block;

    memory_unlock();

    return block + 1;
}


static block_t *
block_remove(void *address)
{
    block_t  *block;

    if (address == NULL) {
        return NULL;
    }

    block = (block_t *) address - 1;

    memory_lock();

    block->next->prev = block->prev;
    block->prev->next = block->next;

    memory_unlock();

    return block;
}


static void *
raw_malloc(void *ctx, size_t size)
{
    return block_add(malloc(sizeof(block_t) + size));
}


static void *
raw_calloc(void *ctx, size_t n, size_t size)
{
    /* n * size fits: Python has seen to it */
    return block_add(calloc(1, sizeof(block_t) + n * size));
}


static void *
raw_realloc(void *ctx, void *address, size_t size)
{
    block_t  *block, *moved;

    block = block_remove(address);
    moved = realloc(block, sizeof(block_t) + size);

    if (moved == NULL && block != NULL) {
        (void) block_add(block);
        return NULL;
    }

    return block_add(moved);
}


static void
raw_free(void *ctx, void *address)
{
    free(block_remove(address));
}


static void *
arena_alloc(void *ctx, size_t size)
{
    arena_t  *arena;

    arena = malloc(sizeof(arena_t));
    if (arena == NULL) {
        return NULL;
    }

    arena->size = size;
    arena->address = arena_allocator.alloc(arena_allocator.ctx, size);

    if (arena->address == NULL) {
        free(arena);
        return NULL;
    }

    memory_lock();
    arena->next = arenas;
    arenas = arena;
    memory_unlock();

    return arena->address;
}


static void
arena_free(void *ctx, void *address, size_t size)
{
    arena_t  *arena, **last;

    memory_lock();

    for (last = &arenas; (*last)->address != address; last = &(*last)->next) {
        /* there is one */
    }

    arena = *last;
    *last = arena->next;

    memory_unlock();

    arena_allocator.free(arena_allocator.ctx, address, size);
    free(arena);
}


int
memory_install(void)
{
    PyMemAllocatorEx        raw = { NULL, raw_malloc, raw_calloc, raw_realloc,
                                    raw_free };
    PyObjectArenaAllocator  arena = { NULL, arena_alloc, arena_free };

    /* a thread that holds the lock is not there in a forked child */
    if (pthread_atfork(memory_lock, memory_unlock, memory_unlock) != 0) {
        return -1;
    }

    PyMem_SetAllocator(PYMEM_DOMAIN_RAW, &raw);

    PyObject_GetArenaAllocator(&arena_allocator);
    PyObject_SetArenaAllocator(&arena);

    return 0;
}


void
memory_release(void)
{
    arena_t  *arena;
    block_t  *block;

    while (blocks.next != &blocks) {
        block = blocks.next;
        blocks.next = block->next;
        free(block);
    }

    while (arenas != NULL) {
        arena = arenas;
        arenas = arena->next;
        arena_allocator.free(arena_allocator.ctx, arena->address, arena->size);
        free(arena);
    }
}
