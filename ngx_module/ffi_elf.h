/*
 * What the file of a shared object says before the dynamic linker maps it.
 */

#ifndef FFI_ELF_H_INCLUDED
#define FFI_ELF_H_INCLUDED


/*
 * Whether the file is a 64-bit ELF file without all that it says it has.  The
 * dynamic linker maps such a one as if nothing were missing, and dies of
 * SIGBUS; it tells every other kind of bad file itself.
 *
 * Any thread; reads the file, which must not shrink meanwhile.
 */
int ffi_elf_truncated(const char *file);

/*
 * Whether the file is a library that dlclose() does not unmap (DF_1_NODELETE):
 * one whose threads never end, as those of Go.
 *
 * Any thread; reads the file, which must not shrink meanwhile.
 */
int ffi_elf_resident(const char *file);

/*
 * Calls found() for each library that the file needs and that is in a folder
 * of its run path given relative to $ORIGIN: that of the path origin.  The
 * path given to found() is borrowed.
 *
 * Any thread; reads the file, which must not shrink meanwhile.
 */
void ffi_elf_origin_needed(const char *file, const char *origin,
    void (*found)(const char *path, void *data), void *data);


#endif /* FFI_ELF_H_INCLUDED */
