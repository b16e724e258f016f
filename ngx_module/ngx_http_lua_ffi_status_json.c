#include "ngx_http_lua_ffi_status.h"


static void ngx_http_lua_ffi_json_bounds(ngx_http_lua_ffi_out_t *out);
static void ngx_http_lua_ffi_json_string(ngx_http_lua_ffi_out_t *out,
    const char *name, const u_char *text);
static void ngx_http_lua_ffi_json_runtime(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *place);
static void ngx_http_lua_ffi_json_worker(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *place);
static void ngx_http_lua_ffi_json_error(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *place);
static void ngx_http_lua_ffi_json_stage(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *place, ngx_uint_t stage);


void
ngx_http_lua_ffi_status_json(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status)
{
    u_char                    *last;
    ngx_uint_t                 i;
    ngx_http_lua_ffi_place_t  *place;

    ngx_http_lua_ffi_out(out, "{\"version\":\"" RESTY_FFI_VERSION "\","
                         "\"time\":%T.%03ui,\"untracked_runtimes\":%uL,",
                         ngx_time(), ngx_timeofday()->msec,
                         status->untracked);
    ngx_http_lua_ffi_json_bounds(out);
    ngx_http_lua_ffi_out(out, ",\"runtimes\":[");

    last = NULL;

    for (i = 0; i < status->n; i++) {
        place = &status->places[i];

        if (last == NULL || ngx_strcmp(last, place->text.id) != 0) {
            ngx_http_lua_ffi_out(out, "%s", last != NULL ? "]}," : "");
            ngx_http_lua_ffi_json_runtime(out, place);
            last = place->text.id;

        } else {
            ngx_http_lua_ffi_out(out, ",");
        }

        ngx_http_lua_ffi_json_worker(out, place);
    }

    ngx_http_lua_ffi_out(out, "%s]}\n", last != NULL ? "]}" : "");
}


/* Of the buckets, in seconds; the last one has none. */
static void
ngx_http_lua_ffi_json_bounds(ngx_http_lua_ffi_out_t *out)
{
    uint64_t    bound;
    ngx_uint_t  i;

    ngx_http_lua_ffi_out(out, "\"bounds\":[");

    for (i = 0; i < FFI_HISTOGRAM_BOUNDS; i++) {
        bound = ffi_histogram_bound(i);
        ngx_http_lua_ffi_out(out, "%s%uL.%06uL", i ? "," : "",
                             bound / 1000000, bound % 1000000);
    }

    ngx_http_lua_ffi_out(out, "]");
}


static void
ngx_http_lua_ffi_json_string(ngx_http_lua_ffi_out_t *out, const char *name,
    const u_char *text)
{
    ngx_http_lua_ffi_out(out, "\"%s\":\"", name);
    ngx_http_lua_ffi_out_text(out, NGX_HTTP_LUA_FFI_OUT_JSON, text);
    ngx_http_lua_ffi_out(out, "\"");
}


/* Its beginning, up to the list of workers. */
static void
ngx_http_lua_ffi_json_runtime(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *place)
{
    ngx_http_lua_ffi_out(out, "{\"id\":\"%s\",", place->text.id);
    ngx_http_lua_ffi_json_string(out, "library", place->text.library);
    ngx_http_lua_ffi_out(out, ",");
    ngx_http_lua_ffi_json_string(out, "entry", place->text.entry);
    ngx_http_lua_ffi_out(out, ",");
    ngx_http_lua_ffi_json_string(out, "configuration", place->text.cfg);
    ngx_http_lua_ffi_out(out, ",\"workers\":[");
}


static void
ngx_http_lua_ffi_json_worker(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *place)
{
    uint64_t                               number;
    ngx_uint_t                             i;
    const ngx_http_lua_ffi_status_name_t  *name;

    ngx_http_lua_ffi_out(out, "{\"worker\":%ui,\"pid\":%P,\"state\":\"%s\","
                         "\"loaded\":%T", place->worker, place->owner,
                         ngx_http_lua_ffi_status_states[
                                                   atomic_load(&place->state)],
                         place->text.loaded);

    for (name = ngx_http_lua_ffi_status_names; name->name; name++) {
        number = atomic_load(&place->numbers[name->number]);
        ngx_http_lua_ffi_out(out, ",\"%s\":%uL", name->name, number);
    }

    ngx_http_lua_ffi_out(out, ",\"failures\":{");

    for (i = 0; i < NGX_HTTP_LUA_FFI_FAILURES; i++) {
        number = atomic_load(&place->numbers[NGX_HTTP_LUA_FFI_FIRST_FAILURE
                                             + i]);
        ngx_http_lua_ffi_out(out, "%s\"%s\":%uL", i ? "," : "",
                             ngx_http_lua_ffi_status_failures[i], number);
    }

    ngx_http_lua_ffi_out(out, "},\"error\":");
    ngx_http_lua_ffi_json_error(out, place);
    ngx_http_lua_ffi_out(out, ",\"seconds\":{");

    for (i = 0; i < NGX_HTTP_LUA_FFI_STAGES; i++) {
        ngx_http_lua_ffi_out(out, i ? "," : "");
        ngx_http_lua_ffi_json_stage(out, place, i);
    }

    ngx_http_lua_ffi_out(out, "}}");
}


/* The last one, or null. */
static void
ngx_http_lua_ffi_json_error(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *place)
{
    if (place->text.error_time == 0) {
        ngx_http_lua_ffi_out(out, "null");
        return;
    }

    ngx_http_lua_ffi_out(out, "{\"time\":%T,", place->text.error_time);
    ngx_http_lua_ffi_json_string(out, "message", place->text.error);
    ngx_http_lua_ffi_out(out, "}");
}


static void
ngx_http_lua_ffi_json_stage(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *place, ngx_uint_t stage)
{
    ngx_uint_t            i;
    ffi_histogram_view_t  view;

    ngx_memzero(&view, sizeof(ffi_histogram_view_t));
    ffi_histogram_read(&place->stages[stage], &view);

    ngx_http_lua_ffi_out(out, "\"%s\":{\"count\":%uL,\"sum\":%uL.%09uL,"
                         "\"buckets\":[",
                         ngx_http_lua_ffi_status_stages[stage].name,
                         ffi_histogram_total(&view), view.sum / 1000000000,
                         view.sum % 1000000000);

    for (i = 0; i < FFI_HISTOGRAM_BUCKETS; i++) {
        ngx_http_lua_ffi_out(out, "%s%uL", i ? "," : "", view.buckets[i]);
    }

    ngx_http_lua_ffi_out(out, "]}");
}
