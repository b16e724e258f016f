/* Copies of files that do not change when the files do. */

#ifndef COPY_H_INCLUDED
#define COPY_H_INCLUDED


/*
 * Any thread; blocks.  The descriptor of a copy in memory, the caller's to
 * close, or -1 with errno.
 */
int copy_file(const char *path);


#endif /* COPY_H_INCLUDED */
