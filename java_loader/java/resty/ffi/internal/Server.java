package resty.ffi.internal;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import resty.ffi.FfiException;
import resty.ffi.Handler;
import resty.ffi.Threads;

/** Answers the calls of a runtime, on its thread and others. */
final class Server {
    /** What a thread takes at once if there are no others that could serve it meanwhile. */
    private static final int BATCH = 64;

    /** The answer to a call that there is no memory, or no thread, for. */
    private static final byte[] OUT_OF_MEMORY =
            Report.bytes("OutOfMemoryError: no heap or no thread for the call");

    private final Object handler;
    private final Dispatcher dispatcher;
    private final Threads threads;
    private final long tq;
    private final String name;
    private final List<Thread> others = new ArrayList<>();
    private final Set<Task> serving = ConcurrentHashMap.newKeySet();

    /** Their names, for nginx; 0: one handler answers all. Set once before any thread starts. */
    private long methods;

    Server(Object handler, Threads threads, long tq, String name) {
        this.handler = handler;
        this.dispatcher = new Dispatcher(handler);
        this.threads = threads;
        this.tq = tq;
        this.name = name;
    }

    /** Starts what the runtime's thread does not do itself; run() must follow. */
    void start() {
        byte[][] names = dispatcher.names();
        methods = names.length > 0 ? Nginx.createMethods(names) : 0;
        if (names.length > 0 && methods == 0) {
            throw new OutOfMemoryError("no memory for the names of methods");
        }
        for (int i = 1; i < threads.count(); i++) {
            Thread other = new Thread(() -> poll(1, this::answer), name + "-" + i);
            other.setDaemon(true);
            others.add(other);
            other.start();
        }
    }

    /** Returns when the queue has ended and every call that was taken is answered. */
    void run() {
        if (threads.count() == 0) {
            try (CallThreads calls = new CallThreads(name)) {
                poll(BATCH, (task, call) -> calls.start(() -> answer(task, call)));
            }
        } else {
            poll(threads.count() == 1 ? BATCH : 1, this::answer);
        }
        others.forEach(other -> Waiting.forEver(other::join));
        if (methods != 0) {
            Nginx.freeMethods(methods);
        }
    }

    /** Interrupts handlers whose callers have gone. */
    void interruptAbandoned() {
        serving.forEach(Task::interruptIfAbandoned);
    }

    /** Ends the handler, if it wants to know. */
    void close() throws Exception {
        if (handler instanceof AutoCloseable) {
            ((AutoCloseable) handler).close();
        }
    }

    private interface Taker {
        void take(Task task, Handler call);
    }

    private void poll(int batch, Taker taker) {
        long[] tasks = new long[2 * batch];
        byte[][] requests = new byte[batch][];
        int n = 0;
        while (n >= 0) {
            for (int i = 0; i < n; i++) {
                take(tasks[2 * i], (int) tasks[2 * i + 1], requests[i], taker);
                requests[i] = null;
            }
            n = Nginx.poll(tq, methods, tasks, requests);
        }
    }

    private void take(long handle, int method, byte[] request, Taker taker) {
        try {
            boolean large = (method & Nginx.LARGE) != 0;
            Task task = new Task(handle, large ? Nginx.request(handle) : request);
            taker.take(task, dispatcher.at(method & ~Nginx.LARGE));
        } catch (Throwable thrown) {
            Nginx.respond(handle, Dispatcher.FAILED, OUT_OF_MEMORY);
        }
    }

    /** Throws nothing, and answers whatever happens. */
    private void answer(Task task, Handler call) {
        try {
            serve(task, call);
        } catch (Throwable thrown) {
            if (!task.isAnswered()) {
                task.respond(Dispatcher.FAILED, OUT_OF_MEMORY);
            }
        }
    }

    private void serve(Task task, Handler call) {
        if (task.isAbandoned()) {
            // While it waited behind others of its batch.
            task.respond(Dispatcher.FAILED, null);
            return;
        }
        task.enter();
        serving.add(task);
        try {
            task.respond(0, call.handle(task));
        } catch (Throwable thrown) {
            fail(task, thrown);
        } finally {
            Output.endLines();
            serving.remove(task);
            task.leave();
        }
    }

    private static void fail(Task task, Throwable thrown) {
        if (thrown instanceof FfiException) {
            FfiException failure = (FfiException) thrown;
            task.respond(failure.rc(), Report.bytes(Report.message(failure)));
            return;
        }
        Report.log(thrown);
        task.respond(Dispatcher.FAILED, Report.bytes(Report.describe(thrown)));
    }
}
