#include "ngx_http_lua_ffi_location.h"

#include "ngx_http_lua_ffi_module.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static ngx_uint_t ngx_http_lua_ffi_location_try(
    ngx_http_lua_ffi_location_t *location, const char *dir, size_t dir_len,
    const char *file);
static void ngx_http_lua_ffi_location_own_dir(char *dir);


static ngx_uint_t
ngx_http_lua_ffi_location_try(ngx_http_lua_ffi_location_t *location,
    const char *dir, size_t dir_len, const char *file)
{
    int  n;

    n = snprintf(location->path, sizeof(location->path), "%.*s/%s",
                 (int) dir_len, dir, file);

    if (n < 0 || (size_t) n >= sizeof(location->path)) {
        return 0;
    }

    location->found = stat(location->path, &location->st) == 0
                      && S_ISREG(location->st.st_mode);

    return location->found;
}


/*
 * The folder of this module, where its loaders are installed; the real one,
 * since a package puts a link to it where nginx looks for modules.
 */
static void
ngx_http_lua_ffi_location_own_dir(char *dir)
{
    char     *slash;
    Dl_info   info;

    *dir = '\0';

    if (dladdr(&ngx_http_lua_ffi_module, &info) == 0
        || realpath(info.dli_fname, dir) == NULL)
    {
        *dir = '\0';
        return;
    }

    slash = strrchr(dir, '/');

    if (slash != NULL) {
        *slash = '\0';
    }
}


ngx_int_t
ngx_http_lua_ffi_location_find(ngx_str_t *name,
    ngx_http_lua_ffi_location_t *location, char **error)
{
    char                      file[NAME_MAX + 1], own[PATH_MAX];
    ngx_str_t                *dir;
    ngx_uint_t                i, is_so;
    ngx_http_lua_ffi_conf_t  *conf;

    location->found = 0;

    if (ngx_strlchr(name->data, name->data + name->len, '/') != NULL) {

        if (name->len >= PATH_MAX - ngx_cycle->prefix.len) {
            *error = strdup("the path is too long");
            return NGX_ERROR;
        }

        (void) snprintf(location->path, sizeof(location->path), "%.*s%.*s",
                        name->data[0] == '/' ? 0 : (int) ngx_cycle->prefix.len,
                        (char *) ngx_cycle->prefix.data,
                        (int) name->len, (char *) name->data);

        if (stat(location->path, &location->st) != 0) {
            if (asprintf(error, "cannot find \"%s\": %s", location->path,
                         strerror(errno)) == -1)
            {
                *error = NULL;
            }

            return NGX_ERROR;
        }

        location->found = 1;
        return NGX_OK;
    }

    if (name->len > NAME_MAX - (sizeof("lib.so") - 1)) {
        *error = strdup("the name is too long");
        return NGX_ERROR;
    }

    is_so = name->len > 3
            && ngx_strncmp(name->data + name->len - 3, ".so", 3) == 0;

    (void) snprintf(file, sizeof(file), is_so ? "%.*s" : "lib%.*s.so",
                    (int) name->len, (char *) name->data);

    conf = ngx_http_lua_ffi_conf();

    if (conf->library_path != NULL) {
        dir = conf->library_path->elts;

        for (i = 0; i < conf->library_path->nelts; i++) {
            if (ngx_http_lua_ffi_location_try(location, (char *) dir[i].data,
                                           dir[i].len, file))
            {
                return NGX_OK;
            }
        }
    }

    ngx_http_lua_ffi_location_own_dir(own);

    if (!ngx_http_lua_ffi_location_try(location, own, strlen(own), file)) {
        (void) snprintf(location->path, sizeof(location->path), "%s", file);
    }

    return NGX_OK;
}
