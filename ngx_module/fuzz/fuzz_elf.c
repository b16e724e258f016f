/*
 * Files that are not what they say: whatever is in a library's file, nothing
 * beyond it is read, and what it is said to need is below its own folder.
 */

#include "../test/check.h"
#include "input.h"

#include "ffi_elf.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>


/* Files are found there: "$ORIGIN" and "exe", for one. */
#define FOLDER  "/proc/self"


static int          fd = -1;
static char         path[64];

/* The file as ffi_elf.c sees it: a copy in memory with an end to run over. */
static void        *copy;


void *__real_mmap(void *addr, size_t len, int prot, int flags, int fd,
    off_t offset);
int __real_munmap(void *addr, size_t len);
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd,
    off_t offset);
int __wrap_munmap(void *addr, size_t len);


void *
__wrap_mmap(void *addr, size_t len, int prot, int flags, int file,
    off_t offset)
{
    if (file == -1) {
        return __real_mmap(addr, len, prot, flags, file, offset);
    }

    check(copy == NULL);
    copy = malloc(len);
    check(copy != NULL);
    check(pread(file, copy, len, offset) == (ssize_t) len);

    return copy;
}


int
__wrap_munmap(void *addr, size_t len)
{
    if (addr != copy) {
        return __real_munmap(addr, len);
    }

    free(copy);
    copy = NULL;

    return 0;
}


static void
found(const char *file, void *data)
{
    unsigned  *n = data;

    check(strncmp(file, FOLDER, sizeof(FOLDER) - 1) == 0);
    check(strlen(file) < PATH_MAX);
    check(access(file, F_OK) == 0);

    (*n)++;
}


static void
write_file(const uint8_t *data, size_t size)
{
    if (fd == -1) {
        fd = memfd_create("elf", MFD_CLOEXEC);
        check(fd != -1);
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }

    check(ftruncate(fd, 0) == 0);
    check(pwrite(fd, data, size, 0) == (ssize_t) size);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int       truncated, resident;
    unsigned  n, again;

    write_file(data, size);

    truncated = ffi_elf_truncated(path);
    check(truncated == 0 || truncated == 1);

    resident = ffi_elf_resident(path);
    check(resident == 0 || resident == 1);

    n = 0;
    ffi_elf_origin_needed(path, FOLDER "/lib.so", found, &n);

    again = 0;
    ffi_elf_origin_needed(path, "lib.so", found, &again);
    check(again == 0);

    check(copy == NULL);

    return 0;
}
