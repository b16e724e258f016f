package resty.ffi.internal;

import resty.ffi.Threads;

/** What a handler can be given to. */
public interface Host {
    void serve(Object handler, Threads threads);
}
