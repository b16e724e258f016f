/* Never starts; its cfg, when it has one, is the reason. */

#include <string.h>
#include "ngx_http_lua_ffi.h"


int
libffi_init(char *cfg, void *tq)
{
    if (cfg) {
        ngx_http_lua_ffi_set_error(tq, cfg, strlen(cfg));
    }

    return 7;
}
