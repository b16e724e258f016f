package resty.ffi.internal;

import java.util.List;
import java.util.ResourceBundle;
import java.util.stream.Collectors;

/** What a runtime leaves in the VM. */
final class Leftovers {
    /** How long an unload waits for threads that were asked to end. */
    private static final long WAIT_MS = 1000;

    private Leftovers() {}

    private interface Step {
        void run(AppLoader loader) throws Exception;
    }

    /** Ends what can be ended; says what stays, and with it the classes. Whether nothing does. */
    static boolean end(AppLoader loader) {
        List<Step> steps = List.of(
                Leftovers::endThreads,
                ShutdownHooks::runOf,
                LogHandler::removeOf,
                Registrations::removeOf,
                Registrations::removeBeansOf,
                ResourceBundle::clearCache,
                any -> Output.install());
        for (Step step : steps) {
            try {
                step.run(loader);
            } catch (NoClassDefFoundError missing) {
                // A JRE need not have all of the JDK.
            } catch (Exception | Error error) {
                Report.log(error);
            }
        }
        List<Thread> left = threads(loader);
        if (!left.isEmpty()) {
            String text = left.stream().map(Leftovers::describe).collect(Collectors.joining("; "));
            Nginx.log(loader.tq, Nginx.WARN, Report.bytes(
                    "its classes stay until these threads end: " + text));
        }
        return left.isEmpty();
    }

    private static void endThreads(AppLoader loader) {
        List<Thread> threads = threads(loader);
        threads.forEach(ThreadEnd::ask);
        long deadline = System.nanoTime() + WAIT_MS * 1_000_000;
        threads.forEach(
                thread -> Waiting.join(thread, (deadline - System.nanoTime()) / 1_000_000));
    }

    private static List<Thread> threads(AppLoader loader) {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> ThreadEnd.isOf(thread, loader))
                .collect(Collectors.toList());
    }

    private static String describe(Thread thread) {
        StackTraceElement[] stack = thread.getStackTrace();
        return "\"" + thread.getName() + "\"" + (stack.length > 0 ? " at " + stack[0] : "");
    }
}
