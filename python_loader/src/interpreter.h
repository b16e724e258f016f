/*
 * The interpreter: one per process, started at the first load and never ended.
 *
 * One thread of its own initialises it and then sleeps: Python's main thread
 * stays alive, runs no user code and is the only one that could finalise.
 */

#ifndef INTERPRETER_H_INCLUDED
#define INTERPRETER_H_INCLUDED


/*
 * Any thread; must not hold the GIL; blocks until the interpreter runs.
 * Starts it unless that was done before.
 *
 * library  where the loader was found: its environment and its Python package
 *          are looked for from there.  Borrowed.
 *
 * Returns NULL, or why Python does not run (constant, for ever): a start that
 * failed is not tried again in this process.
 */
const char *interpreter_start(const char *library);


#endif /* INTERPRETER_H_INCLUDED */
