#include "ngx_http_lua_ffi_status.h"

#include "ngx_http_lua_ffi_status_css.h"
#include "ngx_http_lua_ffi_status_js.h"


static ngx_uint_t ngx_http_lua_ffi_page_group(
    ngx_http_lua_ffi_status_t *status, ngx_uint_t first);
static void ngx_http_lua_ffi_page_head(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status);
static void ngx_http_lua_ffi_page_runtime(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *places, ngx_uint_t n);
static void ngx_http_lua_ffi_page_title(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *place);
static void ngx_http_lua_ffi_page_worker(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *place);
static void ngx_http_lua_ffi_page_failures(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *place);
static uint64_t ngx_http_lua_ffi_page_rate(ngx_http_lua_ffi_place_t *place);
static void ngx_http_lua_ffi_page_stage(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *places, ngx_uint_t n, ngx_uint_t stage);
static void ngx_http_lua_ffi_page_bars(ngx_http_lua_ffi_out_t *out,
    ffi_histogram_view_t *view);
static void ngx_http_lua_ffi_page_time(ngx_http_lua_ffi_out_t *out,
    uint64_t us);
static void ngx_http_lua_ffi_page_errors(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *places, ngx_uint_t n);


#define ngx_http_lua_ffi_page_put(out, text)                                  \
    ngx_http_lua_ffi_out_raw(out, text, sizeof(text) - 1)

#define ngx_http_lua_ffi_page_text(out, text)                                 \
    ngx_http_lua_ffi_out_text(out, NGX_HTTP_LUA_FFI_OUT_HTML, text)


void
ngx_http_lua_ffi_status_page(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status)
{
    ngx_uint_t  i, n;

    ngx_http_lua_ffi_page_head(out, status);

    for (i = 0; i < status->n; i += n) {
        n = ngx_http_lua_ffi_page_group(status, i);
        ngx_http_lua_ffi_page_runtime(out, &status->places[i], n);
    }

    ngx_http_lua_ffi_page_put(out, "</main>\n<script>\n");
    ngx_http_lua_ffi_page_put(out, ngx_http_lua_ffi_status_js);
    ngx_http_lua_ffi_page_put(out, "</script>\n</html>\n");
}


/* How many places the runtime has of which this is the first. */
static ngx_uint_t
ngx_http_lua_ffi_page_group(ngx_http_lua_ffi_status_t *status,
    ngx_uint_t first)
{
    ngx_uint_t  n;

    for (n = 1; first + n < status->n; n++) {
        if (ngx_strcmp(status->places[first + n].text.id,
                       status->places[first].text.id)
            != 0)
        {
            break;
        }
    }

    return n;
}


static void
ngx_http_lua_ffi_page_head(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status)
{
    ngx_uint_t  i, runtimes;

    for (i = 0, runtimes = 0; i < status->n; runtimes++) {
        i += ngx_http_lua_ffi_page_group(status, i);
    }

    ngx_http_lua_ffi_page_put(out, "<!doctype html>\n<html lang=\"en\">\n"
                              "<meta charset=\"utf-8\">\n"
                              "<meta name=\"viewport\" "
                              "content=\"width=device-width\">\n"
                              "<link rel=\"icon\" href=\"data:,\">\n"
                              "<title>resty-ffi</title>\n<style>\n");
    ngx_http_lua_ffi_page_put(out, ngx_http_lua_ffi_status_css);

    ngx_http_lua_ffi_out(out, "</style>\n<main data-time=\"%T.%03ui\">\n"
                         "<h1>resty-ffi <small>" RESTY_FFI_VERSION
                         "</small></h1>\n<p class=\"soft\">%ui runtimes at "
                         "%V", ngx_time(), ngx_timeofday()->msec, runtimes,
                         &ngx_cached_http_log_iso8601);

    if (status->untracked) {
        ngx_http_lua_ffi_out(out, "; %uL more had no room: raise "
                             "<code>lua_ffi_metrics</code>",
                             status->untracked);
    }

    ngx_http_lua_ffi_page_put(out, "</p>\n");
}


static void
ngx_http_lua_ffi_page_runtime(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *places, ngx_uint_t n)
{
    ngx_uint_t  i;

    ngx_http_lua_ffi_page_title(out, places);

    ngx_http_lua_ffi_page_put(out, "<div class=\"scroll\"><table>\n<tr>"
                              "<th>worker</th><th>state</th><th>calls</th>"
                              "<th>per second</th><th>failures</th>"
                              "<th>abandoned</th><th>waiting (peak)</th>"
                              "<th>unanswered</th><th>threads</th>"
                              "<th>copies</th><th>loads</th></tr>\n");

    for (i = 0; i < n; i++) {
        ngx_http_lua_ffi_page_worker(out, &places[i]);
    }

    ngx_http_lua_ffi_page_put(out, "</table></div>\n<div class=\"stages\">\n");

    for (i = 0; i < NGX_HTTP_LUA_FFI_STAGES; i++) {
        ngx_http_lua_ffi_page_stage(out, places, n, i);
    }

    ngx_http_lua_ffi_page_put(out, "</div>\n");
    ngx_http_lua_ffi_page_errors(out, places, n);
    ngx_http_lua_ffi_page_put(out, "</section>\n");
}


static void
ngx_http_lua_ffi_page_title(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *place)
{
    ngx_http_lua_ffi_out(out, "<section id=\"%s\">\n<h2><code>",
                         place->text.id);
    ngx_http_lua_ffi_page_text(out, place->text.library);

    if (place->text.entry[0]) {
        ngx_http_lua_ffi_page_put(out, "</code> <code>");
        ngx_http_lua_ffi_page_text(out, place->text.entry);
    }

    ngx_http_lua_ffi_out(out, "</code> <small>%s</small></h2>\n",
                         place->text.id);

    if (place->text.cfg[0]) {
        ngx_http_lua_ffi_page_put(out, "<p class=\"soft\"><code>");
        ngx_http_lua_ffi_page_text(out, place->text.cfg);
        ngx_http_lua_ffi_page_put(out, "</code></p>\n");
    }
}


static void
ngx_http_lua_ffi_page_worker(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *place)
{
    uint64_t    *numbers;
    const char  *state;

    numbers = (uint64_t *) place->numbers;
    state = ngx_http_lua_ffi_status_states[atomic_load(&place->state)];

    ngx_http_lua_ffi_out(out, "<tr data-key=\"%s/%ui\" data-calls=\"%uL\">"
                         "<td>%ui <span class=\"soft\">%P</span></td>"
                         "<td class=\"%s\">%s</td><td>%uL</td>"
                         "<td class=\"rate\">%uL</td><td>",
                         place->text.id, place->worker,
                         numbers[NGX_HTTP_LUA_FFI_CALLS], place->worker,
                         place->owner, state, state,
                         numbers[NGX_HTTP_LUA_FFI_CALLS],
                         ngx_http_lua_ffi_page_rate(place));

    ngx_http_lua_ffi_page_failures(out, place);

    ngx_http_lua_ffi_out(out, "</td><td>%uL</td><td>%uL (%uL)</td>"
                         "<td>%uL</td><td>%uL</td><td>%uL</td>"
                         "<td title=\"%uL failed, %uL reloads, %uL recycles\">"
                         "%uL</td></tr>\n",
                         numbers[NGX_HTTP_LUA_FFI_ABANDONED],
                         numbers[NGX_HTTP_LUA_FFI_DEPTH],
                         numbers[NGX_HTTP_LUA_FFI_PEAK],
                         numbers[NGX_HTTP_LUA_FFI_UNANSWERED],
                         numbers[NGX_HTTP_LUA_FFI_THREADS],
                         numbers[NGX_HTTP_LUA_FFI_COPIES],
                         numbers[NGX_HTTP_LUA_FFI_FAILED_LOADS],
                         numbers[NGX_HTTP_LUA_FFI_RELOADS],
                         numbers[NGX_HTTP_LUA_FFI_RECYCLES],
                         numbers[NGX_HTTP_LUA_FFI_LOADS]);
}


/* "0", or how many of which kinds. */
static void
ngx_http_lua_ffi_page_failures(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *place)
{
    uint64_t    n;
    ngx_uint_t  i, some;

    for (i = 0, some = 0; i < NGX_HTTP_LUA_FFI_FAILURES; i++) {
        n = atomic_load(&place->numbers[NGX_HTTP_LUA_FFI_FIRST_FAILURE + i]);

        if (n) {
            ngx_http_lua_ffi_out(out, "%s%uL %s", some ? ", " : "", n,
                                 ngx_http_lua_ffi_status_failures[i]);
            some = 1;
        }
    }

    if (!some) {
        ngx_http_lua_ffi_page_put(out, "0");
    }
}


/* Calls in a second, since it was loaded first. */
static uint64_t
ngx_http_lua_ffi_page_rate(ngx_http_lua_ffi_place_t *place)
{
    time_t  seconds;

    seconds = ngx_time() - place->text.since;

    return atomic_load(&place->numbers[NGX_HTTP_LUA_FFI_CALLS])
           / (uint64_t) ngx_max(seconds, 1);
}


static void
ngx_http_lua_ffi_page_stage(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *places, ngx_uint_t n, ngx_uint_t stage)
{
    ngx_uint_t             i;
    ffi_histogram_view_t   view;

    static const char *const  titles[] = {
        "waiting in the queue",
        "running in the guest",
        "waiting for the event loop"
    };

    ngx_memzero(&view, sizeof(ffi_histogram_view_t));

    for (i = 0; i < n; i++) {
        ffi_histogram_read(&places[i].stages[stage], &view);
    }

    ngx_http_lua_ffi_out(out, "<div>%s <span class=\"soft\">",
                         titles[stage]);

    if (ffi_histogram_total(&view)) {
        ngx_http_lua_ffi_page_put(out, "p50 ");
        ngx_http_lua_ffi_page_time(out, ffi_histogram_quantile(&view, 0.5));
        ngx_http_lua_ffi_page_put(out, ", p99 ");
        ngx_http_lua_ffi_page_time(out, ffi_histogram_quantile(&view, 0.99));
    }

    ngx_http_lua_ffi_page_put(out, "</span>");
    ngx_http_lua_ffi_page_bars(out, &view);
    ngx_http_lua_ffi_page_put(out, "</div>\n");
}


/* A bar for each bucket; the least that there is can be seen. */
static void
ngx_http_lua_ffi_page_bars(ngx_http_lua_ffi_out_t *out,
    ffi_histogram_view_t *view)
{
    uint64_t    most;
    ngx_uint_t  i;

    most = 1;

    for (i = 0; i < FFI_HISTOGRAM_BUCKETS; i++) {
        most = ngx_max(most, view->buckets[i]);
    }

    ngx_http_lua_ffi_page_put(out, "<div class=\"bars\">");

    for (i = 0; i < FFI_HISTOGRAM_BUCKETS; i++) {
        ngx_http_lua_ffi_out(out, "<i style=\"height:%ui%%\" title=\"",
                             view->buckets[i]
                             ? ngx_max((ngx_uint_t) (view->buckets[i]
                                                     * 100.0 / most), 3)
                             : 0);
        ngx_http_lua_ffi_page_time(out, i < FFI_HISTOGRAM_BOUNDS
                                        ? ffi_histogram_bound(i)
                                        : UINT64_MAX);
        ngx_http_lua_ffi_out(out, ": %uL\"></i>", view->buckets[i]);
    }

    ngx_http_lua_ffi_page_put(out, "</div>");
}


/* A bucket's bound, UINT64_MAX for none. */
static void
ngx_http_lua_ffi_page_time(ngx_http_lua_ffi_out_t *out, uint64_t us)
{
    if (us == UINT64_MAX) {
        ngx_http_lua_ffi_page_put(out, "&gt; 67 s");

    } else if (us < 1000) {
        ngx_http_lua_ffi_out(out, "&le; %uL µs", us);

    } else if (us < 1000000) {
        ngx_http_lua_ffi_out(out, "&le; %uL ms", us / 1000);

    } else {
        ngx_http_lua_ffi_out(out, "&le; %uL s", us / 1000000);
    }
}


static void
ngx_http_lua_ffi_page_errors(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_place_t *places, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (places[i].text.error_time == 0) {
            continue;
        }

        ngx_http_lua_ffi_out(out, "<div class=\"error\">worker %ui, %T s ago: ",
                             places[i].worker,
                             ngx_time() - places[i].text.error_time);
        ngx_http_lua_ffi_page_text(out, places[i].text.error);
        ngx_http_lua_ffi_page_put(out, "</div>\n");
    }
}
