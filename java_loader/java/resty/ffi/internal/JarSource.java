package resty.ffi.internal;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URL;
import java.net.URLConnection;
import java.net.URLStreamHandler;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.Attributes;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.Manifest;

/**
 * A jar as it was when it was opened: a file that takes its place does not change what is read, here
 * and through the URLs, which the JDK's own would open again.
 */
final class JarSource extends Source {
    private final JarCopy copy;
    private final JarFile jar;
    private final URL location;

    /** Of the URLs of its files, which go on with a slash. */
    private final String prefix;

    private final URLStreamHandler handler = new Handler();

    JarSource(Path path) throws IOException {
        location = path.toUri().toURL();
        prefix = "jar:" + location + "!";
        copy = JarCopy.of(path);
        jar = copy.jar;
    }

    /** The jars and folders that its manifest names. */
    List<Path> classPath() throws IOException {
        List<Path> paths = new ArrayList<>();
        Manifest manifest = jar.getManifest();
        String text = manifest == null
                ? null
                : manifest.getMainAttributes().getValue(Attributes.Name.CLASS_PATH);
        for (String name : text == null ? new String[0] : text.trim().split("\\s+")) {
            URL url = new URL(location, name);
            if (url.getProtocol().equals("file")) {
                paths.add(Path.of(URI.create(url.toString())));
            }
        }
        return paths;
    }

    @Override
    URL location() {
        return location;
    }

    @Override
    URL find(String name) {
        return jar.getJarEntry(name) == null ? null : url(name);
    }

    @Override
    Code read(String file) throws IOException {
        JarEntry entry = jar.getJarEntry(file);
        if (entry == null) {
            return null;
        }
        try (InputStream stream = jar.getInputStream(entry)) {
            byte[] bytes = stream.readAllBytes();
            // Known only now.
            CodeSource source = new CodeSource(location, entry.getCodeSigners());
            return new Code(bytes, source, jar.getManifest());
        }
    }

    @Override
    public void close() throws IOException {
        copy.release();
    }

    private URL url(String name) {
        try {
            String path = new URI(null, null, "/" + name, null).toASCIIString();
            return new URL(null, prefix + path, handler);
        } catch (IOException | URISyntaxException error) {
            throw new IllegalArgumentException(error);
        }
    }

    /** The file that a URL of ours, or one relative to it, names; null for any other. */
    private JarEntry entry(String url) {
        if (!url.startsWith(prefix + "/")) {
            return null;
        }
        String path = url.substring(prefix.length());
        try {
            path = new URI(path).getPath();
        } catch (URISyntaxException plain) {
            // A relative one need not be escaped.
        }
        return jar.getJarEntry(path.substring(1));
    }

    private final class Handler extends URLStreamHandler {
        @Override
        protected URLConnection openConnection(URL url) {
            return new Connection(url);
        }
    }

    private final class Connection extends URLConnection {
        private final JarEntry entry;

        Connection(URL url) {
            super(url);
            entry = entry(url.toString());
        }

        @Override
        public void connect() throws IOException {
            if (entry == null) {
                throw new FileNotFoundException(url.toString());
            }
        }

        @Override
        public InputStream getInputStream() throws IOException {
            connect();
            return jar.getInputStream(entry);
        }

        @Override
        public long getContentLengthLong() {
            return entry == null ? -1 : entry.getSize();
        }

        @Override
        public long getLastModified() {
            return entry == null ? 0 : entry.getTime();
        }
    }
}
