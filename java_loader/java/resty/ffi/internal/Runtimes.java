package resty.ffi.internal;

import java.net.URLConnection;
import java.nio.charset.StandardCharsets;

/** What nginx loads and unloads; called by the loader only (java_loader/src/runtime.c). */
final class Runtimes {
    /** How often runtimes are looked at that may be kept from ending. */
    private static final long HASTEN_MS = 250;

    private Runtimes() {}

    /** Prepares the VM. Once per process. */
    static void install() {
        Jdk.open();
        Output.install();
        LogHandler.install();
        Thread.setDefaultUncaughtExceptionHandler(Report::logUncaught);
        // For class loaders that applications make.
        URLConnection.setDefaultUseCaches("jar", false);
        Thread hastens = new Thread(Runtimes::hasten, "resty-ffi");
        hastens.setDaemon(true);
        hastens.start();
    }

    /**
     * Starts the runtime of a configuration.
     *
     * @return null when it runs, else what failed
     */
    static byte[] load(long tq, byte[] cfg) {
        try {
            String text = cfg == null ? null : new String(cfg, StandardCharsets.UTF_8);
            Runtime runtime = new Runtime(tq, Entry.parse(text));
            Hosts.add(tq, runtime);
            String failure = load(runtime);
            if (failure == null) {
                return null;
            }
            unload(tq);
            return Report.bytes(failure);
        } catch (LoadException error) {
            return Report.bytes(error.getMessage());
        }
    }

    /** The loader is told of an unload only when every call is answered. */
    private static void hasten() {
        while (true) {
            Waiting.forEver(() -> Thread.sleep(HASTEN_MS));
            try {
                Hosts.all().forEach(host -> ((Runtime) host).hasten());
            } catch (OutOfMemoryError error) {
                // Next time.
            }
        }
    }

    private static String load(Runtime runtime) {
        try {
            return runtime.load();
        } catch (OutOfMemoryError error) {
            // No thread for it.
            return Report.describe(error);
        }
    }

    /** Waits, for a few seconds at most, for the runtime's threads, and forgets it. */
    static void unload(long tq) {
        ((Runtime) Hosts.remove(tq)).unload();
    }
}
