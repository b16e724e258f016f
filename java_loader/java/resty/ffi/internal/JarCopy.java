package resty.ffi.internal;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.HashMap;
import java.util.Map;
import java.util.jar.JarFile;
import java.util.zip.ZipFile;

/**
 * A jar as it was when it was opened, in memory: whatever happens to the file, runtimes still load
 * classes from it. Those that open the same file share a copy.
 */
final class JarCopy {
    /** Two versions of a file that is written so soon again may have the same times. */
    private static final long FRESH_MS = 1000;

    /** By what tells versions of files apart. Guarded by the class, as users are. */
    private static final Map<Object, JarCopy> COPIES = new HashMap<>();

    final JarFile jar;

    private final Object key;
    private int users;

    private JarCopy(Object key, JarFile jar) {
        this.key = key;
        this.jar = jar;
    }

    /** To be released. */
    static synchronized JarCopy of(Path path) throws IOException {
        Object key = version(path);
        JarCopy copy = COPIES.get(key);
        if (copy == null) {
            copy = new JarCopy(key, copy(path));
            if (!key.equals(version(path))) {
                copy.jar.close();
                throw new IOException(path + " is being written; put it in place by rename");
            }
            if (!isFresh(path)) {
                COPIES.put(key, copy);
            }
        }
        copy.users++;
        return copy;
    }

    void release() throws IOException {
        synchronized (JarCopy.class) {
            if (--users == 0) {
                COPIES.remove(key, this);
                jar.close();
            }
        }
    }

    private static Object version(Path path) throws IOException {
        return Files.readAttributes(path, "unix:dev,ino,size,lastModifiedTime,ctime");
    }

    private static boolean isFresh(Path path) throws IOException {
        FileTime changed = (FileTime) Files.getAttribute(path, "unix:ctime");
        return System.currentTimeMillis() - changed.toMillis() < FRESH_MS;
    }

    private static int open(Path path) throws IOException {
        if (!Files.isRegularFile(path)) {
            throw new IOException(path + " is neither a folder nor a jar");
        }
        try {
            return Nginx.copyFile(Report.bytes(path.toString()));
        } catch (IOException error) {
            throw new IOException("cannot copy " + path + ": " + error.getMessage(), error);
        }
    }

    private static JarFile copy(Path path) throws IOException {
        int fd = open(path);
        try {
            File file = new File("/proc/self/fd/" + fd);
            return new JarFile(file, true, ZipFile.OPEN_READ, JarFile.runtimeVersion());
        } catch (IOException error) {
            throw new IOException(path + " is not a jar: " + error.getMessage(), error);
        } finally {
            Nginx.closeFile(fd);
        }
    }
}
