#include "ngx_http_lua_ffi_metrics.h"

#include "ffi_mask.h"
#include "ffi_spin.h"
#include "ffi_thread.h"
#include "ngx_http_lua_ffi_name.h"
#include "ngx_http_lua_ffi_slow.h"

#include <ngx_md5.h>


static ngx_http_lua_ffi_place_t *ngx_http_lua_ffi_metrics_claim(
    ngx_http_lua_ffi_entry_t *entry);
static void ngx_http_lua_ffi_metrics_describe(ngx_http_lua_ffi_entry_t *entry,
    ngx_http_lua_ffi_place_text_t *text);
static void ngx_http_lua_ffi_metrics_copy(u_char *text, size_t size,
    const u_char *data, size_t len);
static void ngx_http_lua_ffi_metrics_set(ngx_http_lua_ffi_place_t *place,
    ngx_http_lua_ffi_number_e number, uint64_t *mine, uint64_t value);
static void ngx_http_lua_ffi_metrics_error(ngx_http_lua_ffi_place_t *place,
    const char *error, size_t len);
static unsigned ngx_http_lua_ffi_metrics_weight(
    ngx_http_lua_ffi_runtime_t *rt);
static ngx_http_lua_ffi_number_e ngx_http_lua_ffi_metrics_kind(
    const char *verdict);


/* ---- runtimes ----------------------------------------------------------- */


void
ngx_http_lua_ffi_metrics_join(ngx_http_lua_ffi_runtime_t *rt)
{
    ngx_http_lua_ffi_entry_t  *entry;

    if (!ngx_http_lua_ffi_metrics_zone_exists()) {
        return;
    }

    entry = rt->entry;
    rt->place = ngx_http_lua_ffi_metrics_claim(entry);

    if (rt->place == NULL) {
        if (ngx_http_lua_ffi_metrics_zone_untracked(1) == 0) {
            ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                          "ffi: no room for the metrics of runtime \"%s\", nor "
                          "of others to come: raise lua_ffi_metrics",
                          ffi_queue_name(rt->queue));
        }

        return;
    }

    entry->place = rt->place;
    entry->claim = rt->place->claim;

    ngx_http_lua_ffi_metrics_add(rt->place, NGX_HTTP_LUA_FFI_RUNTIMES, 1);
}


static ngx_http_lua_ffi_place_t *
ngx_http_lua_ffi_metrics_claim(ngx_http_lua_ffi_entry_t *entry)
{
    u_char                         key[16], hash[16];
    ngx_md5_t                      md5;
    ngx_http_lua_ffi_place_text_t  text;

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, entry->node.str.data, entry->node.str.len);
    ngx_md5_final(key, &md5);

    ngx_memzero(&text, sizeof(text));
    ngx_http_lua_ffi_metrics_describe(entry, &text);

    /* of what is shown: one of a secret would let it be guessed at */
    ngx_md5_init(&md5);
    ngx_md5_update(&md5, &text, sizeof(text));
    ngx_md5_final(hash, &md5);

    *ngx_hex_dump(text.id, hash, 4) = '\0';

    return ngx_http_lua_ffi_metrics_zone_claim(key, &text);
}


static void
ngx_http_lua_ffi_metrics_describe(ngx_http_lua_ffi_entry_t *entry,
    ngx_http_lua_ffi_place_text_t *text)
{
    size_t      len;
    u_char     *p;

    p = entry->cfg.data;
    len = ngx_http_lua_ffi_name_entry(&entry->lib, &entry->cfg);

    ngx_http_lua_ffi_metrics_copy(text->library, sizeof(text->library) - 1,
                                  entry->lib.data, entry->lib.len);

    if (entry->fresh) {
        text->library[ngx_strlen(text->library)] = '?';
    }

    ngx_http_lua_ffi_metrics_copy(text->entry, sizeof(text->entry), p, len);

    /* a comma stands before what is the function's */
    len += (len > 0 && len < entry->cfg.len);

    if (len < entry->cfg.len) {
        ffi_mask((char *) text->cfg, sizeof(text->cfg), (char *) p + len,
                 entry->cfg.len - len);
    }
}


/* Cuts what is longer. */
static void
ngx_http_lua_ffi_metrics_copy(u_char *text, size_t size, const u_char *data,
    size_t len)
{
    len = ngx_min(len, size - 1);

    ngx_memcpy(text, data, len);
    text[len] = '\0';
}


void
ngx_http_lua_ffi_metrics_leave(ngx_http_lua_ffi_runtime_t *rt)
{
    uint64_t                   state;
    ngx_http_lua_ffi_place_t  *place;

    place = rt->place;
    if (place == NULL) {
        return;
    }

    ngx_http_lua_ffi_metrics_set(place, NGX_HTTP_LUA_FFI_DEPTH, &rt->depth, 0);
    ngx_http_lua_ffi_metrics_set(place, NGX_HTTP_LUA_FFI_UNANSWERED,
                                 &rt->running, 0);
    ngx_http_lua_ffi_metrics_set(place, NGX_HTTP_LUA_FFI_POLLERS, &rt->pollers,
                                 0);
    ngx_http_lua_ffi_metrics_set(place, NGX_HTTP_LUA_FFI_THREADS, &rt->threads,
                                 0);

    ngx_http_lua_ffi_metrics_add(place, NGX_HTTP_LUA_FFI_RUNTIMES, -1);

    if (atomic_load(&place->numbers[NGX_HTTP_LUA_FFI_RUNTIMES]) != 0) {
        return;
    }

    state = atomic_load(&place->state);

    if (state != NGX_HTTP_LUA_FFI_STATE_FAILED
        && state != NGX_HTTP_LUA_FFI_STATE_DEAD)
    {
        atomic_store(&place->state, NGX_HTTP_LUA_FFI_STATE_GONE);
    }

    ngx_http_lua_ffi_metrics_zone_release(place);
}


void
ngx_http_lua_ffi_metrics_loaded(ngx_http_lua_ffi_runtime_t *rt)
{
    if (rt->place == NULL) {
        return;
    }

    ngx_http_lua_ffi_metrics_add(rt->place, NGX_HTTP_LUA_FFI_LOADS, 1);
    ngx_http_lua_ffi_metrics_state(rt, NGX_HTTP_LUA_FFI_STATE_READY);
    ngx_http_lua_ffi_metrics_threads(rt);

    ngx_http_lua_ffi_metrics_zone_lock();
    rt->place->text.loaded = ngx_time();
    ngx_http_lua_ffi_metrics_zone_unlock();
}


void
ngx_http_lua_ffi_metrics_failed(ngx_http_lua_ffi_runtime_t *rt,
    const char *error)
{
    if (rt->place == NULL) {
        return;
    }

    ngx_http_lua_ffi_metrics_add(rt->place, NGX_HTTP_LUA_FFI_FAILED_LOADS, 1);
    ngx_http_lua_ffi_metrics_state(rt, NGX_HTTP_LUA_FFI_STATE_FAILED);
    ngx_http_lua_ffi_metrics_error(rt->place, error, ngx_strlen(error));
}


void
ngx_http_lua_ffi_metrics_replaced(ngx_http_lua_ffi_runtime_t *rt)
{
    ngx_http_lua_ffi_metrics_add(rt->place,
                                 ffi_queue_is_reload(rt->queue)
                                 ? NGX_HTTP_LUA_FFI_RELOADS
                                 : NGX_HTTP_LUA_FFI_RECYCLES, 1);
    ngx_http_lua_ffi_metrics_state(rt, NGX_HTTP_LUA_FFI_STATE_READY);
}


void
ngx_http_lua_ffi_metrics_state(ngx_http_lua_ffi_runtime_t *rt,
    ngx_http_lua_ffi_place_state_e state)
{
    if (rt->place != NULL && rt->entry != NULL && rt->entry->rt == rt) {
        atomic_store(&rt->place->state, state);
    }
}


/* Several runtimes of a place add up: what this one has is not what was so. */
static void
ngx_http_lua_ffi_metrics_set(ngx_http_lua_ffi_place_t *place,
    ngx_http_lua_ffi_number_e number, uint64_t *mine, uint64_t value)
{
    ffi_count(&place->numbers[number], value - *mine);
    *mine = value;
}


void
ngx_http_lua_ffi_metrics_depth(ngx_http_lua_ffi_runtime_t *rt)
{
    uint64_t                   depth;
    ngx_http_lua_ffi_place_t  *place;

    place = rt->place;
    if (place == NULL) {
        return;
    }

    /* what the threads write costs a cache miss: only where it is in doubt */
    depth = rt->unanswered > rt->pushed
            ? rt->calls - ffi_queue_taken(rt->queue) : rt->pushed;

    ngx_http_lua_ffi_metrics_set(place, NGX_HTTP_LUA_FFI_DEPTH, &rt->depth,
                                 depth);
    ngx_http_lua_ffi_metrics_set(place, NGX_HTTP_LUA_FFI_UNANSWERED,
                                 &rt->running, rt->unanswered);

    depth = atomic_load_explicit(&place->numbers[NGX_HTTP_LUA_FFI_DEPTH],
                                 memory_order_relaxed);

    if (depth > atomic_load_explicit(&place->numbers[NGX_HTTP_LUA_FFI_PEAK],
                                     memory_order_relaxed))
    {
        atomic_store_explicit(&place->numbers[NGX_HTTP_LUA_FFI_PEAK], depth,
                              memory_order_relaxed);
    }
}


void
ngx_http_lua_ffi_metrics_threads(ngx_http_lua_ffi_runtime_t *rt)
{
    ffi_thread_census_t        census;
    ngx_http_lua_ffi_place_t  *place;

    place = rt->place;
    if (place == NULL) {
        return;
    }

    ffi_thread_count(rt->queue, &census);

    ngx_http_lua_ffi_metrics_set(place, NGX_HTTP_LUA_FFI_POLLERS, &rt->pollers,
                                 census.pollers);
    ngx_http_lua_ffi_metrics_set(place, NGX_HTTP_LUA_FFI_THREADS, &rt->threads,
                                 census.alive);

    atomic_store_explicit(&place->numbers[NGX_HTTP_LUA_FFI_COPIES],
                          ngx_http_lua_ffi_library_mapped(rt->op),
                          memory_order_relaxed);
}


void
ngx_http_lua_ffi_metrics_refresh(void)
{
    ngx_uint_t                   i;
    ngx_queue_t                 *q, *lists[2];
    ngx_http_lua_ffi_runtime_t  *rt;

    lists[0] = &ngx_http_lua_ffi_runtimes;
    lists[1] = &ngx_http_lua_ffi_draining;

    for (i = 0; i < 2; i++) {
        for (q = ngx_queue_head(lists[i]);
             q != ngx_queue_sentinel(lists[i]);
             q = ngx_queue_next(q))
        {
            rt = ngx_queue_data(q, ngx_http_lua_ffi_runtime_t, link);

            ngx_http_lua_ffi_metrics_depth(rt);
            ngx_http_lua_ffi_metrics_threads(rt);
        }
    }
}


static void
ngx_http_lua_ffi_metrics_error(ngx_http_lua_ffi_place_t *place,
    const char *error, size_t len)
{
    ngx_http_lua_ffi_metrics_zone_lock();

    ngx_http_lua_ffi_metrics_copy(place->text.error, sizeof(place->text.error),
                                  (u_char *) error, len);
    place->text.error_time = ngx_time();

    ngx_http_lua_ffi_metrics_zone_unlock();
}


/* ---- calls -------------------------------------------------------------- */


void
ngx_http_lua_ffi_metrics_posted(ngx_http_lua_ffi_runtime_t *rt,
    ffi_task_t *task)
{
    ngx_http_lua_ffi_place_t  *place;

    place = rt->place;

    if (place == NULL && !ngx_http_lua_ffi_slow_enabled()) {
        return;
    }

    ngx_http_lua_ffi_metrics_add(place, NGX_HTTP_LUA_FFI_CALLS, 1);
    ngx_http_lua_ffi_metrics_add(place, NGX_HTTP_LUA_FFI_REQUEST_BYTES,
                                 task->request_len);

    task->place = place;
    task->weight = ngx_http_lua_ffi_metrics_weight(rt);

    if (task->weight) {
        task->polled = 0;
        task->enqueued = ffi_spin_clock();
    }
}


/* For how many calls the times of this one stand; 0: they are not taken. */
static unsigned
ngx_http_lua_ffi_metrics_weight(ngx_http_lua_ffi_runtime_t *rt)
{
    if (ngx_http_lua_ffi_slow_enabled()) {
        return 1;
    }

    if (rt->timed_msec != ngx_current_msec) {
        rt->timed_msec = ngx_current_msec;
        rt->timed = 0;
    }

    if (rt->timed < NGX_HTTP_LUA_FFI_TIMED_MAX) {
        rt->timed++;
        return 1;
    }

    if (rt->untimed > 0) {
        rt->untimed--;
        return 0;
    }

    rt->untimed = ngx_random() % (2 * NGX_HTTP_LUA_FFI_TIMED_ONE_IN - 1);

    return NGX_HTTP_LUA_FFI_TIMED_ONE_IN;
}


void
ngx_http_lua_ffi_metrics_refused(ngx_http_lua_ffi_entry_t *entry,
    const char *err)
{
    ngx_http_lua_ffi_place_t  *place;

    place = entry->rt != NULL ? entry->rt->place : entry->place;

    /* without a runtime, it may be another one's by now */
    if (place == NULL
        || (entry->rt == NULL
            && !ngx_http_lua_ffi_metrics_zone_owns(place, entry->claim)))
    {
        return;
    }

    ffi_count(&place->numbers[NGX_HTTP_LUA_FFI_CALLS], 1);
    ffi_count(&place->numbers[ngx_http_lua_ffi_metrics_kind(err)], 1);
}


static ngx_http_lua_ffi_number_e
ngx_http_lua_ffi_metrics_kind(const char *verdict)
{
    ngx_uint_t  i;

    static const struct {
        const char                *verdict;
        ngx_http_lua_ffi_number_e  kind;
    } kinds[] = {
        { NGX_HTTP_LUA_FFI_TIMEOUT, NGX_HTTP_LUA_FFI_FAILED_TIMEOUT },
        { NGX_HTTP_LUA_FFI_FULL, NGX_HTTP_LUA_FFI_FAILED_QUEUE_FULL },
        { NGX_HTTP_LUA_FFI_UNLOADED, NGX_HTTP_LUA_FFI_FAILED_UNLOADED },
        { NGX_HTTP_LUA_FFI_DIED, NGX_HTTP_LUA_FFI_FAILED_DIED },
        { NGX_HTTP_LUA_FFI_SHUTDOWN, NGX_HTTP_LUA_FFI_FAILED_SHUTDOWN },
    };

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (ngx_strcmp(verdict, kinds[i].verdict) == 0) {
            return kinds[i].kind;
        }
    }

    return NGX_HTTP_LUA_FFI_FAILED_REFUSED;
}


void
ngx_http_lua_ffi_metrics_answered(ffi_task_t *task, int64_t now)
{
    ffi_histogram_t           *stages;
    ngx_http_lua_ffi_place_t  *place;

    place = task->place;
    if (place == NULL) {
        return;
    }

    stages = place->stages;

    ffi_histogram_add(&stages[NGX_HTTP_LUA_FFI_IN_QUEUE],
                      task->polled - task->enqueued, task->weight);
    ffi_histogram_add(&stages[NGX_HTTP_LUA_FFI_IN_GUEST],
                      task->responded - task->polled, task->weight);
    ffi_histogram_add(&stages[NGX_HTTP_LUA_FFI_IN_LOOP],
                      now - task->responded, task->weight);
}


void
ngx_http_lua_ffi_metrics_fetched(ffi_task_t *task, const char *verdict)
{
    ngx_http_lua_ffi_place_t  *place;

    place = task->place;
    if (place == NULL) {
        return;
    }

    if (verdict != NULL) {
        ffi_count(&place->numbers[ngx_http_lua_ffi_metrics_kind(verdict)], 1);
        return;
    }

    ffi_count(&place->numbers[NGX_HTTP_LUA_FFI_RESPONSE_BYTES],
              task->response_len);

    if (task->rc == 0) {
        return;
    }

    ffi_count(&place->numbers[NGX_HTTP_LUA_FFI_FAILED_LIBRARY], 1);

    /* many may fail in a second: the first one is as telling */
    if (task->response != NULL && place->text.error_time != ngx_time()) {
        ngx_http_lua_ffi_metrics_error(place, task->response,
                                       task->response_len);
    }
}


void
ngx_http_lua_ffi_metrics_abandoned(ffi_task_t *task)
{
    if (task->place != NULL && !task->left) {
        task->left = 1;
        ngx_http_lua_ffi_metrics_add(task->place, NGX_HTTP_LUA_FFI_ABANDONED,
                                     1);
    }
}
