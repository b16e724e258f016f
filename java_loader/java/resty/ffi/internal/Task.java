package resty.ffi.internal;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import resty.ffi.Request;

/** One call in flight. */
final class Task implements Request {
    private static final ThreadLocal<Task> CURRENT = new ThreadLocal<>();

    private final long handle;
    private final byte[] body;
    private String method;

    /** What runs the handler. */
    private Thread thread;

    /** Written under the lock: with the answer goes the memory that method and id are read from. */
    private volatile boolean answered;

    Task(long handle, byte[] body) {
        this.handle = handle;
        this.body = body;
    }

    /** The call that this thread serves, or null. */
    static Task current() {
        Task task = CURRENT.get();
        return task == null || task.answered ? null : task;
    }

    /** This thread serves it from now on. */
    synchronized void enter() {
        thread = Thread.currentThread();
        CURRENT.set(this);
    }

    /** An interrupt that was meant for this call is not the next one's. */
    void leave() {
        synchronized (this) {
            thread = null;
        }
        CURRENT.set(null);
        Thread.interrupted();
    }

    synchronized void interruptIfAbandoned() {
        if (thread != null && isAbandoned()) {
            thread.interrupt();
        }
    }

    @Override
    public byte[] body() {
        return body;
    }

    @Override
    public synchronized String method() {
        if (method == null && !answered) {
            method = text(Nginx.method(handle));
        }
        return method;
    }

    @Override
    public synchronized String requestId() {
        return answered ? null : text(Nginx.requestId(handle));
    }

    @Override
    public synchronized String traceparent() {
        return answered ? null : text(Nginx.traceparent(handle));
    }

    @Override
    public Duration timeLeft() {
        return Duration.ofMillis(Math.max(0, Nginx.timeLeft(handle)));
    }

    @Override
    public boolean isAbandoned() {
        return Nginx.isAbandoned(handle);
    }

    synchronized void respond(int rc, byte[] response) {
        answered = true;
        Nginx.respond(handle, rc, response);
    }

    boolean isAnswered() {
        return answered;
    }

    void log(int level, byte[] text) {
        Nginx.logTask(handle, level, text);
    }

    private static String text(byte[] bytes) {
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }
}
