package resty.ffi;

import resty.ffi.internal.Hosts;

/** Serves a runtime. */
public final class RestyFfi {
    private RestyFfi() {}

    /** The same with {@link Threads#DEFAULT}. */
    public static int serve(long tq, Object handler) {
        return serve(tq, handler, Threads.DEFAULT);
    }

    /**
     * Has the handler answer the calls of the runtime whose {@code init(String cfg, long tq)} is
     * running; to be called there, once.
     *
     * @param handler a {@link Handler}, or an object whose public methods answer the calls of their
     *     names. They take a {@link Request}, a byte[] or a String (UTF-8), and return one of the
     *     latter two, or nothing. If it is {@link AutoCloseable} it is closed after the last answer.
     * @return 0, for init() to return
     * @throws IllegalArgumentException if the handler has nothing to call
     * @throws IllegalStateException if tq is not the task queue of a runtime that is being loaded,
     *     or is served already
     */
    public static int serve(long tq, Object handler, Threads threads) {
        Hosts.find(tq).serve(handler, threads);
        return 0;
    }
}
