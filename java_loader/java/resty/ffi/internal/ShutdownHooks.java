package resty.ffi.internal;

import java.util.ArrayList;
import java.util.List;

/**
 * The VM never ends, so that its shutdown hooks would never run, and keep the classes of the
 * runtimes that have added them: they run at the unload.
 */
final class ShutdownHooks {
    private static final long WAIT_MS = 1000;

    private ShutdownHooks() {}

    static void runOf(AppLoader loader) {
        for (Thread hook : all()) {
            if (isOf(hook, loader) && java.lang.Runtime.getRuntime().removeShutdownHook(hook)) {
                hook.setDaemon(true);
                hook.start();
                Waiting.forEver(() -> hook.join(WAIT_MS));
            }
        }
    }

    private static boolean isOf(Thread hook, AppLoader loader) {
        return AppLoader.of(hook.getContextClassLoader()) == loader
                || AppLoader.of(hook.getClass().getClassLoader()) == loader;
    }

    private static List<Thread> all() {
        Object[] hooks = Nginx.shutdownHooks();
        List<Thread> threads = new ArrayList<>();
        for (Object hook : hooks == null ? new Object[0] : hooks) {
            threads.add((Thread) hook);
        }
        return threads;
    }
}
