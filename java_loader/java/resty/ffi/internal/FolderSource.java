package resty.ffi.internal;

import java.io.IOException;
import java.net.MalformedURLException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.CodeSigner;
import java.security.CodeSource;

/** A folder: its files are read when they are asked for. */
final class FolderSource extends Source {
    private final Path folder;

    FolderSource(Path folder) {
        this.folder = folder.normalize();
    }

    @Override
    URL location() {
        return url(folder);
    }

    @Override
    URL find(String name) {
        Path path = resolve(name);
        return path != null && Files.exists(path) ? url(path) : null;
    }

    @Override
    Code read(String file) throws IOException {
        Path path = resolve(file);
        try {
            return path == null ? null : new Code(
                    Files.readAllBytes(path),
                    new CodeSource(location(), (CodeSigner[]) null),
                    null);
        } catch (NoSuchFileException missing) {
            return null;
        }
    }

    private Path resolve(String name) {
        try {
            Path path = folder.resolve(name).normalize();
            return path.startsWith(folder) ? path : null;
        } catch (InvalidPathException error) {
            return null;
        }
    }

    private static URL url(Path path) {
        try {
            return path.toUri().toURL();
        } catch (MalformedURLException error) {
            throw new IllegalArgumentException(error);
        }
    }
}
