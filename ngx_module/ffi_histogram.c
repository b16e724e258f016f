#include "ffi_histogram.h"


void
ffi_histogram_read(const ffi_histogram_t *histogram, ffi_histogram_view_t *view)
{
    unsigned  i;

    for (i = 0; i < FFI_HISTOGRAM_BUCKETS; i++) {
        view->buckets[i] += atomic_load_explicit(&histogram->buckets[i],
                                                 memory_order_relaxed);
    }

    view->sum += atomic_load_explicit(&histogram->sum, memory_order_relaxed);
}


uint64_t
ffi_histogram_total(const ffi_histogram_view_t *view)
{
    unsigned  i;
    uint64_t  total;

    total = 0;

    for (i = 0; i < FFI_HISTOGRAM_BUCKETS; i++) {
        total += view->buckets[i];
    }

    return total;
}


uint64_t
ffi_histogram_quantile(const ffi_histogram_view_t *view, double part)
{
    double    rank;
    unsigned  i;
    uint64_t  total, seen;

    total = ffi_histogram_total(view);
    if (total == 0) {
        return 0;
    }

    rank = (double) total * part;
    seen = 0;

    for (i = 0; i < FFI_HISTOGRAM_BOUNDS; i++) {
        seen += view->buckets[i];

        if (seen > 0 && (double) seen >= rank) {
            return ffi_histogram_bound(i);
        }
    }

    return UINT64_MAX;
}
