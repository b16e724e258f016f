package resty.ffi.internal;

import java.io.Closeable;
import java.io.IOException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;

/** An entry of a class path. */
abstract class Source implements Closeable {
    /** What it is opened as; null when it is not there, which is no error. */
    static Source open(Path path) throws IOException {
        if (Files.isDirectory(path)) {
            return new FolderSource(path);
        }
        return Files.exists(path) ? new JarSource(path) : null;
    }

    /** The folder or the jar. */
    abstract URL location();

    /** A file of it, null when it has none of that name. */
    abstract URL find(String name);

    /** A class, null when it does not have it. */
    abstract Code read(String file) throws IOException;

    @Override
    public void close() throws IOException {}
}
