/* Child processes that Java code starts. */

#ifndef CHILD_H_INCLUDED
#define CHILD_H_INCLUDED


/*
 * Once per process.  From now on a child that a thread of Java forks can be
 * told to terminate.
 */
void child_install(void);


#endif /* CHILD_H_INCLUDED */
