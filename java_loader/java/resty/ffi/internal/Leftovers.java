package resty.ffi.internal;

import java.util.List;
import java.util.ResourceBundle;
import java.util.stream.Collectors;

/** What a runtime leaves in the VM. */
final class Leftovers {
    /** How long an unload waits for threads that were interrupted. */
    private static final long WAIT_MS = 1000;

    private Leftovers() {}

    /** Ends what can be ended; says what stays, and with it the classes. Whether nothing does. */
    static boolean end(AppLoader loader) {
        interrupt(loader);
        ShutdownHooks.runOf(loader);
        LogHandler.removeOf(loader);
        ResourceBundle.clearCache(loader);
        List<Thread> left = threads(loader);
        if (!left.isEmpty()) {
            String text = left.stream().map(Leftovers::describe).collect(Collectors.joining("; "));
            Nginx.log(loader.tq, Nginx.WARN, Report.bytes(
                    "its classes stay until these threads end: " + text));
        }
        return left.isEmpty();
    }

    private static void interrupt(AppLoader loader) {
        List<Thread> threads = threads(loader);
        threads.forEach(Thread::interrupt);
        long deadline = System.nanoTime() + WAIT_MS * 1_000_000;
        threads.forEach(
                thread -> Waiting.join(thread, (deadline - System.nanoTime()) / 1_000_000));
    }

    private static List<Thread> threads(AppLoader loader) {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> AppLoader.of(thread.getContextClassLoader()) == loader)
                .collect(Collectors.toList());
    }

    private static String describe(Thread thread) {
        StackTraceElement[] stack = thread.getStackTrace();
        return "\"" + thread.getName() + "\"" + (stack.length > 0 ? " at " + stack[0] : "");
    }
}
