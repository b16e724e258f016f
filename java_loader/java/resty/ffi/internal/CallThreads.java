package resty.ffi.internal;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/** A thread for each call: virtual where the JDK has them, else of a pool that grows. */
final class CallThreads implements AutoCloseable {
    private final ExecutorService executor;

    CallThreads(String name) {
        ExecutorService virtual = virtual();
        executor = virtual != null ? virtual : Executors.newCachedThreadPool(call -> {
            Thread thread = new Thread(call, name + "-call");
            thread.setDaemon(true);
            return thread;
        });
    }

    void start(Runnable call) {
        executor.execute(call);
    }

    /** Waits for all calls; an interrupt, by an unload that has waited long enough, ends that. */
    @Override
    public void close() {
        executor.shutdown();
        try {
            while (!executor.awaitTermination(1, TimeUnit.DAYS)) {
                continue;
            }
        } catch (InterruptedException interrupted) {
            executor.shutdownNow();
            Output.write(Nginx.WARN, "its classes stay until the calls end that still run");
        }
    }

    /** The code is compiled for JDK 17, which does not have it. */
    private static ExecutorService virtual() {
        try {
            return (ExecutorService)
                    Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
        } catch (ReflectiveOperationException | UnsupportedOperationException missing) {
            return null;
        }
    }
}
