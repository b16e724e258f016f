#include "ngx_http_lua_ffi_notify.h"

#include "ffi_done.h"
#include "ffi_log.h"
#include "ffi_spin.h"
#include "ngx_http_lua_ffi_call.h"
#include "ngx_http_lua_ffi_eventfd.h"
#include "ngx_http_lua_ffi_library.h"
#include "ngx_http_lua_ffi_module.h"
#include "ngx_http_lua_ffi_runtime.h"
#include "ngx_http_lua_ffi_sent.h"
#include "ngx_http_lua_ffi_watch.h"

#include <ngx_channel.h>
#include <poll.h>


/*
 * Rounds of wake, spin and resume before the loop must look at its sockets
 * again: at most 16 * 50 us of someone else's time.
 */
#define NGX_HTTP_LUA_FFI_ROUNDS     16

/*
 * On TERM the master kills its workers within a second or two: what is not
 * over by then must not turn a stop into a crash.  It is also what runtimes
 * get to end in when calls have used the time up.
 */
#define NGX_HTTP_LUA_FFI_TERM_MS    500

/* Log lines written before the loop goes on with its other work. */
#define NGX_HTTP_LUA_FFI_LOG_BATCH  64


static void ngx_http_lua_ffi_notify_event(ngx_event_t *ev);
static void ngx_http_lua_ffi_notify_turn_event(ngx_event_t *ev);
static void ngx_http_lua_ffi_notify_tick_event(ngx_event_t *ev);
static ngx_uint_t ngx_http_lua_ffi_notify_drain(void);
static void ngx_http_lua_ffi_notify_log(void);
static void ngx_http_lua_ffi_notify_spin(void);
static int ngx_http_lua_ffi_notify_done(void *data);
static void ngx_http_lua_ffi_notify_sleep(void);
static ngx_msec_t ngx_http_lua_ffi_notify_exit_end(void);
static void ngx_http_lua_ffi_notify_exit_check(void);
static ngx_connection_t *ngx_http_lua_ffi_notify_master(void);


static ngx_http_lua_ffi_eventfd_t  ngx_http_lua_ffi_done;

static ngx_event_t  ngx_http_lua_ffi_turn;
static ngx_event_t  ngx_http_lua_ffi_tick;

static ffi_spin_t   ngx_http_lua_ffi_spin;
static ngx_uint_t   ngx_http_lua_ffi_rounds;

static ngx_uint_t   ngx_http_lua_ffi_ready;
static ngx_uint_t   ngx_http_lua_ffi_exiting;
static ngx_msec_t   ngx_http_lua_ffi_exit_end;


ngx_int_t
ngx_http_lua_ffi_notify_open(ngx_cycle_t *cycle)
{
    int  fd;

    fd = ffi_done_open();
    if (fd == -1) {
        ngx_log_error(NGX_LOG_CRIT, cycle->log, ngx_errno,
                      "ffi: eventfd() failed");
        return NGX_ERROR;
    }

    if (ngx_http_lua_ffi_eventfd_watch(&ngx_http_lua_ffi_done, fd,
                                       ngx_http_lua_ffi_notify_event, cycle)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_lua_ffi_turn.handler = ngx_http_lua_ffi_notify_turn_event;
    ngx_http_lua_ffi_turn.data = &ngx_http_lua_ffi_done.conn;
    ngx_http_lua_ffi_turn.log = cycle->log;

    ngx_http_lua_ffi_tick.handler = ngx_http_lua_ffi_notify_tick_event;
    ngx_http_lua_ffi_tick.data = &ngx_http_lua_ffi_done.conn;
    ngx_http_lua_ffi_tick.log = cycle->log;

    /* a call's own timer keeps a worker that exits, not this one */
    ngx_http_lua_ffi_tick.cancelable = 1;

    return NGX_OK;
}


void
ngx_http_lua_ffi_notify_start(void)
{
    ngx_http_lua_ffi_ready = 1;
}


ngx_uint_t
ngx_http_lua_ffi_notify_ready(void)
{
    return ngx_http_lua_ffi_ready;
}


void
ngx_http_lua_ffi_notify_turn(void)
{
    ngx_post_event(&ngx_http_lua_ffi_turn, &ngx_posted_events);
}


void
ngx_http_lua_ffi_notify_tick(void)
{
    if (!ngx_http_lua_ffi_tick.timer_set) {
        ngx_add_timer(&ngx_http_lua_ffi_tick, NGX_HTTP_LUA_FFI_TICK_MS);
    }
}


/* Works off all that threads brought; whether coroutines were resumed. */
static ngx_uint_t
ngx_http_lua_ffi_notify_drain(void)
{
    ngx_uint_t  resumed;

    resumed = ngx_http_lua_ffi_call_drain();

    ngx_http_lua_ffi_library_drain();
    ngx_http_lua_ffi_runtime_advance();
    ngx_http_lua_ffi_notify_log();

    return resumed;
}


static void
ngx_http_lua_ffi_notify_log(void)
{
    ngx_uint_t       n;
    ffi_log_line_t  *line;

    if (!ffi_log_pending()) {
        return;
    }

    for (n = 0; n < NGX_HTTP_LUA_FFI_LOG_BATCH; n++) {
        line = ffi_log_take();

        if (line == NULL) {
            break;
        }

        if (*line->name) {
            ngx_log_error((ngx_uint_t) line->level, ngx_cycle->log, 0,
                          "ffi: runtime \"%s\"%s%s%s: %*s", line->name,
                          *line->id ? ", request \"" : "", line->id,
                          *line->id ? "\"" : "", line->len, line->text);
        } else {
            ngx_log_error((ngx_uint_t) line->level, ngx_cycle->log, 0,
                          "ffi: %*s", line->len, line->text);
        }

        free(line);
    }

    if (n == NGX_HTTP_LUA_FFI_LOG_BATCH) {
        ffi_done_kick();
    }

    n = ffi_log_dropped();

    if (n) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "ffi: %ui log lines of libraries were dropped: "
                      "more than %d waited", n, FFI_LOG_LINES_MAX);
    }
}


/* The eventfd: threads brought something while the loop slept. */
static void
ngx_http_lua_ffi_notify_event(ngx_event_t *ev)
{
    ngx_http_lua_ffi_eventfd_clear(&ngx_http_lua_ffi_done);

    ffi_done_set_awake(1);

    (void) ngx_http_lua_ffi_notify_drain();

    ngx_http_lua_ffi_notify_turn();
}


/*
 * After all that was posted has run: wakes the threads that it pushed to,
 * waits a moment for them, and resumes whom they answered, which posts the
 * next turn.
 */
static void
ngx_http_lua_ffi_notify_turn_event(ngx_event_t *ev)
{
    ffi_done_set_awake(1);

    ngx_http_lua_ffi_runtime_wake();

    if (ngx_http_lua_ffi_call_pending()) {
        ngx_http_lua_ffi_notify_tick();
    }

    if (ngx_http_lua_ffi_rounds++ < NGX_HTTP_LUA_FFI_ROUNDS) {

        if (ngx_queue_empty(&ngx_posted_events)) {
            ngx_http_lua_ffi_notify_spin();
        }

        if (ngx_http_lua_ffi_notify_drain()) {
            ngx_http_lua_ffi_notify_turn();
            return;
        }
    }

    ngx_http_lua_ffi_rounds = 0;
    ngx_http_lua_ffi_notify_sleep();
}


static int
ngx_http_lua_ffi_notify_done(void *data)
{
    return !ffi_done_empty();
}


static void
ngx_http_lua_ffi_notify_spin(void)
{
    ffi_spin_t  *spin;

    spin = &ngx_http_lua_ffi_spin;

    if (!ngx_http_lua_ffi_call_pending()
        || !ffi_done_empty()
        || !ffi_spin_worth(spin))
    {
        return;
    }

    if (ffi_spin_until(ngx_http_lua_ffi_notify_done, NULL)
        && ffi_done_cpu() != sched_getcpu())
    {
        ffi_spin_hit(spin);

    } else {
        ffi_spin_miss(spin);
    }
}


/* From here on threads write the eventfd. */
static void
ngx_http_lua_ffi_notify_sleep(void)
{
    ffi_done_set_awake(0);

    /* what came between the last look and the line above woke nobody */
    if (!ffi_done_empty()) {
        ffi_done_kick();
    }
}


static void
ngx_http_lua_ffi_notify_tick_event(ngx_event_t *ev)
{
    ngx_uint_t  again;

    ngx_http_lua_ffi_call_mark_abandoned();
    ngx_http_lua_ffi_notify_exit_check();

    again = ngx_http_lua_ffi_watch_tick();
    ngx_http_lua_ffi_runtime_advance();

    if (again || ngx_http_lua_ffi_call_pending()) {
        ngx_http_lua_ffi_notify_tick();
    }
}


/* When a worker that exits gives up waiting, as ngx_current_msec. */
static ngx_msec_t
ngx_http_lua_ffi_notify_exit_end(void)
{
    ngx_msec_t        timeout;
    ngx_core_conf_t  *ccf;

    if (!ngx_http_lua_ffi_exiting) {
        ngx_http_lua_ffi_exiting = 1;

        timeout = ngx_http_lua_ffi_conf()->shutdown_timeout;

        ccf = (ngx_core_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                               ngx_core_module);

        if (ccf->shutdown_timeout && ccf->shutdown_timeout < timeout) {
            timeout = ccf->shutdown_timeout;
        }

        ngx_http_lua_ffi_exit_end = ngx_current_msec + timeout;
    }

    return ngx_http_lua_ffi_exit_end;
}


/* A worker that exits does not wait for a handler for ever. */
static void
ngx_http_lua_ffi_notify_exit_check(void)
{
    if (ngx_exiting
        && (ngx_msec_int_t) (ngx_current_msec
                             - ngx_http_lua_ffi_notify_exit_end()) >= 0)
    {
        ngx_http_lua_ffi_sent_shutdown(NGX_HTTP_LUA_FFI_SHUTDOWN);
        ngx_http_lua_ffi_runtime_shutdown();
    }
}


/* Where the master sends its commands, or NULL. */
static ngx_connection_t *
ngx_http_lua_ffi_notify_master(void)
{
    ngx_uint_t         i;
    ngx_connection_t  *c;

    if (ngx_process != NGX_PROCESS_WORKER) {
        return NULL;
    }

    c = ngx_cycle->connections;

    for (i = 0; i < ngx_cycle->connection_n; i++) {
        if (c[i].fd == ngx_channel && c[i].read->handler != NULL) {
            return &c[i];
        }
    }

    return NULL;
}


void
ngx_http_lua_ffi_notify_wait(ngx_msec_t ms)
{
    uint64_t           count;
    struct pollfd      pfd[2];
    ngx_connection_t  *master;

    ngx_http_lua_ffi_runtime_wake();
    ngx_http_lua_ffi_notify_sleep();

    master = ngx_http_lua_ffi_notify_master();

    pfd[0].fd = ngx_http_lua_ffi_done.conn.fd;
    pfd[0].events = POLLIN;
    pfd[0].revents = 0;

    pfd[1].fd = master != NULL ? master->fd : -1;
    pfd[1].events = POLLIN;
    pfd[1].revents = 0;

    (void) poll(pfd, 2, (int) ms);

    if (pfd[0].revents & POLLIN) {
        (void) ngx_read_fd(pfd[0].fd, &count, sizeof(count));
    }

    if (pfd[1].revents & POLLIN) {
        /* sets ngx_terminate and its like, as the loop would have it do */
        master->read->handler(master->read);
    }

    ngx_time_update();

    (void) ngx_http_lua_ffi_notify_drain();
    ngx_http_lua_ffi_call_mark_abandoned();
    (void) ngx_http_lua_ffi_watch_tick();
    ngx_http_lua_ffi_runtime_advance();
}


void
ngx_http_lua_ffi_notify_shutdown(void)
{
    ngx_msec_t  end, least;
    ngx_uint_t  terminate;

    ngx_time_update();

    end = ngx_http_lua_ffi_notify_exit_end();
    least = ngx_current_msec + NGX_HTTP_LUA_FFI_TERM_MS;
    terminate = ngx_terminate;

    if (terminate || (ngx_msec_int_t) (end - least) < 0) {
        end = least;
    }

    ngx_http_lua_ffi_sent_shutdown(NGX_HTTP_LUA_FFI_SHUTDOWN);
    ngx_http_lua_ffi_runtime_shutdown();

    while (ngx_http_lua_ffi_runtime_any()
           && (ngx_msec_int_t) (ngx_current_msec - end) < 0)
    {
        ngx_http_lua_ffi_notify_wait(NGX_HTTP_LUA_FFI_TICK_MS);

        if (ngx_terminate && !terminate) {
            /* told to hurry while it waits */
            terminate = 1;
            end = ngx_current_msec + NGX_HTTP_LUA_FFI_TERM_MS;
        }
    }

    ngx_http_lua_ffi_notify_log();
    ngx_http_lua_ffi_call_shutdown();
}
