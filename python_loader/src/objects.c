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


/* What objects_find() and its like look for. */
typedef struct search_s  search_t;

struct search_s {
    bool             (*matches)(const search_t *search,
                                struct dl_phdr_info *info);
    const char        *text;
    const objects_t   *before;
    size_t             skip;
    char              *name;
};


static int
add_name(struct dl_phdr_info *info, size_t size, void *data)
{
    char       *names;
    size_t      len;
    objects_t  *objects = data;

    if (info->dlpi_name[0] == '\0') {
        return 0;
    }

    len = strlen(info->dlpi_name) + 1;

    if (len > objects->size - objects->used) {
        names = realloc(objects->names, 2 * (objects->size + len));
        if (names == NULL) {
            return -1;
        }

        objects->names = names;
        objects->size = 2 * (objects->size + len);
    }

    memcpy(objects->names + objects->used, info->dlpi_name, len);
    objects->used += len;

    return 0;
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
    if (objects != NULL) {
        free(objects->names);
        free(objects);
    }
}


static bool
is_listed(const objects_t *objects, const char *name)
{
    const char  *listed;

    for (listed = objects->names; listed < objects->names + objects->used;
         listed += strlen(listed) + 1)
    {
        if (strcmp(listed, name) == 0) {
            return true;
        }
    }

    return false;
}


/* Where the dynamic linker has not relocated an entry it is an offset. */
static const void *
dynamic_address(const dynamic_t *dynamic, ElfW(Addr) address)
{
    return (const void *) (address < dynamic->base ? dynamic->base + address
                                                   : address);
}


static void
dynamic_read(dynamic_t *dynamic, const ElfW(Dyn) *entries, ElfW(Addr) base)
{
    const ElfW(Dyn)  *entry;

    *dynamic = (dynamic_t) { .entries = entries, .base = base };

    for (entry = entries; entry->d_tag != DT_NULL; entry++) {
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


static bool
is_extension_symbol(const dynamic_t *dynamic, const ElfW(Sym) *symbol)
{
    return symbol->st_shndx != SHN_UNDEF
           && strncmp(dynamic->strings + symbol->st_name, INIT_PREFIX,
                      sizeof(INIT_PREFIX) - 1) == 0;
}


static bool
is_extension(struct dl_phdr_info *info)
{
    size_t              i, n;
    dynamic_t           dynamic;
    const ElfW(Phdr)   *header;

    for (header = info->dlpi_phdr;
         header < info->dlpi_phdr + info->dlpi_phnum
         && header->p_type != PT_DYNAMIC;
         header++)
    {
        /* void */
    }

    if (header == info->dlpi_phdr + info->dlpi_phnum) {
        return false;
    }

    dynamic_read(&dynamic,
                 (const ElfW(Dyn) *) (info->dlpi_addr + header->p_vaddr),
                 info->dlpi_addr);

    n = dynamic_symbols(&dynamic);

    for (i = 0; i < n; i++) {
        if (is_extension_symbol(&dynamic, &dynamic.symbols[i])) {
            return true;
        }
    }

    return false;
}


static int
look_at(struct dl_phdr_info *info, size_t size, void *data)
{
    search_t  *search = data;

    if (info->dlpi_name[0] == '\0' || !search->matches(search, info)
        || search->skip-- > 0)
    {
        return 0;
    }

    if (search->name != NULL) {
        snprintf(search->name, OBJECTS_NAME_MAX, "%s", info->dlpi_name);
    }

    return 1;
}


static bool
has_name(const search_t *search, struct dl_phdr_info *info)
{
    return strcmp(info->dlpi_name, search->text) == 0;
}


bool
objects_is_mapped(const char *name)
{
    search_t  search = { .matches = has_name, .text = name };

    return dl_iterate_phdr(look_at, &search) != 0;
}


bool
objects_begins(const char *name, const char *prefix)
{
    const char  *slash;

    slash = strrchr(name, '/');

    return strncmp(slash != NULL ? slash + 1 : name, prefix, strlen(prefix))
           == 0;
}


static bool
has_prefix(const search_t *search, struct dl_phdr_info *info)
{
    return objects_begins(info->dlpi_name, search->text);
}


bool
objects_find(const char *prefix, char *name)
{
    search_t  search = { .matches = has_prefix, .text = prefix, .name = name };

    return dl_iterate_phdr(look_at, &search) != 0;
}


static bool
is_new(const search_t *search, struct dl_phdr_info *info)
{
    return !is_listed(search->before, info->dlpi_name);
}


bool
objects_since(const objects_t *before, size_t n, char *name)
{
    search_t  search = { .matches = is_new, .before = before, .skip = n,
                         .name = name };

    return dl_iterate_phdr(look_at, &search) != 0;
}


static bool
is_new_extension(const search_t *search, struct dl_phdr_info *info)
{
    return is_new(search, info) && is_extension(info);
}


bool
objects_extension(const objects_t *before, size_t n, char *name)
{
    search_t  search = { .matches = is_new_extension, .before = before,
                         .skip = n, .name = name };

    return dl_iterate_phdr(look_at, &search) != 0;
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

        if (is_extension_symbol(dynamic, symbol)) {
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
        dynamic_read(&dynamic, map->l_ld, map->l_addr);
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


void
objects_close(const char *name)
{
    int    n;
    void  *handle;

    for (n = 0; n < OPENS_MAX && objects_is_mapped(name); n++) {
        handle = dlopen(name, RTLD_LAZY|RTLD_NOLOAD);

        /* NULL: no memory, or one whose thread has ended went by itself */
        if (handle != NULL) {
            /* what this has opened, and one more */
            (void) dlclose(handle);
            (void) dlclose(handle);
        }
    }
}
