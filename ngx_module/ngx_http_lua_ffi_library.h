/*
 * Libraries and their images.  A library is a name that the user loads; an
 * image is one mapping of its file.  Opening, starting, ending and closing
 * run guest code and may block, so that each runs as an operation on a thread
 * of its own, one at a time for a library.
 */

#ifndef _NGX_HTTP_LUA_FFI_LIBRARY_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_LIBRARY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pthread.h>

#include "ffi_queue.h"
#include "ngx_http_lua_ffi_image.h"


typedef struct ngx_http_lua_ffi_library_s  ngx_http_lua_ffi_library_t;

typedef struct ngx_http_lua_ffi_op_s       ngx_http_lua_ffi_op_t;


typedef void (*ngx_http_lua_ffi_op_handler_pt)(ngx_http_lua_ffi_op_t *op);


struct ngx_http_lua_ffi_op_s {
    ngx_http_lua_ffi_op_t          *next;
    ngx_http_lua_ffi_library_t     *library;
    pthread_t                       thread;      /* to be joined or detached */
    unsigned                        started:1;

    /* run on the operation's thread, then on the event loop */
    ngx_http_lua_ffi_op_handler_pt  run;
    ngx_http_lua_ffi_op_handler_pt  done;
    void                           *data;        /* the owner's */

    /* set before the operation starts */
    ffi_queue_t                    *queue;
    char                           *cfg;         /* NULL: nil */
    pthread_t                       load_thread;
    unsigned                        joins:1;     /* load_thread first */
    unsigned                        fini:1;      /* call libffi_fini() */
    unsigned                        fresh:1;
    unsigned                        unpin:1;
    unsigned                        global:1;

    /* set by the operation's thread; a load's image, an unload's, too */
    ngx_http_lua_ffi_image_t       *image;
    unsigned                        failed:1;
    char                           *error;       /* why; malloc()ed; NULL: no
                                                    memory for the reason */
    const char                     *notice;      /* static; NULL: none */
    const char                     *warning;     /* the same */
};


/*
 * Event loop.  Starts operations when it can: at once, or after the ones that
 * the library has before.  NGX_ERROR without memory.
 */
ngx_int_t ngx_http_lua_ffi_library_load(ngx_http_lua_ffi_op_t *op,
    ngx_str_t *name);
void ngx_http_lua_ffi_library_unload(ngx_http_lua_ffi_op_t *op);

/* Event loop.  Takes a load back that has not started, else NGX_DECLINED. */
ngx_int_t ngx_http_lua_ffi_library_cancel(ngx_http_lua_ffi_op_t *op);

/* Event loop, before an operation that was loaded once is freed. */
void ngx_http_lua_ffi_library_release(ngx_http_lua_ffi_op_t *op);

/* Event loop.  How many images of the operation's library are mapped. */
ngx_uint_t ngx_http_lua_ffi_library_mapped(ngx_http_lua_ffi_op_t *op);

/* Event loop.  Calls done() for each operation that has ended. */
void ngx_http_lua_ffi_library_drain(void);


#endif /* _NGX_HTTP_LUA_FFI_LIBRARY_H_INCLUDED_ */
