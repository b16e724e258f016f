/* Child processes that Java code starts. */

#ifndef CHILD_H_INCLUDED
#define CHILD_H_INCLUDED


/*
 * From now on a child that a thread of Java forks can be told to terminate.
 * Returns 0, or -1 without memory.
 */
int child_install(void);


#endif /* CHILD_H_INCLUDED */
