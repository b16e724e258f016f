package resty.ffi.internal;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The VM never ends, so that its shutdown hooks would never run, and keep the classes of the
 * runtimes that have added them: they run at the unload.
 */
final class ShutdownHooks {
    private static final String CLASS = "java.lang.ApplicationShutdownHooks";

    private static final long WAIT_MS = 1000;

    private ShutdownHooks() {}

    static void runOf(AppLoader loader) throws ClassNotFoundException {
        for (Thread hook : all()) {
            if (ThreadEnd.isOf(hook, loader)
                    && java.lang.Runtime.getRuntime().removeShutdownHook(hook)) {
                start(hook);
            }
        }
    }

    private static void start(Thread hook) {
        try {
            hook.setDaemon(true);
            hook.start();
            Waiting.join(hook, WAIT_MS);
        } catch (RuntimeException refused) {
            Report.log(refused);
        }
    }

    private static List<Thread> all() throws ClassNotFoundException {
        List<Thread> hooks = new ArrayList<>();
        synchronized (Class.forName(CLASS)) {
            Object map = Jdk.get(CLASS, "hooks", null);
            if (map != null) {
                ((Map<?, ?>) map).keySet().forEach(hook -> hooks.add((Thread) hook));
            }
        }
        return hooks;
    }
}
