/* Responds with the VERSION that it was compiled with: tells copies apart. */

#include "serve.h"


#ifndef VERSION
#define VERSION  1
#endif

#define TEXT_OF(x)  #x
#define TEXT(x)     TEXT_OF(x)


static void
tell_version(void *task, void *data)
{
    answer(task, 0, TEXT(VERSION));
}


int
libffi_init(char *cfg, void *tq)
{
    return serve(tq, tell_version, NULL);
}
