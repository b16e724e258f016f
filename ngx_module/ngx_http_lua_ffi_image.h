/*
 * Images: a library's file, mapped.  Opening and closing run the library's
 * constructors and destructors, so that all of this belongs on an operation's
 * thread (ngx_http_lua_ffi_library.h) and may block.
 */

#ifndef _NGX_HTTP_LUA_FFI_IMAGE_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_IMAGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_lua_ffi_location.h"


/*
 * How many libraries may be mapped that cannot be unmapped: each Go library,
 * and each private copy of one.  Each takes room of what the dynamic linker
 * keeps for thread-local variables, where the 215th fails if nothing else
 * wants any (glibc 2.36), and has some 3 MB of memory and 5 threads.
 */
#define NGX_HTTP_LUA_FFI_RESIDENT_MAX   128

/* From here on each load of another one is a warning. */
#define NGX_HTTP_LUA_FFI_RESIDENT_WARN  (NGX_HTTP_LUA_FFI_RESIDENT_MAX / 2)


typedef struct ngx_http_lua_ffi_image_s  ngx_http_lua_ffi_image_t;

/* Used by one operation of its library at a time. */
struct ngx_http_lua_ffi_image_s {
    ngx_http_lua_ffi_image_t       *next;        /* that is no copy */
    void                           *handle;
    int                             fd;          /* of a private copy, or -1 */
    char                           *path;
    struct stat                     st;
    unsigned                        found:1;

    int                           (*init)(char *cfg, void *tq);
    void                          (*fini)(void *tq);    /* or NULL */
    void                          (*close)(void *tq);   /* or NULL */
    void                          (*overdue)(void *tq, void *task);   /* too */

    ngx_http_lua_ffi_image_t       *older;       /* pinned, or NULL */
    ngx_uint_t                      users;       /* runtimes */
    unsigned                        pinned:1;
    unsigned                        global:1;
    unsigned                        stuck:1;     /* must never be unmapped */
    unsigned                        resident:1;  /* cannot be unmapped */
    unsigned                        told:1;      /* that unpin is in vain */
};


/* Where the dynamic linker has found it, the file as it is now. */
void ngx_http_lua_ffi_image_locate(ngx_http_lua_ffi_image_t *image,
    ngx_http_lua_ffi_location_t *location);

/* Whether the image was made from the file as it is now. */
ngx_uint_t ngx_http_lua_ffi_image_is(ngx_http_lua_ffi_image_t *image,
    ngx_http_lua_ffi_location_t *location);

/*
 * Maps the file: a private copy of it, which overwriting the file in place
 * cannot harm, or the file itself.  NULL: *error is malloc()ed.
 */
ngx_http_lua_ffi_image_t *ngx_http_lua_ffi_image_open(
    ngx_http_lua_ffi_location_t *location, ngx_uint_t copy,
    ngx_uint_t global, char **error);

/* Any thread.  How many libraries are mapped that cannot be unmapped. */
ngx_uint_t ngx_http_lua_ffi_image_residents(void);

/* Exports the symbols of an image that is mapped already. */
void ngx_http_lua_ffi_image_globalize(ngx_http_lua_ffi_image_t *image);

/*
 * Unmaps the image.  NGX_DECLINED: the dynamic linker keeps it, and it can be
 * used on.
 */
ngx_int_t ngx_http_lua_ffi_image_close(ngx_http_lua_ffi_image_t *image);

/* Frees the description of an image that is not mapped any more. */
void ngx_http_lua_ffi_image_free(ngx_http_lua_ffi_image_t *image);

/* The same for one that stays mapped and is of no use any more. */
void ngx_http_lua_ffi_image_leave(ngx_http_lua_ffi_image_t *image);


#endif /* _NGX_HTTP_LUA_FFI_IMAGE_H_INCLUDED_ */
