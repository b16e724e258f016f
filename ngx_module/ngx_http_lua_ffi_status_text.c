#include "ngx_http_lua_ffi_status.h"


#define NGX_HTTP_LUA_FFI_PREFIX      "resty_ffi_"

/* Two texts, whose bytes may become three each, and the room to write more. */
#define NGX_HTTP_LUA_FFI_LABELS_MAX                                           \
    (2 * 3 * NGX_HTTP_LUA_FFI_PLACE_TEXT + 2 * NGX_HTTP_LUA_FFI_OUT_MAX)


static void ngx_http_lua_ffi_text_family(ngx_http_lua_ffi_out_t *out,
    const char *name, const char *unit, const char *type, const char *help);
static ngx_str_t *ngx_http_lua_ffi_text_make_labels(
    ngx_http_lua_ffi_out_t *out, ngx_http_lua_ffi_status_t *status);
static void ngx_http_lua_ffi_text_write_labels(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *place);
static void ngx_http_lua_ffi_text_sample(ngx_http_lua_ffi_out_t *out,
    const char *name, const char *unit, ngx_str_t *labels);
static void ngx_http_lua_ffi_text_info(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status, ngx_str_t *labels);
static void ngx_http_lua_ffi_text_states(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status, ngx_str_t *labels);
static void ngx_http_lua_ffi_text_numbers(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status, ngx_str_t *labels);
static void ngx_http_lua_ffi_text_failures(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status, ngx_str_t *labels);
static void ngx_http_lua_ffi_text_loaded(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status, ngx_str_t *labels);
static void ngx_http_lua_ffi_text_stages(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status, ngx_str_t *labels);
static void ngx_http_lua_ffi_text_histogram(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *place, ngx_str_t *labels, ngx_uint_t stage);


void
ngx_http_lua_ffi_status_text(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status)
{
    ngx_str_t  *labels;

    labels = ngx_http_lua_ffi_text_make_labels(out, status);
    if (labels == NULL) {
        out->failed = 1;
        return;
    }

    ngx_http_lua_ffi_text_family(out, "build_info", "", "gauge",
                                 "The version of resty-ffi");
    ngx_http_lua_ffi_out(out, NGX_HTTP_LUA_FFI_PREFIX
                         "build_info{version=\"" RESTY_FFI_VERSION "\"} 1\n");

    ngx_http_lua_ffi_text_family(out, "untracked_runtimes", "_total",
                                 "counter", "Runtimes that had no room in the "
                                 "memory of lua_ffi_metrics");
    ngx_http_lua_ffi_out(out, NGX_HTTP_LUA_FFI_PREFIX
                         "untracked_runtimes_total %uL\n", status->untracked);

    ngx_http_lua_ffi_text_info(out, status, labels);
    ngx_http_lua_ffi_text_states(out, status, labels);
    ngx_http_lua_ffi_text_loaded(out, status, labels);
    ngx_http_lua_ffi_text_numbers(out, status, labels);
    ngx_http_lua_ffi_text_failures(out, status, labels);
    ngx_http_lua_ffi_text_stages(out, status, labels);
}


static void
ngx_http_lua_ffi_text_family(ngx_http_lua_ffi_out_t *out, const char *name,
    const char *unit, const char *type, const char *help)
{
    ngx_http_lua_ffi_out(out, "# HELP " NGX_HTTP_LUA_FFI_PREFIX "%s%s %s.\n"
                         "# TYPE " NGX_HTTP_LUA_FFI_PREFIX "%s%s %s\n",
                         name, unit, help, name, unit, type);
}


/*
 * What the samples of a place have in common, all but the last brace: written
 * once, since there are more than a hundred of them.
 */
static ngx_str_t *
ngx_http_lua_ffi_text_make_labels(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status)
{
    u_char                     text[NGX_HTTP_LUA_FFI_LABELS_MAX];
    ngx_str_t                 *labels;
    ngx_uint_t                 i;
    ngx_buf_t                  buf;
    ngx_chain_t                cl;
    ngx_http_lua_ffi_out_t     one;

    labels = ngx_palloc(out->pool, (status->n + 1) * sizeof(ngx_str_t));
    if (labels == NULL) {
        return NULL;
    }

    cl.buf = &buf;
    cl.next = NULL;

    one.pool = out->pool;
    one.first = &cl;
    one.last = &cl;

    for (i = 0; i < status->n; i++) {
        buf.last = text;
        buf.end = text + sizeof(text);

        ngx_http_lua_ffi_text_write_labels(&one, &status->places[i]);

        labels[i].len = buf.last - text;
        labels[i].data = ngx_pnalloc(out->pool, labels[i].len);

        if (labels[i].data == NULL) {
            return NULL;
        }

        ngx_memcpy(labels[i].data, text, labels[i].len);
    }

    return labels;
}


static void
ngx_http_lua_ffi_text_write_labels(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *place)
{
    ngx_http_lua_ffi_out(out, "{runtime=\"%s\",worker=\"%ui\",library=\"",
                         place->text.id, place->worker);
    ngx_http_lua_ffi_out_text(out, NGX_HTTP_LUA_FFI_OUT_LABEL,
                              place->text.library);
    ngx_http_lua_ffi_out(out, "\",entry=\"");
    ngx_http_lua_ffi_out_text(out, NGX_HTTP_LUA_FFI_OUT_LABEL,
                              place->text.entry);
    ngx_http_lua_ffi_out_raw(out, "\"", 1);
}


/* The beginning of a sample. */
static void
ngx_http_lua_ffi_text_sample(ngx_http_lua_ffi_out_t *out, const char *name,
    const char *unit, ngx_str_t *labels)
{
    ngx_http_lua_ffi_out(out, NGX_HTTP_LUA_FFI_PREFIX "%s%s", name, unit);
    ngx_http_lua_ffi_out_raw(out, (char *) labels->data, labels->len);
}


static void
ngx_http_lua_ffi_text_info(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status, ngx_str_t *labels)
{
    ngx_uint_t                 i;
    ngx_http_lua_ffi_place_t  *place;

    ngx_http_lua_ffi_text_family(out, "runtime_info", "", "gauge",
                                 "What may be shown of its configuration");

    for (i = 0; i < status->n; i++) {
        place = &status->places[i];

        ngx_http_lua_ffi_text_sample(out, "runtime_info", "", &labels[i]);
        ngx_http_lua_ffi_out(out, ",configuration=\"");
        ngx_http_lua_ffi_out_text(out, NGX_HTTP_LUA_FFI_OUT_LABEL,
                                  place->text.cfg);
        ngx_http_lua_ffi_out(out, "\"} 1\n");
    }
}


static void
ngx_http_lua_ffi_text_states(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status, ngx_str_t *labels)
{
    ngx_uint_t                 i, state;
    ngx_http_lua_ffi_place_t  *place;

    ngx_http_lua_ffi_text_family(out, "runtime_state", "", "gauge",
                                 "1 for the state that it is in");

    for (i = 0; i < status->n; i++) {
        place = &status->places[i];

        for (state = 0; state < NGX_HTTP_LUA_FFI_STATES; state++) {
            ngx_http_lua_ffi_text_sample(out, "runtime_state", "",
                                         &labels[i]);
            ngx_http_lua_ffi_out(out, ",state=\"%s\"} %d\n",
                                 ngx_http_lua_ffi_status_states[state],
                                 atomic_load(&place->state) == state);
        }
    }
}


static void
ngx_http_lua_ffi_text_loaded(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status, ngx_str_t *labels)
{
    ngx_uint_t                 i;
    ngx_http_lua_ffi_place_t  *place;

    ngx_http_lua_ffi_text_family(out, "loaded_timestamp_seconds", "", "gauge",
                                 "When it was loaded last, 0 for never");

    for (i = 0; i < status->n; i++) {
        place = &status->places[i];

        ngx_http_lua_ffi_text_sample(out, "loaded_timestamp_seconds", "",
                                     &labels[i]);
        ngx_http_lua_ffi_out(out, "} %T\n", place->text.loaded);
    }
}


static void
ngx_http_lua_ffi_text_numbers(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status, ngx_str_t *labels)
{
    ngx_uint_t                             i;
    const char                            *unit;
    ngx_http_lua_ffi_place_t              *place;
    const ngx_http_lua_ffi_status_name_t  *name;

    for (name = ngx_http_lua_ffi_status_names; name->name; name++) {
        unit = name->counter ? "_total" : "";

        ngx_http_lua_ffi_text_family(out, name->name, unit,
                                     name->counter ? "counter" : "gauge",
                                     name->help);

        for (i = 0; i < status->n; i++) {
            place = &status->places[i];

            ngx_http_lua_ffi_text_sample(out, name->name, unit, &labels[i]);
            ngx_http_lua_ffi_out(out, "} %uL\n",
                                 atomic_load(&place->numbers[name->number]));
        }
    }
}


static void
ngx_http_lua_ffi_text_failures(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status, ngx_str_t *labels)
{
    ngx_uint_t                 i, kind, number;
    ngx_http_lua_ffi_place_t  *place;

    ngx_http_lua_ffi_text_family(out, "failures", "_total", "counter",
                                 "Calls that Lua got an error for");

    for (i = 0; i < status->n; i++) {
        place = &status->places[i];

        for (kind = 0; kind < NGX_HTTP_LUA_FFI_FAILURES; kind++) {
            number = NGX_HTTP_LUA_FFI_FIRST_FAILURE + kind;

            ngx_http_lua_ffi_text_sample(out, "failures", "_total",
                                         &labels[i]);
            ngx_http_lua_ffi_out(out, ",kind=\"%s\"} %uL\n",
                                 ngx_http_lua_ffi_status_failures[kind],
                                 atomic_load(&place->numbers[number]));
        }
    }
}


static void
ngx_http_lua_ffi_text_stages(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status, ngx_str_t *labels)
{
    ngx_uint_t                             i, stage;
    const ngx_http_lua_ffi_status_name_t  *name;

    for (stage = 0; stage < NGX_HTTP_LUA_FFI_STAGES; stage++) {
        name = &ngx_http_lua_ffi_status_stages[stage];

        ngx_http_lua_ffi_text_family(out, name->name, "_seconds", "histogram",
                                     name->help);

        for (i = 0; i < status->n; i++) {
            ngx_http_lua_ffi_text_histogram(out, &status->places[i],
                                            &labels[i], stage);
        }
    }
}


static void
ngx_http_lua_ffi_text_histogram(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *place, ngx_str_t *labels, ngx_uint_t stage)
{
    uint64_t               bound, total;
    ngx_uint_t             i;
    const char            *name;
    ffi_histogram_view_t   view;

    name = ngx_http_lua_ffi_status_stages[stage].name;

    ngx_memzero(&view, sizeof(ffi_histogram_view_t));
    ffi_histogram_read(&place->stages[stage], &view);

    for (i = 0, total = 0; i < FFI_HISTOGRAM_BUCKETS; i++) {
        total += view.buckets[i];

        ngx_http_lua_ffi_text_sample(out, name, "_seconds_bucket", labels);

        if (i < FFI_HISTOGRAM_BOUNDS) {
            bound = ffi_histogram_bound(i);
            ngx_http_lua_ffi_out(out, ",le=\"%uL.%06uL\"} %uL\n",
                                 bound / 1000000, bound % 1000000, total);

        } else {
            ngx_http_lua_ffi_out(out, ",le=\"+Inf\"} %uL\n", total);
        }
    }

    ngx_http_lua_ffi_text_sample(out, name, "_seconds_sum", labels);
    ngx_http_lua_ffi_out(out, "} %uL.%09uL\n", view.sum / 1000000000,
                         view.sum % 1000000000);

    ngx_http_lua_ffi_text_sample(out, name, "_seconds_count", labels);
    ngx_http_lua_ffi_out(out, "} %uL\n", total);
}
