#include "ngx_http_lua_ffi_workers.h"

#include "ngx_http_lua_ffi_eventfd.h"
#include "ngx_http_lua_ffi_module.h"

#include <signal.h>
#include <sys/eventfd.h>


/* Orders are small and few: this is what nginx needs to manage any memory. */
#define NGX_HTTP_LUA_FFI_SHARED_PAGES  64


static ngx_int_t ngx_http_lua_ffi_workers_init_zone(ngx_shm_zone_t *zone,
    void *data);
static ngx_int_t ngx_http_lua_ffi_workers_open(
    ngx_http_lua_ffi_workers_t *workers);
static void ngx_http_lua_ffi_workers_close(void *data);
static void ngx_http_lua_ffi_workers_rung(ngx_event_t *ev);
static ngx_slab_pool_t *ngx_http_lua_ffi_workers_pool(void);


static ngx_http_lua_ffi_eventfd_t  ngx_http_lua_ffi_bell;

static void                      (*ngx_http_lua_ffi_answer_bell)(void);


ngx_int_t
ngx_http_lua_ffi_workers_add(ngx_conf_t *cf,
    ngx_http_lua_ffi_workers_t *workers)
{
    ngx_str_t  name = ngx_string("ngx_http_lua_ffi");

    workers->zone = ngx_shared_memory_add(cf, &name,
                               NGX_HTTP_LUA_FFI_SHARED_PAGES * ngx_pagesize,
                               &ngx_http_lua_ffi_module);
    if (workers->zone == NULL) {
        return NGX_ERROR;
    }

    workers->cycle = cf->cycle;
    workers->zone->init = ngx_http_lua_ffi_workers_init_zone;
    workers->zone->data = workers;

    return NGX_OK;
}


/* A failure keeps the configuration of before; later it would end the master. */
static ngx_int_t
ngx_http_lua_ffi_workers_init_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t             *pool;
    ngx_http_lua_ffi_shared_t   *shared;
    ngx_http_lua_ffi_workers_t  *workers;

    pool = (ngx_slab_pool_t *) zone->shm.addr;
    workers = zone->data;
    shared = data;

    /* else the workers of before have it, too */
    if (shared == NULL) {
        shared = ngx_slab_calloc(pool, sizeof(ngx_http_lua_ffi_shared_t));
        if (shared == NULL) {
            return NGX_ERROR;
        }

        ngx_queue_init(&shared->orders);

        /* who asks for too much is told so */
        pool->log_nomem = 0;
    }

    zone->data = shared;

    /* no worker of this configuration runs, but those of others may */
    ngx_shmtx_lock(&pool->mutex);
    workers->number = ++shared->configurations;
    ngx_shmtx_unlock(&pool->mutex);

    return ngx_http_lua_ffi_workers_open(workers);
}


static ngx_int_t
ngx_http_lua_ffi_workers_open(ngx_http_lua_ffi_workers_t *workers)
{
    ngx_uint_t           n;
    ngx_cycle_t         *cycle;
    ngx_core_conf_t     *ccf;
    ngx_pool_cleanup_t  *cln;

    cycle = workers->cycle;
    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    /* a process without a master is one whatever is said of workers */
    n = ngx_max((ngx_uint_t) ccf->worker_processes, 1);

    workers->bells = ngx_palloc(cycle->pool, n * sizeof(int));
    cln = ngx_pool_cleanup_add(cycle->pool, 0);

    if (workers->bells == NULL || cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_lua_ffi_workers_close;
    cln->data = workers;

    for ( /* void */ ; workers->n < n; workers->n++) {
        workers->bells[workers->n] = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

        if (workers->bells[workers->n] == -1) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                          "ffi: eventfd() failed");
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* The configuration goes, and with it all workers that are forked for it. */
static void
ngx_http_lua_ffi_workers_close(void *data)
{
    ngx_http_lua_ffi_workers_t  *workers = data;

    while (workers->n) {
        (void) close(workers->bells[--workers->n]);
    }
}


ngx_int_t
ngx_http_lua_ffi_workers_join(ngx_cycle_t *cycle,
    ngx_http_lua_ffi_workers_t *workers, void (*answer)(void))
{
    ngx_http_lua_ffi_shared_t  *shared;

    ngx_http_lua_ffi_answer_bell = answer;

    if (ngx_http_lua_ffi_eventfd_watch(&ngx_http_lua_ffi_bell,
                                       workers->bells[ngx_worker],
                                       ngx_http_lua_ffi_workers_rung, cycle)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    shared = ngx_http_lua_ffi_workers_lock();
    shared->pids[ngx_worker] = ngx_pid;
    shared->born[ngx_worker] = workers->number;
    ngx_http_lua_ffi_workers_unlock();

    return NGX_OK;
}


static void
ngx_http_lua_ffi_workers_rung(ngx_event_t *ev)
{
    ngx_http_lua_ffi_eventfd_clear(&ngx_http_lua_ffi_bell);
    ngx_http_lua_ffi_answer_bell();
}


void
ngx_http_lua_ffi_workers_leave(void)
{
    ngx_http_lua_ffi_shared_t  *shared;

    shared = ngx_http_lua_ffi_workers_lock();

    if (shared->pids[ngx_worker] == ngx_pid) {
        shared->pids[ngx_worker] = 0;
    }

    ngx_http_lua_ffi_workers_unlock();
}


void
ngx_http_lua_ffi_workers_ring(ngx_uint_t worker)
{
    uint64_t  one = 1;

    /* cannot fail but by ringing 2^64 times unheard */
    (void) !write(ngx_http_lua_ffi_conf()->workers.bells[worker], &one,
                  sizeof(one));
}


static ngx_slab_pool_t *
ngx_http_lua_ffi_workers_pool(void)
{
    return (ngx_slab_pool_t *) ngx_http_lua_ffi_conf()->workers.zone->shm.addr;
}


ngx_http_lua_ffi_shared_t *
ngx_http_lua_ffi_workers_lock(void)
{
    ngx_shmtx_lock(&ngx_http_lua_ffi_workers_pool()->mutex);

    return ngx_http_lua_ffi_conf()->workers.zone->data;
}


void
ngx_http_lua_ffi_workers_unlock(void)
{
    ngx_shmtx_unlock(&ngx_http_lua_ffi_workers_pool()->mutex);
}


ngx_uint_t
ngx_http_lua_ffi_workers_exists(ngx_pid_t pid)
{
    return kill(pid, 0) == 0 || ngx_errno != NGX_ESRCH;
}


void *
ngx_http_lua_ffi_workers_alloc(size_t size)
{
    return ngx_slab_calloc_locked(ngx_http_lua_ffi_workers_pool(), size);
}


void
ngx_http_lua_ffi_workers_free(void *p)
{
    ngx_slab_free_locked(ngx_http_lua_ffi_workers_pool(), p);
}
