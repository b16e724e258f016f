#include "ngx_http_lua_ffi_eventfd.h"


static void ngx_http_lua_ffi_eventfd_dummy(ngx_event_t *ev);


ngx_int_t
ngx_http_lua_ffi_eventfd_watch(ngx_http_lua_ffi_eventfd_t *efd, int fd,
    ngx_event_handler_pt handler, ngx_cycle_t *cycle)
{
    ngx_connection_t  *c;

    c = &efd->conn;

    c->fd = fd;
    c->read = &efd->read;
    c->write = &efd->write;
    c->log = cycle->log;

    c->read->data = c;
    c->read->log = cycle->log;
    c->read->handler = handler;

    /* not in the lists that some event methods keep */
    c->read->index = NGX_INVALID_INDEX;
    c->write->index = NGX_INVALID_INDEX;

    c->write->data = c;
    c->write->log = cycle->log;
    c->write->handler = ngx_http_lua_ffi_eventfd_dummy;

    /* event methods that find connections by descriptor */
    if (cycle->files != NULL && (ngx_uint_t) fd < cycle->files_n) {
        cycle->files[fd] = c;
    }

    return ngx_add_event(c->read, NGX_READ_EVENT,
                         (ngx_event_flags & NGX_USE_CLEAR_EVENT)
                             ? NGX_CLEAR_EVENT : NGX_LEVEL_EVENT);
}


void
ngx_http_lua_ffi_eventfd_clear(ngx_http_lua_ffi_eventfd_t *efd)
{
    uint64_t  count;

    if (!(ngx_event_flags & NGX_USE_CLEAR_EVENT)) {
        (void) ngx_read_fd(efd->conn.fd, &count, sizeof(count));
    }
}


static void
ngx_http_lua_ffi_eventfd_dummy(ngx_event_t *ev)
{
}
