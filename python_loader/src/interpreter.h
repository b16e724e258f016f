/*
 * The interpreter, started once and ended once while this library is mapped.
 *
 * One thread of its own initialises it, then sleeps, and finalises it: Python's
 * main thread stays alive all the time and runs no user code.
 */

#ifndef INTERPRETER_H_INCLUDED
#define INTERPRETER_H_INCLUDED


/*
 * Any thread that does not hold the GIL; blocks until Python runs.
 *
 * library  where the loader was found: its environment and its Python package
 *          are looked for from there.  Borrowed.
 *
 * Returns NULL, or why Python does not run (constant).
 */
const char *interpreter_start(const char *library);

/*
 * Any thread that does not hold the GIL, after interpreter_start(), whatever
 * came of that; blocks until Python has ended.  Nothing of it may be in use.
 */
void interpreter_end(void);

/*
 * Any thread.  Ends the process with that status if it is a forked child: the
 * calls are its parent's to answer, and so what a handler returns there is
 * nobody's.
 */
void interpreter_end_child(int status);


#endif /* INTERPRETER_H_INCLUDED */
