#include "ngx_http_lua_ffi_metrics_zone.h"

#include "ngx_http_lua_ffi_module.h"


/*
 * How long another worker's place must have been gone before it is taken: what
 * that one had to write into it is written.
 */
#define NGX_HTTP_LUA_FFI_GONE_LONG_MS  2000


/* In shared memory. */
typedef struct {
    _Atomic uint64_t          untracked;

    /* guarded by the mutex */
    ngx_uint_t                claims;            /* so far */
    ngx_uint_t                used;              /* the first so many are */

    ngx_uint_t                n;
    ngx_http_lua_ffi_place_t  places[1];
} ngx_http_lua_ffi_zone_t;


static ngx_int_t ngx_http_lua_ffi_metrics_zone_init(ngx_shm_zone_t *shm,
    void *data);
static ngx_http_lua_ffi_zone_t *ngx_http_lua_ffi_metrics_zone(void);
static void ngx_http_lua_ffi_metrics_zone_sweep(
    ngx_http_lua_ffi_zone_t *zone);
static void ngx_http_lua_ffi_metrics_zone_disown(
    ngx_http_lua_ffi_place_t *place);
static ngx_http_lua_ffi_place_t *ngx_http_lua_ffi_metrics_zone_find(
    ngx_http_lua_ffi_zone_t *zone, const u_char key[16]);
static ngx_http_lua_ffi_place_t *ngx_http_lua_ffi_metrics_zone_take(
    ngx_http_lua_ffi_zone_t *zone);
static ngx_uint_t ngx_http_lua_ffi_metrics_zone_is_free(
    ngx_http_lua_ffi_place_t *place);
static void ngx_http_lua_ffi_metrics_zone_name(ngx_http_lua_ffi_zone_t *zone,
    ngx_http_lua_ffi_place_t *place);
static void ngx_http_lua_ffi_metrics_zone_copy(ngx_http_lua_ffi_place_t *place,
    ngx_http_lua_ffi_place_t *copy);
static int ngx_libc_cdecl ngx_http_lua_ffi_metrics_zone_compare(
    const void *one, const void *two);
static void ngx_http_lua_ffi_metrics_zone_merge(ngx_array_t *places);
static void ngx_http_lua_ffi_metrics_zone_sum(ngx_http_lua_ffi_place_t *sum,
    ngx_http_lua_ffi_place_t *place);


ngx_int_t
ngx_http_lua_ffi_metrics_zone_add(ngx_conf_t *cf,
    ngx_http_lua_ffi_metrics_conf_t *conf)
{
    ngx_str_t  name = ngx_string("ngx_http_lua_ffi_metrics");

    if (conf->size == 0) {
        return NGX_OK;
    }

    conf->zone = ngx_shared_memory_add(cf, &name, conf->size,
                                       &ngx_http_lua_ffi_module);
    if (conf->zone == NULL) {
        return NGX_ERROR;
    }

    conf->zone->init = ngx_http_lua_ffi_metrics_zone_init;

    return NGX_OK;
}


static ngx_int_t
ngx_http_lua_ffi_metrics_zone_init(ngx_shm_zone_t *shm, void *data)
{
    size_t                    size;
    ngx_slab_pool_t          *pool;
    ngx_http_lua_ffi_zone_t  *zone;

    if (data != NULL) {
        /* the workers of before have it, too */
        shm->data = data;
        return NGX_OK;
    }

    pool = (ngx_slab_pool_t *) shm->shm.addr;
    size = pool->pfree * ngx_pagesize;

    /* places are cleared when they are taken: untouched, they are no memory */
    zone = ngx_slab_alloc(pool, size);
    if (zone == NULL) {
        return NGX_ERROR;
    }

    atomic_init(&zone->untracked, 0);
    zone->claims = 0;
    zone->used = 0;
    zone->n = (size - offsetof(ngx_http_lua_ffi_zone_t, places))
              / sizeof(ngx_http_lua_ffi_place_t);

    shm->data = zone;

    return NGX_OK;
}


/*
 * The zone, or NULL when metrics are off.  A process without a master has none:
 * a reload would take it away from the runtimes that it keeps.
 */
static ngx_http_lua_ffi_zone_t *
ngx_http_lua_ffi_metrics_zone(void)
{
    ngx_shm_zone_t  *shm;

    shm = ngx_http_lua_ffi_conf()->metrics.zone;

    return shm != NULL && ngx_process == NGX_PROCESS_WORKER ? shm->data : NULL;
}


ngx_uint_t
ngx_http_lua_ffi_metrics_zone_exists(void)
{
    return ngx_http_lua_ffi_metrics_zone() != NULL;
}


void
ngx_http_lua_ffi_metrics_zone_lock(void)
{
    ngx_shmtx_lock(&((ngx_slab_pool_t *)
                     ngx_http_lua_ffi_conf()->metrics.zone->shm.addr)->mutex);
}


void
ngx_http_lua_ffi_metrics_zone_unlock(void)
{
    ngx_shmtx_unlock(&((ngx_slab_pool_t *)
                     ngx_http_lua_ffi_conf()->metrics.zone->shm.addr)->mutex);
}


void
ngx_http_lua_ffi_metrics_zone_join(void)
{
    /* one that had this process's number before is gone, too */
    ngx_http_lua_ffi_metrics_zone_leave();
}


/* locked; from those that are gone without a word */
static void
ngx_http_lua_ffi_metrics_zone_sweep(ngx_http_lua_ffi_zone_t *zone)
{
    ngx_pid_t                  alive;
    ngx_uint_t                 i;
    ngx_http_lua_ffi_place_t  *place;

    alive = ngx_pid;

    for (i = 0; i < zone->used; i++) {
        place = &zone->places[i];

        if (place->owner == 0 || place->owner == alive) {
            continue;
        }

        if (ngx_http_lua_ffi_workers_exists(place->owner)) {
            alive = place->owner;

        } else {
            ngx_http_lua_ffi_metrics_zone_disown(place);
        }
    }
}


void
ngx_http_lua_ffi_metrics_zone_leave(void)
{
    ngx_uint_t                i;
    ngx_http_lua_ffi_zone_t  *zone;

    zone = ngx_http_lua_ffi_metrics_zone();
    if (zone == NULL) {
        return;
    }

    ngx_http_lua_ffi_metrics_zone_lock();

    for (i = 0; i < zone->used; i++) {
        if (zone->places[i].owner == ngx_pid) {
            ngx_http_lua_ffi_metrics_zone_disown(&zone->places[i]);
        }
    }

    ngx_http_lua_ffi_metrics_zone_sweep(zone);

    ngx_http_lua_ffi_metrics_zone_unlock();
}


/* locked; what was counted stays, what was so is not any more */
static void
ngx_http_lua_ffi_metrics_zone_disown(ngx_http_lua_ffi_place_t *place)
{
    ngx_uint_t  i;

    place->owner = 0;

    if (place->gone == 0) {
        place->gone = ngx_current_msec;
    }

    atomic_store(&place->state, NGX_HTTP_LUA_FFI_STATE_GONE);

    for (i = NGX_HTTP_LUA_FFI_FIRST_GAUGE; i < NGX_HTTP_LUA_FFI_NUMBERS; i++) {
        atomic_store(&place->numbers[i], 0);
    }
}


ngx_http_lua_ffi_place_t *
ngx_http_lua_ffi_metrics_zone_claim(const u_char key[16],
    const ngx_http_lua_ffi_place_text_t *text)
{
    ngx_http_lua_ffi_zone_t   *zone;
    ngx_http_lua_ffi_place_t  *place;

    zone = ngx_http_lua_ffi_metrics_zone();

    ngx_http_lua_ffi_metrics_zone_lock();

    place = ngx_http_lua_ffi_metrics_zone_find(zone, key);

    if (place == NULL) {
        place = ngx_http_lua_ffi_metrics_zone_take(zone);

        if (place != NULL) {
            ngx_memzero(place, sizeof(ngx_http_lua_ffi_place_t));
            ngx_memcpy(place->key, key, sizeof(place->key));
            place->text = *text;
            place->text.since = ngx_time();
            place->worker = ngx_worker;
            place->claim = ++zone->claims;
            ngx_http_lua_ffi_metrics_zone_name(zone, place);
        }
    }

    if (place != NULL) {
        place->owner = ngx_pid;
        place->gone = 0;
    }

    ngx_http_lua_ffi_metrics_zone_unlock();

    return place;
}


/* locked; one's own, or one of this worker's number that is nobody's */
static ngx_http_lua_ffi_place_t *
ngx_http_lua_ffi_metrics_zone_find(ngx_http_lua_ffi_zone_t *zone,
    const u_char key[16])
{
    ngx_uint_t                 i;
    ngx_http_lua_ffi_place_t  *place, *found;

    found = NULL;

    for (i = 0; i < zone->used; i++) {
        place = &zone->places[i];

        if (place->worker != ngx_worker
            || ngx_memcmp(place->key, key, sizeof(place->key)) != 0)
        {
            continue;
        }

        if (place->owner == ngx_pid) {
            return place;
        }

        if (place->owner == 0) {
            found = place;
        }
    }

    return found;
}


/* locked */
static ngx_http_lua_ffi_place_t *
ngx_http_lua_ffi_metrics_zone_take(ngx_http_lua_ffi_zone_t *zone)
{
    ngx_uint_t                 i;
    ngx_http_lua_ffi_place_t  *place, *oldest;

    if (zone->used < zone->n) {
        return &zone->places[zone->used++];
    }

    oldest = NULL;

    for (i = 0; i < zone->used; i++) {
        place = &zone->places[i];

        if (ngx_http_lua_ffi_metrics_zone_is_free(place)
            && (oldest == NULL
                || (ngx_msec_int_t) (place->gone - oldest->gone) < 0))
        {
            oldest = place;
        }
    }

    return oldest;
}


/* locked */
static ngx_uint_t
ngx_http_lua_ffi_metrics_zone_is_free(ngx_http_lua_ffi_place_t *place)
{
    /* one whose worker was killed while it claimed it, too */
    if (place->owner == 0) {
        return 1;
    }

    return place->gone != 0
           && (place->owner == ngx_pid
           || (ngx_msec_int_t) (ngx_current_msec - place->gone)
              > NGX_HTTP_LUA_FFI_GONE_LONG_MS);
}


/* locked */
static void
ngx_http_lua_ffi_metrics_zone_name(ngx_http_lua_ffi_zone_t *zone,
    ngx_http_lua_ffi_place_t *place)
{
    size_t                     len;
    u_char                    *id;
    ngx_int_t                  number;
    ngx_uint_t                 i, last;
    ngx_http_lua_ffi_place_t  *other;

    len = ngx_strlen(place->text.id);
    last = 0;

    for (i = 0; i < zone->used; i++) {
        other = &zone->places[i];
        id = other->text.id;

        if (other == place || ngx_strncmp(id, place->text.id, len) != 0) {
            continue;
        }

        if (ngx_memcmp(other->key, place->key, sizeof(place->key)) == 0) {
            ngx_memcpy(place->text.id, id, sizeof(place->text.id));
            return;
        }

        number = id[len] == '-' ? ngx_atoi(id + len + 1,
                                           ngx_strlen(id + len + 1))
                                : 1;
        last = ngx_max(last, (ngx_uint_t) number);
    }

    if (last) {
        *ngx_snprintf(place->text.id + len,
                      sizeof(place->text.id) - len - 1, "-%ui", last + 1)
            = '\0';
    }
}


void
ngx_http_lua_ffi_metrics_zone_release(ngx_http_lua_ffi_place_t *place)
{
    ngx_http_lua_ffi_metrics_zone_lock();

    place->gone = ngx_max(ngx_current_msec, 1);

    ngx_http_lua_ffi_metrics_zone_unlock();
}


ngx_uint_t
ngx_http_lua_ffi_metrics_zone_owns(ngx_http_lua_ffi_place_t *place,
    ngx_uint_t claim)
{
    ngx_uint_t  owns;

    ngx_http_lua_ffi_metrics_zone_lock();

    owns = place->owner == ngx_pid && place->claim == claim;

    ngx_http_lua_ffi_metrics_zone_unlock();

    return owns;
}


uint64_t
ngx_http_lua_ffi_metrics_zone_untracked(ngx_uint_t more)
{
    return atomic_fetch_add(&ngx_http_lua_ffi_metrics_zone()->untracked, more);
}


ngx_array_t *
ngx_http_lua_ffi_metrics_zone_read(ngx_pool_t *pool)
{
    ngx_uint_t                 i;
    ngx_array_t               *places;
    ngx_http_lua_ffi_zone_t   *zone;
    ngx_http_lua_ffi_place_t  *copies;

    zone = ngx_http_lua_ffi_metrics_zone();

    /* used grows only: what comes meanwhile is for the next reader */
    places = ngx_array_create(pool, zone->used + 1,
                              sizeof(ngx_http_lua_ffi_place_t));
    if (places == NULL) {
        return NULL;
    }

    copies = places->elts;

    ngx_http_lua_ffi_metrics_zone_lock();

    ngx_http_lua_ffi_metrics_zone_sweep(zone);

    for (i = 0; i < ngx_min(zone->used, places->nalloc); i++) {
        ngx_http_lua_ffi_metrics_zone_copy(&zone->places[i], &copies[i]);
    }

    ngx_http_lua_ffi_metrics_zone_unlock();

    places->nelts = i;

    ngx_qsort(copies, places->nelts, sizeof(ngx_http_lua_ffi_place_t),
              ngx_http_lua_ffi_metrics_zone_compare);

    ngx_http_lua_ffi_metrics_zone_merge(places);

    return places;
}


/* locked */
static void
ngx_http_lua_ffi_metrics_zone_copy(ngx_http_lua_ffi_place_t *place,
    ngx_http_lua_ffi_place_t *copy)
{
    ngx_memzero(copy, sizeof(ngx_http_lua_ffi_place_t));

    copy->worker = place->worker;
    copy->owner = place->owner;
    copy->text = place->text;

    atomic_store(&copy->state, atomic_load(&place->state));
    ngx_http_lua_ffi_metrics_zone_sum(copy, place);
}


static int ngx_libc_cdecl
ngx_http_lua_ffi_metrics_zone_compare(const void *one, const void *two)
{
    int                              order;
    const ngx_http_lua_ffi_place_t  *first, *second;

    first = one;
    second = two;

    order = ngx_strcmp(first->text.library, second->text.library);

    if (order == 0) {
        order = ngx_strcmp(first->text.entry, second->text.entry);
    }

    if (order == 0) {
        order = ngx_strcmp(first->text.id, second->text.id);
    }

    return order ? order : (int) first->worker - (int) second->worker;
}


/* Sorted ones: a worker that ends, and the one in its place, become one. */
static void
ngx_http_lua_ffi_metrics_zone_merge(ngx_array_t *places)
{
    ngx_uint_t                 i, n;
    ngx_http_lua_ffi_place_t  *copies, *last;

    copies = places->elts;
    n = 0;

    for (i = 0; i < places->nelts; i++) {
        last = n ? &copies[n - 1] : NULL;

        if (last == NULL
            || ngx_http_lua_ffi_metrics_zone_compare(last, &copies[i]) != 0)
        {
            if (n != i) {
                copies[n] = copies[i];
            }

            n++;
            continue;
        }

        ngx_http_lua_ffi_metrics_zone_sum(last, &copies[i]);

        if (atomic_load(&last->state) != NGX_HTTP_LUA_FFI_STATE_READY
            && atomic_load(&copies[i].state) != NGX_HTTP_LUA_FFI_STATE_GONE)
        {
            last->owner = copies[i].owner;
            atomic_store(&last->state, atomic_load(&copies[i].state));
        }
    }

    places->nelts = n;
}


static void
ngx_http_lua_ffi_metrics_zone_sum(ngx_http_lua_ffi_place_t *sum,
    ngx_http_lua_ffi_place_t *place)
{
    uint64_t    number, peak;
    ngx_uint_t  i, j;

    peak = ngx_max(sum->numbers[NGX_HTTP_LUA_FFI_PEAK],
                   place->numbers[NGX_HTTP_LUA_FFI_PEAK]);

    for (i = 0; i < NGX_HTTP_LUA_FFI_NUMBERS; i++) {
        number = atomic_load_explicit(&place->numbers[i],
                                      memory_order_relaxed);
        ffi_count(&sum->numbers[i], number);
    }

    atomic_store(&sum->numbers[NGX_HTTP_LUA_FFI_PEAK], peak);

    for (i = 0; i < NGX_HTTP_LUA_FFI_STAGES; i++) {
        for (j = 0; j < FFI_HISTOGRAM_BUCKETS; j++) {
            number = atomic_load_explicit(&place->stages[i].buckets[j],
                                          memory_order_relaxed);
            ffi_count(&sum->stages[i].buckets[j], number);
        }

        number = atomic_load_explicit(&place->stages[i].sum,
                                      memory_order_relaxed);
        ffi_count(&sum->stages[i].sum, number);
    }

    if (place->text.error_time > sum->text.error_time) {
        ngx_memcpy(sum->text.error, place->text.error,
                   sizeof(sum->text.error));
        sum->text.error_time = place->text.error_time;
    }

    sum->text.loaded = ngx_max(sum->text.loaded, place->text.loaded);
}
