/*
 * How tasks get from the event loop to the threads of a library and back, and
 * who wakes whom: ffi_queue.c, ffi_done.c, ngx_http_lua_ffi_notify.c.
 *
 * The loop posts TASKS tasks and closes the queue, at once or when all are
 * answered.  Handlers may block: the one of the first task that is taken waits
 * until all others were taken.  So a wake-up that is lost, even if only while
 * another thread is busy, ends with everybody asleep, which the checker reports
 * as an invalid end state; there is no other way for a task to be forgotten.
 *
 * Each statement is one step, as the atomic operations of the C code are, which
 * are sequentially consistent where it matters.  Counters stand for lists.
 * Spins are chances to see what is there without sleeping; polls with a time
 * limit are left out, as they sleep less.
 *
 * MUTANT is the number of a mistake: "make model" sees that each is found.
 */

#ifndef MUTANT
#define MUTANT  0
#endif

/* More make no other order of steps that matters, and hours of states. */
#define TASKS  2

#ifdef EVENT_FD
#define POLLERS  1
#define LOOPS    1
#else
#define POLLERS  2
#define LOOPS    0
#endif


/* the queue */
byte  pushed;                   /* tasks, newest first */
byte  ready;                    /* tasks, oldest first */
bool  lock;
bool  closed;

byte  wakeups;                  /* the futex */
byte  sleepers;
byte  waiting;                  /* threads that the kernel holds */
byte  woken;                    /* that it lets go */

bool  fd_armed;
bool  fd_readable;              /* the queue's eventfd */

/* the done list */
byte  done;
bool  awake;
bool  edge;                     /* its eventfd, as epoll reports it */

/* of the model */
byte  taken;
byte  answered;


#define has_work  (pushed != 0 || ready != 0 || closed)


/* ---- threads of the library ---------------------------------------------- */

inline take(got)
{
    atomic { !lock -> lock = true };

    if
    :: ready == 0 && pushed > 0 ->
        /* out of one list and not yet in the other */
        atomic { batch = pushed; pushed = 0 };
        ready = batch - 1;
        got = true
    :: ready > 0 -> ready--; got = true
    :: ready == 0 && pushed == 0 -> got = false
    fi;

    batch = 0;
    lock = false
}


/* ffi_queue_has_work(): one look after the other */
inline look(work)
{
    work = (pushed != 0);
    if :: !work -> work = (ready != 0) :: else fi;
    if :: !work -> work = closed :: else fi
}


/* the last look before a sleep, not while tasks are between the lists */
inline look_last(work)
{
#if MUTANT != 1
    atomic { !lock -> lock = true };
#endif
    look(work);
#if MUTANT != 1
    lock = false
#else
    skip
#endif
}


inline futex_wait()
{
    if
    :: atomic { wakeups == seen -> waiting++ };
       atomic { woken > 0 -> woken-- }
    :: wakeups != seen
    fi
}


inline respond()
{
    atomic { taken++; first = (taken == 1) };

    if
    :: first -> taken == TASKS          /* the handler blocks */
    :: !first
    fi;

#if MUTANT == 5
    was_awake = awake;
#endif
    atomic { was_empty = (done == 0); done++ };

    if
    :: was_empty ->
#if MUTANT != 5
        was_awake = awake;
#endif
        if :: !was_awake -> edge = true :: else fi
    :: else
    fi;

    atomic { first = false; was_empty = false; was_awake = false; got = false }
}


/* ffi_queue_poll(): blocks for ever */
proctype poller()
{
    byte  seen, batch;
    bool  got, work, first, was_empty, was_awake;

again:
    take(got);

    if :: got -> respond(); goto again :: else fi;

    if
    :: closed ->
#if MUTANT != 10
        take(got);
        if :: got -> respond(); goto again :: else fi;
#endif
        fd_readable = true;
        goto end
    :: else
    fi;

    if
    :: has_work -> goto again           /* while it spins */
    :: true
    fi;

#if MUTANT != 3
    seen = wakeups;
#endif
#if MUTANT != 2
    sleepers++;
#endif

    look_last(work);

#if MUTANT == 2
    sleepers++;
#endif
#if MUTANT == 3
    seen = wakeups;
#endif

    if :: !work -> futex_wait() :: else fi;

    atomic { sleepers--; seen = 0; work = false };
    goto again;

end:
    skip
}


/* ffi_queue_poll() with no time to wait, whenever the descriptor is readable */
proctype event_loop_of_library()
{
    byte  batch;
    bool  got, work, first, was_empty, was_awake;

again:
    atomic { fd_readable -> fd_readable = false };

next:
    take(got);

    if :: got -> respond(); goto next :: else fi;

    if
    :: closed ->
        take(got);
        if :: got -> respond(); goto next :: else fi;
        fd_readable = true;
        goto end
    :: else
    fi;

#if MUTANT == 8
    look_last(work);
    fd_armed = true;
#else
    fd_armed = true;
    look_last(work);
#endif

    if :: work -> goto next :: else -> goto again fi;

end:
    skip
}


/* ---- nginx's event loop --------------------------------------------------- */

inline futex_wake(n)
{
    atomic {
        if
        :: waiting > n -> woken = woken + n; waiting = waiting - n
        :: else -> woken = woken + waiting; waiting = 0
        fi
    }
}


inline wake_threads(n)
{
    if
    :: sleepers > 0 ->
#if MUTANT != 6
        wakeups++;
#endif
        futex_wake(n)
    :: else
    fi;

    if
    :: fd_armed ->
        atomic { was_armed = fd_armed; fd_armed = false };
        if :: was_armed -> fd_readable = true :: else fi
    :: else
    fi
}


inline post_task()
{
#if MUTANT == 4
    wake_threads(1);
#endif
    pushed++;
    posted++;
    unwoken++
}


inline close_queue()
{
    closed = true;
#if MUTANT != 9
    wakeups++;
    futex_wake(POLLERS);
    fd_readable = true
#else
    skip
#endif
}


inline drain()
{
    atomic { n = done; done = 0; answered = answered + n }
}


/* ngx_http_lua_ffi_notify_turn_event(), which posts itself */
inline turn()
{
    do
    :: awake = true;

#if MUTANT != 4
       if :: unwoken > 0 -> wake_threads(unwoken) :: else fi;
#endif
       unwoken = 0;

       if
       :: true -> break                 /* the rounds are used up */
       :: true ->
           drain();

           if
           :: n > 0 && posted < TASKS -> n = 0; post_task()
           :: n > 0 -> n = 0
           :: n == 0 -> break
           fi
       fi
    od;

    n = 0;
    awake = false;

#if MUTANT != 7
    if :: done > 0 -> edge = true :: else fi
#else
    skip
#endif
}


proctype event_loop()
{
    byte  n, posted, unwoken;
    bool  was_armed, early;

    if :: early = true :: early = false fi;

    do
    :: answered == TASKS && closed -> break
    :: answered < TASKS || !closed ->
        /* epoll_wait(): clients, who post or unload, or the eventfd */
        if
        :: posted < TASKS ->
            post_task();
            if :: posted < TASKS -> post_task() :: true fi
        :: posted == TASKS && !closed && (early || answered == TASKS) ->
            close_queue()
        :: atomic { edge -> edge = false };
            awake = true;
            drain()
        fi;

        turn()
    od
}


init
{
    byte  i;

    atomic {
        run event_loop();

        for (i : 1 .. POLLERS) {
            run poller();
        }

#ifdef EVENT_FD
        fd_readable = true;             /* from the start */
        run event_loop_of_library()
#endif
    }
}
