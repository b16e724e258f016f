/*
 * Child processes of libraries: they are the library's to wait for.
 *
 * nginx reaps every child of the process when SIGCHLD arrives, so that a
 * guest's waitpid() would find nothing and its exit status would be lost.
 */

#ifndef _NGX_HTTP_LUA_FFI_CHILD_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_CHILD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Event loop, before the first library is loaded.  From here on nginx is told
 * of SIGCHLD only when a child that the event loop's own thread started has
 * ended.  Where such a one ends at the same time as a guest's, nginx may reap
 * both.
 */
void ngx_http_lua_ffi_child_guard(void);


#endif /* _NGX_HTTP_LUA_FFI_CHILD_H_INCLUDED_ */
