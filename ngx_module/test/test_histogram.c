#include "check.h"
#include "ffi_histogram.h"

#include <pthread.h>


#define TIMES  200000


static ffi_histogram_t  shared;
static atomic_int       done;


static void
a_time_is_in_the_bucket_whose_bound_it_does_not_exceed(void)
{
    unsigned  i;
    int64_t   ns;

    for (i = 0; i < FFI_HISTOGRAM_BOUNDS; i++) {
        ns = (int64_t) ffi_histogram_bound(i) * 1000;

        check(ffi_histogram_bucket(ns) == i);
        check(ffi_histogram_bucket(ns + 1) == i + 1);
    }
}


static void
times_beyond_both_ends_are_counted(void)
{
    check(ffi_histogram_bucket(0) == 0);
    check(ffi_histogram_bucket(-1) == 0);
    check(ffi_histogram_bucket(INT64_MIN) == 0);
    check(ffi_histogram_bucket(INT64_MAX) == FFI_HISTOGRAM_BOUNDS);
}


static void
a_time_counts_for_as_many_as_it_stands_for(void)
{
    ffi_histogram_t       histogram = { 0 };
    ffi_histogram_view_t  view = { 0 };

    ffi_histogram_add(&histogram, 1500, 1);
    ffi_histogram_add(&histogram, 1500, 16);
    ffi_histogram_add(&histogram, -5, 1);
    ffi_histogram_read(&histogram, &view);

    check(view.buckets[0] == 1);
    check(view.buckets[1] == 17);
    check(view.sum == 17 * 1500);
    check(ffi_histogram_total(&view) == 18);
}


static void
views_add_up(void)
{
    ffi_histogram_t       one = { 0 }, other = { 0 };
    ffi_histogram_view_t  view = { 0 };

    ffi_histogram_add(&one, 1000, 1);
    ffi_histogram_add(&other, 5000, 1);
    ffi_histogram_read(&one, &view);
    ffi_histogram_read(&other, &view);

    check(ffi_histogram_total(&view) == 2);
    check(view.sum == 6000);
}


static void
a_quantile_is_the_bound_of_its_bucket(void)
{
    ffi_histogram_t       histogram = { 0 };
    ffi_histogram_view_t  view = { 0 };

    check(ffi_histogram_quantile(&view, 0.5) == 0);

    ffi_histogram_add(&histogram, 3000, 98);
    ffi_histogram_add(&histogram, 1000000, 1);
    ffi_histogram_add(&histogram, INT64_MAX / 2, 1);
    ffi_histogram_read(&histogram, &view);

    check(ffi_histogram_quantile(&view, 0) == 4);
    check(ffi_histogram_quantile(&view, 0.5) == 4);
    check(ffi_histogram_quantile(&view, 0.98) == 4);
    check(ffi_histogram_quantile(&view, 0.99) == 1024);
    check(ffi_histogram_quantile(&view, 1) == UINT64_MAX);
}


static void *
write_times(void *data)
{
    int  i;

    for (i = 0; i < TIMES; i++) {
        ffi_histogram_add(&shared, 1000, 1);
    }

    atomic_store(&done, 1);

    return NULL;
}


static void
a_reader_sees_numbers_grow(void)
{
    int                   last;
    uint64_t              total;
    pthread_t             writer;
    ffi_histogram_view_t  view;

    check(pthread_create(&writer, NULL, write_times, NULL) == 0);
    total = 0;

    do {
        last = atomic_load(&done);

        view = (ffi_histogram_view_t) { 0 };
        ffi_histogram_read(&shared, &view);

        check(ffi_histogram_total(&view) >= total);
        total = ffi_histogram_total(&view);
    } while (!last);

    check(total == TIMES);
    check(view.sum == (uint64_t) TIMES * 1000);
    check(pthread_join(writer, NULL) == 0);
}


int
main(void)
{
    a_time_is_in_the_bucket_whose_bound_it_does_not_exceed();
    times_beyond_both_ends_are_counted();
    a_time_counts_for_as_many_as_it_stands_for();
    views_add_up();
    a_quantile_is_the_bound_of_its_bucket();
    a_reader_sees_numbers_grow();

    return 0;
}
