package resty.ffi.testing;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import resty.ffi.FfiException;
import resty.ffi.Request;
import resty.ffi.internal.Dispatcher;
import resty.ffi.internal.Host;
import resty.ffi.internal.Hosts;
import resty.ffi.internal.Report;

/**
 * A handler under test, called as Lua would, without nginx. Calls run on the thread that makes them.
 */
public final class TestRuntime implements AutoCloseable {
    /** What a configuration names: {@code Counter::init}. */
    @FunctionalInterface
    public interface Init {
        int init(String cfg, long tq) throws Exception;
    }

    private static final Duration TIMEOUT = Duration.ofSeconds(60);

    /** Task queues of their own kind: nginx's handles are positive. */
    private static final AtomicLong QUEUES = new AtomicLong(-1);

    private Object handler;
    private Dispatcher dispatcher;

    /** Of a handler that is there already. */
    public TestRuntime(Object handler) {
        serve(handler);
    }

    /**
     * Of an init method, which must call RestyFfi.serve().
     *
     * @throws IllegalStateException if it does not, or does not return 0
     */
    public TestRuntime(Init init, String cfg) throws Exception {
        long tq = QUEUES.getAndDecrement();
        Hosts.add(tq, (served, threads) -> serve(served));
        try {
            int rc = init.init(cfg, tq);
            if (rc != 0 || dispatcher == null) {
                throw new IllegalStateException("init returned " + rc
                        + (dispatcher == null ? " and has not called serve()" : ""));
            }
        } finally {
            Hosts.remove(tq);
        }
    }

    /**
     * Calls a method.
     *
     * @throws FfiException when Lua would get false: with the number and the message that it would
     *     get, and what the handler has thrown as its cause
     */
    public byte[] call(String method, byte[] body) throws FfiException {
        Request request = new TestRequest(method, body);
        try {
            return dispatcher.find(method).handle(request);
        } catch (FfiException failure) {
            throw failure;
        } catch (Throwable thrown) {
            FfiException failure = new FfiException(1, Report.describe(thrown));
            failure.initCause(thrown);
            throw failure;
        }
    }

    /** The same with text, as UTF-8. */
    public String call(String method, String body) throws FfiException {
        byte[] response = call(method, Report.bytes(body));
        return response == null ? null : new String(response, StandardCharsets.UTF_8);
    }

    /** Closes the handler, as an unload does. */
    @Override
    public void close() throws Exception {
        if (handler instanceof AutoCloseable) {
            ((AutoCloseable) handler).close();
        }
    }

    private void serve(Object served) {
        dispatcher = new Dispatcher(served);
        handler = served;
    }

    private static final class TestRequest implements Request {
        private final String method;
        private final byte[] body;
        private final long deadline = System.nanoTime() + TIMEOUT.toNanos();

        TestRequest(String method, byte[] body) {
            this.method = method;
            this.body = body;
        }

        @Override
        public byte[] body() {
            return body;
        }

        @Override
        public String method() {
            return method;
        }

        @Override
        public String requestId() {
            return null;
        }

        @Override
        public Duration timeLeft() {
            return Duration.ofNanos(Math.max(0, deadline - System.nanoTime()));
        }

        @Override
        public boolean isAbandoned() {
            return false;
        }
    }
}
