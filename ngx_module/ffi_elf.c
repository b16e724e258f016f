#include "ffi_elf.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>


/* A file as mapped; every offset in it is checked before it is followed. */
typedef struct {
    const char        *file;
    const char        *origin;
    const char        *data;
    size_t             size;

    const Elf64_Phdr  *headers;
    size_t             nheaders;

    const Elf64_Dyn   *dynamic;
    size_t             ndynamic;

    const char        *strings;
    size_t             strings_size;

    void             (*found)(const char *path, void *data);
    void              *found_data;
} ffi_elf_t;


static int ffi_elf_map(ffi_elf_t *elf);
static const void *ffi_elf_at(const ffi_elf_t *elf, uint64_t offset,
    uint64_t size);
static int ffi_elf_headers(ffi_elf_t *elf);
static int ffi_elf_dynamic(ffi_elf_t *elf);
static const char *ffi_elf_strings(const ffi_elf_t *elf, uint64_t address,
    size_t *size);
static const char *ffi_elf_string(const ffi_elf_t *elf, int64_t tag);
static void ffi_elf_needed(const ffi_elf_t *elf, const char *run_path);
static void ffi_elf_search(const ffi_elf_t *elf, const char *run_path,
    const char *name);
static int ffi_elf_expand(const ffi_elf_t *elf, const char *dir, size_t len,
    const char *name, char path[PATH_MAX]);


int
ffi_elf_truncated(const char *file)
{
    int                truncated;
    size_t             i;
    ffi_elf_t          elf = { .file = file };
    const Elf64_Phdr  *ph;

    if (ffi_elf_map(&elf) != 0) {
        return 0;
    }

    truncated = 0;

    if (ffi_elf_headers(&elf) != 0) {
        elf.nheaders = 0;
    }

    for (i = 0; i < elf.nheaders; i++) {
        ph = &elf.headers[i];

        if (ph->p_type == PT_LOAD
            && ffi_elf_at(&elf, ph->p_offset, ph->p_filesz) == NULL)
        {
            truncated = 1;
        }
    }

    (void) munmap((void *) elf.data, elf.size);

    return truncated;
}


void
ffi_elf_origin_needed(const char *file, const char *origin,
    void (*found)(const char *path, void *data), void *data)
{
    ffi_elf_t    elf = { .file = file, .origin = origin, .found = found,
                         .found_data = data };
    const char  *run_path;

    if (ffi_elf_map(&elf) != 0) {
        return;
    }

    if (ffi_elf_headers(&elf) == 0 && ffi_elf_dynamic(&elf) == 0) {

        run_path = ffi_elf_string(&elf, DT_RUNPATH);

        if (run_path == NULL) {
            run_path = ffi_elf_string(&elf, DT_RPATH);
        }

        if (run_path != NULL) {
            ffi_elf_needed(&elf, run_path);
        }
    }

    (void) munmap((void *) elf.data, elf.size);
}


int
ffi_elf_resident(const char *file)
{
    int        resident;
    size_t     i;
    ffi_elf_t  elf = { .file = file };

    if (ffi_elf_map(&elf) != 0) {
        return 0;
    }

    if (ffi_elf_headers(&elf) != 0 || ffi_elf_dynamic(&elf) != 0) {
        elf.ndynamic = 0;
    }

    resident = 0;

    for (i = 0; i < elf.ndynamic; i++) {
        if (elf.dynamic[i].d_tag == DT_FLAGS_1
            && elf.dynamic[i].d_un.d_val & DF_1_NODELETE)
        {
            resident = 1;
        }
    }

    (void) munmap((void *) elf.data, elf.size);

    return resident;
}


static int
ffi_elf_map(ffi_elf_t *elf)
{
    int          fd;
    void        *p;
    struct stat  st;

    fd = open(elf->file, O_RDONLY|O_CLOEXEC);
    if (fd == -1) {
        return -1;
    }

    p = MAP_FAILED;

    if (fstat(fd, &st) == 0 && st.st_size > 0) {
        p = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    }

    (void) close(fd);

    if (p == MAP_FAILED) {
        return -1;
    }

    elf->data = p;
    elf->size = st.st_size;

    return 0;
}


static const void *
ffi_elf_at(const ffi_elf_t *elf, uint64_t offset, uint64_t size)
{
    if (offset > elf->size || size > elf->size - offset) {
        return NULL;
    }

    return elf->data + offset;
}


static int
ffi_elf_headers(ffi_elf_t *elf)
{
    const Elf64_Ehdr  *header;

    header = ffi_elf_at(elf, 0, sizeof(Elf64_Ehdr));

    if (header == NULL
        || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0
        || header->e_ident[EI_CLASS] != ELFCLASS64
        || header->e_phentsize != sizeof(Elf64_Phdr)
        || header->e_phoff % _Alignof(Elf64_Phdr) != 0)
    {
        return -1;
    }

    elf->nheaders = header->e_phnum;
    elf->headers = ffi_elf_at(elf, header->e_phoff,
                              elf->nheaders * sizeof(Elf64_Phdr));

    return elf->headers != NULL ? 0 : -1;
}


static int
ffi_elf_dynamic(ffi_elf_t *elf)
{
    size_t             i, size;
    uint64_t           address;
    const Elf64_Phdr  *ph;

    for (i = 0; i < elf->nheaders; i++) {
        ph = &elf->headers[i];

        if (ph->p_type == PT_DYNAMIC
            && ph->p_offset % _Alignof(Elf64_Dyn) == 0)
        {
            elf->dynamic = ffi_elf_at(elf, ph->p_offset, ph->p_filesz);
            elf->ndynamic = ph->p_filesz / sizeof(Elf64_Dyn);
        }
    }

    if (elf->dynamic == NULL) {
        return -1;
    }

    address = 0;
    size = 0;

    for (i = 0; i < elf->ndynamic && elf->dynamic[i].d_tag != DT_NULL; i++) {
        if (elf->dynamic[i].d_tag == DT_STRTAB) {
            address = elf->dynamic[i].d_un.d_ptr;
        }

        if (elf->dynamic[i].d_tag == DT_STRSZ) {
            size = elf->dynamic[i].d_un.d_val;
        }
    }

    elf->ndynamic = i;
    elf->strings_size = size;
    elf->strings = ffi_elf_strings(elf, address, &elf->strings_size);

    return elf->strings != NULL ? 0 : -1;
}


/* The string table is given by the address that it will be mapped at. */
static const char *
ffi_elf_strings(const ffi_elf_t *elf, uint64_t address, size_t *size)
{
    size_t             i;
    const char        *strings;
    const Elf64_Phdr  *ph;

    for (i = 0; i < elf->nheaders; i++) {
        ph = &elf->headers[i];

        if (ph->p_type != PT_LOAD
            || address < ph->p_vaddr
            || address - ph->p_vaddr >= ph->p_filesz)
        {
            continue;
        }

        strings = ffi_elf_at(elf, ph->p_offset + (address - ph->p_vaddr),
                             *size);

        /* with its last byte a NUL, every string in it ends */
        if (strings != NULL && *size > 0 && strings[*size - 1] == '\0') {
            return strings;
        }
    }

    return NULL;
}


/* The string of the first entry with that tag, or NULL. */
static const char *
ffi_elf_string(const ffi_elf_t *elf, int64_t tag)
{
    size_t  i;

    for (i = 0; i < elf->ndynamic; i++) {
        if (elf->dynamic[i].d_tag == tag
            && elf->dynamic[i].d_un.d_val < elf->strings_size)
        {
            return elf->strings + elf->dynamic[i].d_un.d_val;
        }
    }

    return NULL;
}


static void
ffi_elf_needed(const ffi_elf_t *elf, const char *run_path)
{
    size_t       i;
    const char  *name;

    for (i = 0; i < elf->ndynamic; i++) {
        if (elf->dynamic[i].d_tag != DT_NEEDED
            || elf->dynamic[i].d_un.d_val >= elf->strings_size)
        {
            continue;
        }

        name = elf->strings + elf->dynamic[i].d_un.d_val;

        if (strchr(name, '/') == NULL) {
            ffi_elf_search(elf, run_path, name);
        }
    }
}


static void
ffi_elf_search(const ffi_elf_t *elf, const char *run_path, const char *name)
{
    char         path[PATH_MAX];
    size_t       len;
    const char  *dir;

    for (dir = run_path; *dir != '\0'; dir += len + (dir[len] == ':')) {
        len = strcspn(dir, ":");

        if (ffi_elf_expand(elf, dir, len, name, path) == 0
            && access(path, F_OK) == 0)
        {
            elf->found(path, elf->found_data);
            return;
        }
    }
}


/* -1 for a folder that is not relative to the file's. */
static int
ffi_elf_expand(const ffi_elf_t *elf, const char *dir, size_t len,
    const char *name, char path[PATH_MAX])
{
    int          n, origin;
    size_t       i, skip;
    const char  *slash;

    static const char  *const tokens[] = { "$ORIGIN", "${ORIGIN}" };

    skip = 0;

    for (i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        if (strncmp(dir, tokens[i], strlen(tokens[i])) == 0) {
            skip = strlen(tokens[i]);
        }
    }

    slash = strrchr(elf->origin, '/');

    if (skip == 0 || skip > len || slash == NULL) {
        return -1;
    }

    origin = (int) (slash - elf->origin);

    n = snprintf(path, PATH_MAX, "%.*s%.*s/%s", origin, elf->origin,
                 (int) (len - skip), dir + skip, name);

    return n > 0 && n < PATH_MAX ? 0 : -1;
}
