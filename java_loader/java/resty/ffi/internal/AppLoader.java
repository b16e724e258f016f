package resty.ffi.internal;

import java.io.IOException;
import java.io.InputStream;
import java.net.JarURLConnection;
import java.net.URL;
import java.net.URLClassLoader;
import java.net.URLConnection;
import java.security.CodeSource;
import java.security.cert.Certificate;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.jar.Attributes;
import java.util.jar.Manifest;

/**
 * The classes of one runtime: all that are neither the JDK's nor resty.ffi's.
 *
 * <p>The bytes of classes that a runtime of this VM has read before are read again only if that is
 * asked for; everything else is read from disk.
 */
final class AppLoader extends URLClassLoader {
    private static final Map<String, Map<String, Code>> CACHES = new ConcurrentHashMap<>();

    static {
        registerAsParallelCapable();
    }

    /** The task queue of the runtime. */
    final long tq;

    private final boolean fresh;
    private final Map<String, Code> cache;

    AppLoader(ClassPath path, boolean fresh, long tq) {
        super(path.urls(), AppLoader.class.getClassLoader());
        this.fresh = fresh;
        this.tq = tq;
        this.cache = CACHES.computeIfAbsent(path.toString(), key -> new ConcurrentHashMap<>());
    }

    /** The loader that a class loader is, or has among its parents; null without one. */
    static AppLoader of(ClassLoader loader) {
        while (loader != null && !(loader instanceof AppLoader)) {
            loader = loader.getParent();
        }
        return (AppLoader) loader;
    }

    @Override
    protected Class<?> findClass(String name) throws ClassNotFoundException {
        try {
            Code code = fresh ? null : cache.get(name);
            if (code == null) {
                code = read(name);
                cache.put(name, code);
            }
            return define(name, code);
        } catch (IOException error) {
            throw new ClassNotFoundException(name, error);
        }
    }

    private Code read(String name) throws ClassNotFoundException, IOException {
        String file = name.replace('.', '/') + ".class";
        URL url = findResource(file);
        if (url == null) {
            throw new ClassNotFoundException(name);
        }
        return Code.read(url, file);
    }

    private Class<?> define(String name, Code code) {
        int dot = name.lastIndexOf('.');
        if (dot > 0) {
            definePackage(name.substring(0, dot), code);
        }
        return defineClass(name, code.bytes, 0, code.bytes.length, code.source);
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

    /** A class as it was read. */
    private static final class Code {
        /** One without entries is as good as none. */
        private static final Manifest NO_MANIFEST = new Manifest();

        final byte[] bytes;
        final CodeSource source;
        final Manifest manifest;

        private Code(byte[] bytes, CodeSource source, Manifest manifest) {
            this.bytes = bytes;
            this.source = source;
            this.manifest = withoutEntries(manifest);
        }

        static Code read(URL url, String file) throws IOException {
            URLConnection connection = url.openConnection();
            try (InputStream stream = connection.getInputStream()) {
                byte[] bytes = stream.readAllBytes();
                if (connection instanceof JarURLConnection) {
                    JarURLConnection jar = (JarURLConnection) connection;
                    CodeSource source = new CodeSource(jar.getJarFileURL(), jar.getCertificates());
                    return new Code(bytes, source, jar.getManifest());
                }
                String text = url.toString();
                URL folder = new URL(text.substring(0, text.length() - file.length()));
                return new Code(bytes, new CodeSource(folder, (Certificate[]) null), null);
            }
        }

        /** Those of a signed jar have an entry for each class; packages need the heading. */
        private static Manifest withoutEntries(Manifest manifest) {
            if (manifest == null) {
                return NO_MANIFEST;
            }
            Manifest heading = new Manifest();
            Attributes attributes = heading.getMainAttributes();
            attributes.putAll(manifest.getMainAttributes());
            return heading;
        }
    }
}
