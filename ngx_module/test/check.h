/* The least a unit test needs: a check that says where it failed. */

#ifndef CHECK_H_INCLUDED
#define CHECK_H_INCLUDED


#include <stdio.h>
#include <stdlib.h>


#define check(cond)                                                           \
    do {                                                                      \
        if (!(cond)) {                                                        \
            fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__,  \
                    #cond);                                                   \
            abort();                                                          \
        }                                                                     \
    } while (0)


#endif /* CHECK_H_INCLUDED */
