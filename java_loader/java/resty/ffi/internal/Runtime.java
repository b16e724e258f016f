package resty.ffi.internal;

import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import resty.ffi.Threads;

/**
 * A runtime. It has a thread: it loads the class, calls the entry method, serves and closes the
 * handler.
 */
final class Runtime implements Host {
    /** How often a load that takes long looks whether it is still wanted. */
    private static final long LOOK_MS = 100;

    /** How long an unload waits for the runtime's thread, that is, for its handler's close(). */
    private static final long CLOSE_MS = 5000;

    private final long tq;
    private final Entry entry;
    private final ClassPath classPath;
    private final AppLoader loader;
    private final Thread thread;
    private final CountDownLatch loaded = new CountDownLatch(1);
    private volatile String failure = "the load ended without a word";
    private Server server;

    Runtime(long tq, Entry entry) throws LoadException {
        this.tq = tq;
        this.entry = entry;
        this.classPath = ClassPath.of(entry.classPath, System.getenv("CLASSPATH"));
        this.loader = new AppLoader(classPath, entry.fresh || Nginx.isReload(tq), tq);
        // A daemon, and so are the threads that it starts.
        this.thread = new Thread(this::run, entry.name());
        this.thread.setDaemon(true);
        this.thread.setContextClassLoader(loader);
    }

    /** Waits until the entry method has returned or nobody waits for it. Null, or what failed. */
    String load() {
        thread.start();
        Waiting.forEver(() -> {
            while (!loaded.await(LOOK_MS, TimeUnit.MILLISECONDS) && !Nginx.isEnding(tq)) {
                continue;
            }
        });
        return failure;
    }

    @Override
    public synchronized void serve(Object handler, Threads threads) {
        if (loaded.getCount() == 0 || server != null) {
            throw new IllegalStateException(
                    "a runtime is served by one handler, set while it is loaded");
        }
        server = new Server(handler, threads, tq, entry.name());
    }

    /** Handlers that nobody waits for keep a runtime from ending. */
    synchronized void hasten() {
        if (server != null && Nginx.isEnding(tq)) {
            server.interruptAbandoned();
        }
    }

    void unload() {
        try {
            if (loaded.getCount() == 0) {
                Waiting.join(thread, CLOSE_MS);
            }
            // Threads that stay may need classes that are not loaded yet.
            if (Leftovers.end(loader)) {
                loader.close();
            }
        } catch (IOException error) {
            Report.log(error);
        }
    }

    private void run() {
        try {
            enter();
            if (server != null) {
                server.start();
            }
            failure = null;
        } catch (LoadException error) {
            failure = error.getMessage();
        } catch (Throwable thrown) {
            failure = Report.describe(thrown);
            Report.log(thrown);
        } finally {
            Output.endLines();
            loaded.countDown();
        }
        if (server != null) {
            serve();
        }
    }

    private void serve() {
        try {
            if (failure == null) {
                server.run();
            }
            server.close();
        } catch (Throwable thrown) {
            Report.log(thrown);
        } finally {
            Output.endLines();
        }
    }

    private void enter() throws Throwable {
        Method method = method(appClass());
        method.setAccessible(true);
        Object result;
        if (method.getParameterCount() == 2) {
            result = method.invoke(null, entry.cfg, tq);
        } else {
            serve(method.invoke(null, entry.cfg), Threads.DEFAULT);
            return;
        }
        if (!result.equals(0)) {
            throw new LoadException(
                    entry.className + "." + entry.method + " returned " + result);
        }
    }

    private Class<?> appClass() throws LoadException, ClassNotFoundException {
        try {
            return Class.forName(entry.className, true, loader);
        } catch (ClassNotFoundException error) {
            if (!entry.className.equals(String.valueOf(error.getMessage()).replace('/', '.'))) {
                // One that it needs.
                throw error;
            }
            if (error.getCause() != null) {
                throw new LoadException(
                        "ClassNotFoundException: " + entry.className + " cannot be read: "
                                + error.getCause().getMessage());
            }
            throw new LoadException(
                    "ClassNotFoundException: " + entry.className + " is not in the class path \""
                            + classPath + '"');
        }
    }

    private Method method(Class<?> app) throws LoadException {
        for (Method method : app.getDeclaredMethods()) {
            if (method.getName().equals(entry.method)
                    && Modifier.isStatic(method.getModifiers())
                    && (isInit(method) || isFactory(method))) {
                return method;
            }
        }
        throw new LoadException(
                String.format(
                        "%s has no static int %s(String, long) and no static Object %2$s(String)",
                        entry.className, entry.method));
    }

    private static boolean isInit(Method method) {
        Class<?>[] types = method.getParameterTypes();
        return types.length == 2
                && types[0] == String.class
                && types[1] == long.class
                && method.getReturnType() == int.class;
    }

    private static boolean isFactory(Method method) {
        Class<?>[] types = method.getParameterTypes();
        return types.length == 1
                && types[0] == String.class
                && !method.getReturnType().isPrimitive();
    }
}
