/* Linked with libdependency.so, which must lie beside it ($ORIGIN). */

#include "serve.h"


const char *dependency(void);


static void
tell(void *task, void *data)
{
    answer(task, 0, dependency());
}


int
libffi_init(char *cfg, void *tq)
{
    return serve(tq, tell, NULL);
}
