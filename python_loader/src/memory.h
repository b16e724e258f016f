/*
 * The memory of the interpreter.  Python leaks some at its end, most of all
 * what extensions never give back: all that it got goes with it.
 */

#ifndef MEMORY_H_INCLUDED
#define MEMORY_H_INCLUDED


/* Before anything else of Python.  Returns 0, or -1 without memory. */
int memory_install(void);

/*
 * After Python's end, when nothing refers to its memory any more and before
 * libpython is unmapped.
 */
void memory_release(void);


#endif /* MEMORY_H_INCLUDED */
