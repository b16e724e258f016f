/*
 * A short wait that pays off only when the other side runs on another CPU
 * right now, and that stops trying when it does not.
 *
 * A spin state belongs to one thread.
 */

#ifndef FFI_SPIN_H_INCLUDED
#define FFI_SPIN_H_INCLUDED


#include <sched.h>
#include <time.h>


/*
 * About what waking a sleeper up costs.  Longer is a loss; much shorter, and
 * two sides that both sleep never find into step (measured on two virtual
 * CPUs, one call after another: 20 us 8 us a call, 40..60 us 1.2 us).
 */
#define FFI_SPIN_NS            50000

/* Pauses between two looks at the clock. */
#define FFI_SPIN_BURST         32

/*
 * How many spins are left out at most after a row of misses: a miss then costs
 * one or two percent of the sleeps that it stands among, and traffic that comes
 * in bursts is not slow until a long penalty is worked off (measured with 1024:
 * 25 us a sequential call in short bursts, with 64: 1.1 us).
 */
#define FFI_SPIN_SKIP_MAX      64


typedef struct {
    unsigned  skip;
    unsigned  penalty;
    int       single;     /* 0 unknown, 1 one CPU only, 2 several */
} ffi_spin_t;


static inline void
ffi_spin_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}


static inline int
ffi_spin_single_cpu(void)
{
    cpu_set_t  set;

    return sched_getaffinity(0, sizeof(set), &set) != 0 || CPU_COUNT(&set) < 2;
}


/* Whether to spin now.  Each "yes" is followed by a hit or a miss. */
static inline int
ffi_spin_worth(ffi_spin_t *spin)
{
    if (spin->single == 0) {
        spin->single = ffi_spin_single_cpu() ? 1 : 2;
    }

    if (spin->single == 1) {
        return 0;
    }

    if (spin->skip) {
        spin->skip--;
        return 0;
    }

    return 1;
}


static inline void
ffi_spin_hit(ffi_spin_t *spin)
{
    spin->penalty = 0;
}


static inline void
ffi_spin_miss(ffi_spin_t *spin)
{
    spin->penalty = spin->penalty ? spin->penalty * 2 : 1;

    if (spin->penalty > FFI_SPIN_SKIP_MAX) {
        spin->penalty = FFI_SPIN_SKIP_MAX;
    }

    spin->skip = spin->penalty;
}


static inline long
ffi_spin_clock(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec * 1000000000L + ts.tv_nsec;
}


/*
 * Waits until ready(data) or for FFI_SPIN_NS; returns what ready() said last.
 */
static inline int
ffi_spin_until(int (*ready)(void *data), void *data)
{
    int   i;
    long  end;

    end = ffi_spin_clock() + FFI_SPIN_NS;

    do {
        for (i = 0; i < FFI_SPIN_BURST; i++) {
            if (ready(data)) {
                return 1;
            }

            ffi_spin_pause();
        }

    } while (ffi_spin_clock() < end);

    return ready(data);
}


#endif /* FFI_SPIN_H_INCLUDED */
