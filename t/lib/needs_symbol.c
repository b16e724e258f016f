/* Calls a function that only has_symbol.c defines. */

#include "serve.h"


const char *greeting(void);


static void
greet(void *task, void *data)
{
    answer(task, 0, greeting());
}


int
libffi_init(char *cfg, void *tq)
{
    return serve(tq, greet, NULL);
}
