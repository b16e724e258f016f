package resty.ffi.internal;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Enumeration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The classes of one runtime: all that are neither the JDK's nor resty.ffi's.
 *
 * <p>Classes that a runtime of this VM has read before are read again only if that is asked for;
 * everything else is read from disk.
 */
final class AppLoader extends URLClassLoader {
    /** The class paths whose classes are kept: those used last. */
    private static final int CACHES_MAX = 16;

    /** By class path, and then by name. Guarded by itself. */
    private static final Map<String, Map<String, Code>> CACHES =
            new LinkedHashMap<>(CACHES_MAX, 0.75f, true) {
                private static final long serialVersionUID = 1;

                @Override
                protected boolean removeEldestEntry(Map.Entry<String, Map<String, Code>> eldest) {
                    return size() > CACHES_MAX;
                }
            };

    static {
        registerAsParallelCapable();
    }

    /** The task queue of the runtime. */
    final long tq;

    private final boolean fresh;
    private final Map<String, Code> cache;
    private final List<Source> sources;

    AppLoader(ClassPath path, boolean fresh, long tq) throws LoadException {
        super(new URL[0], AppLoader.class.getClassLoader());
        this.fresh = fresh;
        this.tq = tq;
        synchronized (CACHES) {
            this.cache = CACHES.computeIfAbsent(path.toString(), key -> new ConcurrentHashMap<>());
        }
        this.sources = path.open();
        // Not opened by them: for code that asks for the class path.
        sources.forEach(source -> addURL(source.location()));
    }

    /** The loader that a class loader is, or has among its parents; null without one. */
    static AppLoader of(ClassLoader loader) {
        while (loader != null && !(loader instanceof AppLoader)) {
            loader = loader.getParent();
        }
        return (AppLoader) loader;
    }

    /** Whether an object, which may be null, is of a class of this loader or of one below it. */
    boolean hasMade(Object object) {
        return object != null && of(object.getClass().getClassLoader()) == this;
    }

    @Override
    protected Class<?> findClass(String name) throws ClassNotFoundException {
        Code code = fresh ? null : cache.get(name);
        if (code == null) {
            code = read(name);
            cache.put(name, code);
        }
        int dot = name.lastIndexOf('.');
        if (dot > 0) {
            definePackage(name.substring(0, dot), code);
        }
        return defineClass(name, code.bytes, 0, code.bytes.length, code.source);
    }

    @Override
    public URL findResource(String name) {
        for (Source source : sources) {
            URL url = source.find(name);
            if (url != null) {
                return url;
            }
        }
        return null;
    }

    @Override
    public Enumeration<URL> findResources(String name) {
        List<URL> urls = new ArrayList<>();
        for (Source source : sources) {
            URL url = source.find(name);
            if (url != null) {
                urls.add(url);
            }
        }
        return Collections.enumeration(urls);
    }

    @Override
    public void close() throws IOException {
        super.close();
        for (Source source : sources) {
            source.close();
        }
    }

    private Code read(String name) throws ClassNotFoundException {
        String file = name.replace('.', '/') + ".class";
        try {
            for (Source source : sources) {
                Code code = source.read(file);
                if (code != null) {
                    return code;
                }
            }
        } catch (IOException error) {
            throw new ClassNotFoundException(name, error);
        }
        throw new ClassNotFoundException(name);
    }

    private void definePackage(String name, Code code) {
        if (getDefinedPackage(name) != null) {
            return;
        }
        try {
            definePackage(name, code.manifest, code.source.getLocation());
        } catch (IllegalArgumentException error) {
            // Another thread was faster.
        }
    }
}
