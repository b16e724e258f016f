/* Defines, for needs_symbol.c, a function; of use when loaded globally. */

#include "serve.h"


const char *
greeting(void)
{
    return "hello";
}


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
