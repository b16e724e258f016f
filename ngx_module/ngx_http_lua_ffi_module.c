#include "ngx_http_lua_ffi_module.h"

#include "ffi_process.h"
#include "ffi_queue.h"
#include "ffi_task.h"
#include "ffi_thread.h"
#include "ngx_http_lua_ffi_call.h"
#include "ngx_http_lua_ffi_job.h"
#include "ngx_http_lua_ffi_lua.h"
#include "ngx_http_lua_ffi_notify.h"
#include "ngx_http_lua_ffi_runtime.h"
#include "ngx_http_lua_ffi_sent.h"
#include "ngx_http_lua_ffi_slow.h"
#include "ngx_http_lua_ffi_status.h"

#include <dlfcn.h>
#include <stdlib.h>


#define NGX_HTTP_LUA_FFI_EXPORT  __attribute__((visibility("default")))

/* The handles of a task run out there. */
#define NGX_HTTP_LUA_FFI_MAX_QUEUE  (1 << 20)

/* Some 2500 places; a page is memory only once it is touched. */
#define NGX_HTTP_LUA_FFI_METRICS_SIZE   (4 * 1024 * 1024)
#define NGX_HTTP_LUA_FFI_METRICS_PAGES  8


static ngx_int_t ngx_http_lua_ffi_preconfiguration(ngx_conf_t *cf);
static void *ngx_http_lua_ffi_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_lua_ffi_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_lua_ffi_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_lua_ffi_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_lua_ffi_library_path(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_lua_ffi_check_max_queue(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_lua_ffi_check_timeout(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_lua_ffi_metrics(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_lua_ffi_init_process(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_lua_ffi_start(ngx_cycle_t *cycle);
static void ngx_http_lua_ffi_exit_process(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_lua_ffi_pin(ngx_cycle_t *cycle);
static ngx_uint_t ngx_http_lua_ffi_has_threads(void);
static void ngx_http_lua_ffi_exit_now(void);


static ngx_conf_post_t  ngx_http_lua_ffi_max_queue_post = {
    ngx_http_lua_ffi_check_max_queue
};

static ngx_conf_post_t  ngx_http_lua_ffi_timeout_post = {
    ngx_http_lua_ffi_check_timeout
};


static ngx_command_t  ngx_http_lua_ffi_commands[] = {

    { ngx_string("lua_ffi_library_path"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_lua_ffi_library_path,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("lua_ffi_max_queue"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_lua_ffi_conf_t, max_queue),
      &ngx_http_lua_ffi_max_queue_post },

    { ngx_string("lua_ffi_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_lua_ffi_conf_t, timeout),
      &ngx_http_lua_ffi_timeout_post },

    { ngx_string("lua_ffi_shutdown_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_lua_ffi_conf_t, shutdown_timeout),
      &ngx_http_lua_ffi_timeout_post },

    { ngx_string("lua_ffi_metrics"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_lua_ffi_metrics,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("lua_ffi_request_id"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_lua_ffi_loc_conf_t, request_id),
      NULL },

    { ngx_string("lua_ffi_slow_call"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_lua_ffi_conf_t, slow_call),
      &ngx_http_lua_ffi_timeout_post },

    { ngx_string("lua_ffi_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_lua_ffi_status_set,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_lua_ffi_module_ctx = {
    ngx_http_lua_ffi_preconfiguration,     /* preconfiguration */
    NULL,                                  /* postconfiguration */

    ngx_http_lua_ffi_create_main_conf,     /* create main configuration */
    ngx_http_lua_ffi_init_main_conf,       /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_lua_ffi_create_loc_conf,      /* create location configuration */
    ngx_http_lua_ffi_merge_loc_conf        /* merge location configuration */
};


ngx_module_t  ngx_http_lua_ffi_module = {
    NGX_MODULE_V1,
    &ngx_http_lua_ffi_module_ctx,          /* module context */
    ngx_http_lua_ffi_commands,             /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_lua_ffi_init_process,         /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_lua_ffi_exit_process,         /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* What nginx looks for in a dynamic module. */

NGX_HTTP_LUA_FFI_EXPORT ngx_module_t  *ngx_modules[] = {
    &ngx_http_lua_ffi_module,
    NULL
};


NGX_HTTP_LUA_FFI_EXPORT char  *ngx_module_names[] = {
    "ngx_http_lua_ffi_module",
    NULL
};


/*
 * Before the Lua module: its init_process and exit_process run user code,
 * for which runtimes can be loaded, and must be over, respectively.
 */
NGX_HTTP_LUA_FFI_EXPORT char  *ngx_module_order[] = {
    "ngx_http_lua_ffi_module",
    "ngx_http_lua_module",
    NULL
};


ngx_http_lua_ffi_conf_t *
ngx_http_lua_ffi_conf(void)
{
    return ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_lua_ffi_module);
}


static ngx_int_t
ngx_http_lua_ffi_preconfiguration(ngx_conf_t *cf)
{
    return ngx_http_lua_ffi_lua_init(cf);
}


static void *
ngx_http_lua_ffi_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_lua_ffi_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_lua_ffi_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->max_queue = NGX_CONF_UNSET_UINT;
    conf->timeout = NGX_CONF_UNSET_MSEC;
    conf->shutdown_timeout = NGX_CONF_UNSET_MSEC;
    conf->slow_call = NGX_CONF_UNSET_MSEC;
    conf->metrics.size = NGX_CONF_UNSET_SIZE;

    return conf;
}


static char *
ngx_http_lua_ffi_init_main_conf(ngx_conf_t *cf, void *data)
{
    ngx_http_lua_ffi_conf_t  *conf = data;

    ngx_conf_init_uint_value(conf->max_queue, 65536);
    ngx_conf_init_msec_value(conf->timeout, 60000);
    ngx_conf_init_msec_value(conf->shutdown_timeout, 30000);
    ngx_conf_init_msec_value(conf->slow_call, 0);
    ngx_conf_init_size_value(conf->metrics.size,
                             NGX_HTTP_LUA_FFI_METRICS_SIZE);

    if (ngx_http_lua_ffi_workers_add(cf, &conf->workers) != NGX_OK
        || ngx_http_lua_ffi_metrics_zone_add(cf, &conf->metrics) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static void *
ngx_http_lua_ffi_create_loc_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_lua_ffi_loc_conf_t));
}


static char *
ngx_http_lua_ffi_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_lua_ffi_loc_conf_t  *prev = parent;
    ngx_http_lua_ffi_loc_conf_t  *conf = child;

    if (conf->request_id == NULL) {
        conf->request_id = prev->request_id;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_lua_ffi_library_path(ngx_conf_t *cf, ngx_command_t *cmd, void *data)
{
    ngx_http_lua_ffi_conf_t  *conf = data;

    ngx_str_t   *value, *dir;
    ngx_uint_t   i;

    if (conf->library_path != NULL) {
        return "is duplicate";
    }

    conf->library_path = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                          sizeof(ngx_str_t));
    if (conf->library_path == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        dir = ngx_array_push(conf->library_path);
        if (dir == NULL) {
            return NGX_CONF_ERROR;
        }

        *dir = value[i];

        if (dir->len == 0) {
            return "has an empty folder";
        }

        if (ngx_conf_full_name(cf->cycle, dir, 0) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_lua_ffi_check_max_queue(ngx_conf_t *cf, void *post, void *data)
{
    ngx_int_t  *n = data;

    if (*n < 1 || *n > NGX_HTTP_LUA_FFI_MAX_QUEUE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"lua_ffi_max_queue\" must be between 1 and %d",
                           NGX_HTTP_LUA_FFI_MAX_QUEUE);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_lua_ffi_check_timeout(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t  *ms = data;

    if (*ms < 1 || *ms > NGX_MAX_INT32_VALUE) {
        return "must be between 1ms and 24d";
    }

    return NGX_CONF_OK;
}


/* "off", or the size of the shared memory */
static char *
ngx_http_lua_ffi_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *data)
{
    ngx_http_lua_ffi_conf_t  *conf = data;

    ngx_str_t  *value;

    if (conf->metrics.size != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        conf->metrics.size = 0;
        return NGX_CONF_OK;
    }

    conf->metrics.size = ngx_parse_size(&value[1]);

    if (conf->metrics.size == (size_t) NGX_ERROR
        || conf->metrics.size < NGX_HTTP_LUA_FFI_METRICS_PAGES * ngx_pagesize)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"lua_ffi_metrics\" must be \"off\" or a size, "
                           "%uzk at least",
                           NGX_HTTP_LUA_FFI_METRICS_PAGES * ngx_pagesize
                           / 1024);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_lua_ffi_init_process(ngx_cycle_t *cycle)
{
    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    /* there is no http block */
    if (ngx_get_conf(cycle->conf_ctx, ngx_http_module) == NULL) {
        return NGX_OK;
    }

    ffi_task_init();
    ffi_queue_init();
    ngx_http_lua_ffi_call_init(cycle);
    ngx_http_lua_ffi_runtime_init();

    if (ngx_http_lua_ffi_start(cycle) != NGX_OK) {
        /* nginx would not start another worker in the place of one that fails */
        ngx_log_error(NGX_LOG_CRIT, cycle->log, 0,
                      "ffi: this worker serves without runtimes until nginx is "
                      "reloaded");
    }

    return NGX_OK;
}


/* What may fail; loads are refused then. */
static ngx_int_t
ngx_http_lua_ffi_start(ngx_cycle_t *cycle)
{
    if (ffi_thread_init() != 0) {
        ngx_log_error(NGX_LOG_CRIT, cycle->log, ngx_errno,
                      "ffi: pthread_key_create() failed");
        return NGX_ERROR;
    }

    ngx_http_lua_ffi_metrics_zone_join();
    ngx_http_lua_ffi_slow_init(ngx_http_lua_ffi_conf()->slow_call);

    if (ngx_http_lua_ffi_pin(cycle) != NGX_OK
        || ngx_http_lua_ffi_notify_open(cycle) != NGX_OK
        || ngx_http_lua_ffi_job_init(cycle) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_lua_ffi_notify_start();

    return NGX_OK;
}


/*
 * Guest threads return into this module for as long as the process lives;
 * nginx unmaps modules when a cycle ends.
 */
static ngx_int_t
ngx_http_lua_ffi_pin(ngx_cycle_t *cycle)
{
    Dl_info  info;

    if (dladdr(&ngx_http_lua_ffi_module, &info) == 0
        || dlopen(info.dli_fname, RTLD_NOW|RTLD_NOLOAD|RTLD_NODELETE) == NULL)
    {
        ngx_log_error(NGX_LOG_CRIT, cycle->log, 0,
                      "ffi: cannot pin the module: %s", dlerror());
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_lua_ffi_exit_process(ngx_cycle_t *cycle)
{
    if (!ngx_http_lua_ffi_notify_ready()) {
        return;
    }

    ngx_http_lua_ffi_notify_shutdown();
    ngx_http_lua_ffi_sent_exit();
    ngx_http_lua_ffi_metrics_zone_leave();

    if (ngx_http_lua_ffi_has_threads()) {
        /* runs first of all handlers, since it is registered last */
        (void) atexit(ngx_http_lua_ffi_exit_now);
    }
}


/* Whether this is not the only thread, as far as one can tell. */
static ngx_uint_t
ngx_http_lua_ffi_has_threads(void)
{
    ngx_uint_t              more;
    ffi_process_threads_t  *threads;

    threads = ffi_process_threads();
    more = threads == NULL || threads->n > 1;

    free(threads);

    return more;
}


/*
 * Guest threads still run: destructors of the libraries that they are in must
 * not.
 */
static void
ngx_http_lua_ffi_exit_now(void)
{
    _exit(0);
}
