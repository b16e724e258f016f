package resty.ffi.internal;

import java.util.concurrent.Executors;
import java.util.concurrent.ThreadPoolExecutor;

/** Threads that a runtime has started: whose they are, and their end. */
final class ThreadEnd {
    private ThreadEnd() {}

    /** Whether it runs for the runtime, or keeps its classes. */
    static boolean isOf(Thread thread, AppLoader loader) {
        return contextOf(thread) == loader
                || loader.hasMade(thread)
                || loader.hasMade(task(thread));
    }

    /** Interrupts it. A thread of an executor or a timer would go on: those are shut down. */
    static void ask(Thread thread) {
        try {
            ThreadPoolExecutor executor = (ThreadPoolExecutor) Jdk.get(
                    "java.util.concurrent.ThreadPoolExecutor$Worker", "this$0", task(thread));
            if (executor != null && isShared(executor)) {
                thread.setContextClassLoader(null);
                return;
            }
            if (executor != null) {
                executor.shutdownNow();
            }
            cancelTimer(thread);
            thread.interrupt();
        } catch (RuntimeException | Error refused) {
            // A subclass can. If it stays it is told of.
        }
    }

    /** Whether the JDK has made it, for all, in a thread of the runtime's by chance. */
    private static boolean isShared(ThreadPoolExecutor executor) {
        Class<?> factory = executor.getThreadFactory().getClass();
        return factory.getClassLoader() == null
                && factory != Executors.defaultThreadFactory().getClass();
    }

    private static AppLoader contextOf(Thread thread) {
        try {
            return AppLoader.of(thread.getContextClassLoader());
        } catch (RuntimeException | Error refused) {
            return null;
        }
    }

    /** The Runnable that it was made with. */
    private static Object task(Thread thread) {
        Object task = Jdk.get("java.lang.Thread", "target", thread);
        // From JDK 19 on.
        Object holder = task == null ? Jdk.get("java.lang.Thread", "holder", thread) : null;
        return holder == null ? task : Jdk.get("java.lang.Thread$FieldHolder", "task", holder);
    }

    private static void cancelTimer(Thread thread) {
        Object queue = Jdk.get("java.util.TimerThread", "queue", thread);
        if (queue != null) {
            synchronized (queue) {
                Jdk.set("java.util.TimerThread", "newTasksMayBeScheduled", thread, false);
                Jdk.set("java.util.TaskQueue", "size", queue, 0);
            }
        }
    }
}
