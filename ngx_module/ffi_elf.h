/*
 * What a shared object wants from its own folder: the dynamic linker finds
 * these for the file, but not for a copy of it.
 */

#ifndef FFI_ELF_H_INCLUDED
#define FFI_ELF_H_INCLUDED


/*
 * Calls found() for each library that the 64-bit ELF file needs and that is
 * in a folder of its run path given relative to $ORIGIN.  The path is
 * borrowed.  What is no such file needs nothing; whether it can be loaded is
 * the dynamic linker's to say.
 *
 * Any thread; reads the file.
 */
void ffi_elf_origin_needed(const char *file,
    void (*found)(const char *path, void *data), void *data);


#endif /* FFI_ELF_H_INCLUDED */
