package resty.ffi.internal;

import java.io.IOException;

/** The contract's functions (java_loader/src/bridge.c). Handles are those of the contract. */
final class Nginx {
    static final int CRIT = 3;
    static final int ERR = 4;
    static final int WARN = 5;
    static final int NOTICE = 6;
    static final int INFO = 7;
    static final int DEBUG = 8;

    /** The index of a method that the handler does not have. */
    static final int UNKNOWN = 0xffff;

    /** Added to the index when the request is large, and so left to be fetched by request(). */
    static final int LARGE = 0x10000;

    private Nginx() {}

    /** The address of a copy of the names, which are sorted; to be freed. */
    static native long createMethods(byte[][] names);

    static native void freeMethods(long methods);

    /**
     * Blocks until calls come; takes at most as many as there is room for in requests. Call i has
     * its task in tasks[2 * i] and the index of its method, or UNKNOWN, in tasks[2 * i + 1], with
     * LARGE added for a large request.
     *
     * @param methods what createMethods() returned, or 0
     * @return how many it took, or -1 at the end of the queue
     */
    static native int poll(long tq, long methods, long[] tasks, byte[][] requests);

    static native byte[] request(long task);

    /** Answers a task; rc 0 is success. */
    static native void respond(long task, int rc, byte[] response);

    static native byte[] method(long task);

    static native byte[] requestId(long task);

    static native byte[] traceparent(long task);

    static native long timeLeft(long task);

    static native boolean isAbandoned(long task);

    /** Whether the runtime is being unloaded, or its load was given up. */
    static native boolean isEnding(long tq);

    /** Whether the runtime is to replace one that runs, with fresh code. */
    static native boolean isReload(long tq);

    /** Opens a package to a module, if this JDK lets that be done. */
    static native void open(Module module, String name, Module to);

    /** The descriptor of a copy in memory of a file, to be closed. */
    static native int copyFile(byte[] path) throws IOException;

    static native void closeFile(int fd);

    static native void log(long tq, int level, byte[] text);

    static native void logTask(long task, int level, byte[] text);
}
