/*
 * How long something took, counted in buckets whose bounds double: from 1 us to
 * 67 s, and one for what takes longer.
 *
 * One thread writes at a time; any thread of any process may read meanwhile,
 * and gets numbers that were all true, if not at one moment.
 */

#ifndef FFI_HISTOGRAM_H_INCLUDED
#define FFI_HISTOGRAM_H_INCLUDED


#include <stdatomic.h>
#include <stdint.h>


/* The bounds are 2^0 to 2^26 us; the last bucket has none. */
#define FFI_HISTOGRAM_BOUNDS   27
#define FFI_HISTOGRAM_BUCKETS  (FFI_HISTOGRAM_BOUNDS + 1)


typedef struct {
    _Atomic uint64_t  buckets[FFI_HISTOGRAM_BUCKETS];
    _Atomic uint64_t  sum;                       /* ns */
} ffi_histogram_t;


/* What is read of one, or of several added up. */
typedef struct {
    uint64_t          buckets[FFI_HISTOGRAM_BUCKETS];
    uint64_t          sum;                       /* ns */
} ffi_histogram_view_t;


/* Any thread.  Adds a number that only the calling thread writes. */
static inline void
ffi_count(_Atomic uint64_t *counter, uint64_t n)
{
    /* relaxed: a number by itself; not an addition that would lock the bus */
    atomic_store_explicit(counter,
                          atomic_load_explicit(counter, memory_order_relaxed)
                          + n,
                          memory_order_relaxed);
}


/* Any thread.  The upper bound of a bucket, included, in us. */
static inline uint64_t
ffi_histogram_bound(unsigned bucket)
{
    return UINT64_C(1) << bucket;
}


/* Any thread.  The bucket of a time; a negative one counts as none at all. */
static inline unsigned
ffi_histogram_bucket(int64_t ns)
{
    uint64_t  us;
    unsigned  bucket;

    if (ns <= 1000) {
        return 0;
    }

    us = ((uint64_t) ns - 1) / 1000;
    bucket = 64 - (unsigned) __builtin_clzll(us);

    return bucket < FFI_HISTOGRAM_BOUNDS ? bucket : FFI_HISTOGRAM_BOUNDS;
}


/* The writer.  Counts a time for as many as it stands for. */
static inline void
ffi_histogram_add(ffi_histogram_t *histogram, int64_t ns, unsigned weight)
{
    ffi_count(&histogram->buckets[ffi_histogram_bucket(ns)], weight);
    ffi_count(&histogram->sum, ns > 0 ? (uint64_t) ns * weight : 0);
}


/* Any thread.  Adds what it has now to the view. */
void ffi_histogram_read(const ffi_histogram_t *histogram,
    ffi_histogram_view_t *view);

/* How many times were counted. */
uint64_t ffi_histogram_total(const ffi_histogram_view_t *view);

/*
 * The bound, in us, that the given part (0 to 1) of the times does not exceed;
 * 0 when there are none, UINT64_MAX when it is in the bucket without one.
 */
uint64_t ffi_histogram_quantile(const ffi_histogram_view_t *view, double part);


#endif /* FFI_HISTOGRAM_H_INCLUDED */
