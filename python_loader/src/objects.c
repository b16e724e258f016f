#include "objects.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


/* Opens of one object that are taken back at most. */
#define OPENS_MAX  1000

#define INIT_PREFIX  "PyInit_"


/* An object's dynamic section. */
typedef struct {
    const ElfW(Dyn)   *entries;
    ElfW(Addr)         base;
    const char        *strings;
    const ElfW(Sym)   *symbols;
    const uint32_t    *gnu_hash;
    const uint32_t    *hash;
    ElfW(Xword)        flags;
} dynamic_t;


static int
add_name(struct dl_phdr_info *info, size_t size, void *data)
{
    char       **names;
    objects_t   *objects = data;

    if (info->dlpi_name[0] == '\0') {
        return 0;
    }

    names = realloc(objects->names, (objects->n + 1) * sizeof(char *));
    if (names == NULL) {
        return -1;
    }

    objects->names = names;
    names[objects->n] = strdup(info->dlpi_name);

    return names[objects->n] != NULL ? (objects->n++, 0) : -1;
}


objects_t *
objects_list(void)
{
    objects_t  *objects;

    objects = calloc(1, sizeof(objects_t));

    if (objects != NULL && dl_iterate_phdr(add_name, objects) != 0) {
        objects_free(objects);
        return NULL;
    }

    return objects;
}


void
objects_free(objects_t *objects)
{
    if (objects == NULL) {
        return;
    }

    while (objects->n > 0) {
        free(objects->names[--objects->n]);
    }

    free(objects->names);
    free(objects);
}


bool
objects_has(const objects_t *objects, const char *name)
{
    size_t  i;

    for (i = 0; i < objects->n; i++) {
        if (strcmp(objects->names[i], name) == 0) {
            return true;
        }
    }

    return false;
}


const char *
objects_find(const objects_t *objects, const char *prefix)
{
    size_t       i;
    const char  *name, *slash;

    for (i = 0; i < objects->n; i++) {
        name = objects->names[i];
        slash = strrchr(name, '/');

        if (strncmp(slash != NULL ? slash + 1 : name, prefix, strlen(prefix))
            == 0)
        {
            return name;
        }
    }

    return NULL;
}


/* Where the dynamic linker has not relocated an entry it is an offset. */
static const void *
dynamic_address(const dynamic_t *dynamic, ElfW(Addr) address)
{
    return (const void *) (address < dynamic->base ? dynamic->base + address
                                                   : address);
}


static void
dynamic_read(dynamic_t *dynamic, const struct link_map *map)
{
    const ElfW(Dyn)  *entry;

    *dynamic = (dynamic_t) { .entries = map->l_ld, .base = map->l_addr };

    for (entry = map->l_ld; entry->d_tag != DT_NULL; entry++) {
        switch (entry->d_tag) {

        case DT_STRTAB:
            dynamic->strings = dynamic_address(dynamic, entry->d_un.d_ptr);
            break;

        case DT_SYMTAB:
            dynamic->symbols = dynamic_address(dynamic, entry->d_un.d_ptr);
            break;

        case DT_GNU_HASH:
            dynamic->gnu_hash = dynamic_address(dynamic, entry->d_un.d_ptr);
            break;

        case DT_HASH:
            dynamic->hash = dynamic_address(dynamic, entry->d_un.d_ptr);
            break;

        case DT_FLAGS_1:
            dynamic->flags = entry->d_un.d_val;
            break;
        }
    }
}


/* The number of symbols, undefined ones included, that come before the end of
 * what the hash table covers. */
static size_t
dynamic_symbols(const dynamic_t *dynamic)
{
    size_t           last, i;
    const uint32_t  *buckets, *chains, *header;

    if (dynamic->hash != NULL) {
        return dynamic->hash[1];
    }

    if (dynamic->gnu_hash == NULL) {
        return 0;
    }

    /* buckets, first hashed symbol, words of the bloom filter */
    header = dynamic->gnu_hash;
    buckets = header + 4 + header[2] * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
    chains = buckets + header[0];
    last = 0;

    for (i = 0; i < header[0]; i++) {
        last = buckets[i] > last ? buckets[i] : last;
    }

    if (last < header[1]) {
        return header[1];
    }

    while (!(chains[last - header[1]] & 1)) {
        last++;
    }

    return last + 1;
}


/*
 * The first definition of a unique symbol counts for the whole process, and
 * keeps its object mapped.  Those of the C++ library, opened first, are its.
 */
static bool
symbol_is_elsewhere(const char *name)
{
    bool   found;
    void  *handle;

    handle = dlopen("libstdc++.so.6", RTLD_LAZY|RTLD_NOLOAD);
    if (handle == NULL) {
        return false;
    }

    found = dlsym(handle, name) != NULL;
    (void) dlclose(handle);

    return found;
}


static void
inspect_symbols(const dynamic_t *dynamic, objects_facts_t *facts)
{
    size_t            i, n;
    const char       *name;
    const ElfW(Sym)  *symbol;

    n = dynamic_symbols(dynamic);

    for (i = 0; i < n; i++) {
        symbol = &dynamic->symbols[i];
        name = dynamic->strings + symbol->st_name;

        if (symbol->st_shndx == SHN_UNDEF) {
            continue;
        }

        if (strncmp(name, INIT_PREFIX, sizeof(INIT_PREFIX) - 1) == 0) {
            facts->extension = true;
        }

        if (ELF64_ST_BIND(symbol->st_info) == STB_GNU_UNIQUE
            && facts->unique[0] == '\0' && !symbol_is_elsewhere(name))
        {
            snprintf(facts->unique, OBJECTS_SYMBOL_MAX, "%s", name);
        }
    }
}


bool
objects_inspect(const char *name, objects_facts_t *facts)
{
    void             *handle;
    dynamic_t         dynamic;
    const ElfW(Dyn)  *entry;
    struct link_map  *map;

    *facts = (objects_facts_t) { 0 };

    /* held, it cannot be unmapped meanwhile */
    handle = dlopen(name, RTLD_LAZY|RTLD_NOLOAD);
    if (handle == NULL) {
        return false;
    }

    if (dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0) {
        dynamic_read(&dynamic, map);
        facts->nodelete = (dynamic.flags & DF_1_NODELETE) != 0;

        for (entry = dynamic.entries; entry->d_tag != DT_NULL; entry++) {
            if (entry->d_tag == DT_NEEDED
                && strncmp(dynamic.strings + entry->d_un.d_val, "libpython3",
                           sizeof("libpython3") - 1) == 0)
            {
                facts->links_python = true;
            }
        }

        inspect_symbols(&dynamic, facts);
    }

    (void) dlclose(handle);

    return true;
}


/* Whether it is mapped still; one whose thread has ended now may go by this. */
static bool
is_mapped(const char *name)
{
    void  *handle;

    handle = dlopen(name, RTLD_LAZY|RTLD_NOLOAD);

    return handle != NULL && (dlclose(handle), true);
}


void
objects_close(const char *name)
{
    int    n;
    void  *handle;

    for (n = 0; n < OPENS_MAX && is_mapped(name); n++) {
        handle = dlopen(name, RTLD_LAZY|RTLD_NOLOAD);
        if (handle == NULL) {
            return;
        }

        /* what this has opened, and one more */
        (void) dlclose(handle);
        (void) dlclose(handle);
    }
}
