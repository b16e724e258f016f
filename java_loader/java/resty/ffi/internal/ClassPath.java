package resty.ffi.internal;

import java.io.IOException;
import java.net.MalformedURLException;
import java.net.URL;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Where the classes of a runtime are looked for: folders and jars, as in CLASSPATH. */
final class ClassPath {
    private static final String ALL_JARS = "*";

    private final List<Path> entries = new ArrayList<>();

    /** That of the entry, which must be there, and then that of the environment. */
    static ClassPath of(String first, String environment) throws LoadException {
        ClassPath path = new ClassPath();
        if (first != null) {
            path.add(first.length() > 1 ? first.substring(0, first.length() - 1) : first);
            for (Path entry : path.entries) {
                if (!Files.isReadable(entry)) {
                    throw new LoadException("no folder or jar " + entry + ", or it cannot be read");
                }
            }
        }
        if (environment != null) {
            path.add(environment);
        }
        return path;
    }

    URL[] urls() {
        return entries.stream().map(ClassPath::url).toArray(URL[]::new);
    }

    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        for (Path entry : entries) {
            text.append(text.length() == 0 ? "" : ":").append(entry);
        }
        return text.toString();
    }

    private void add(String text) throws LoadException {
        for (String part : text.split(":")) {
            if (part.equals(ALL_JARS) || part.endsWith("/" + ALL_JARS)) {
                addJars(Path.of(part.substring(0, part.length() - 1)).toAbsolutePath());
            } else if (!part.isEmpty()) {
                entries.add(Path.of(part).toAbsolutePath());
            }
        }
    }

    private void addJars(Path folder) throws LoadException {
        List<Path> jars = new ArrayList<>();
        try (DirectoryStream<Path> stream = Files.newDirectoryStream(folder, "*.{jar,JAR}")) {
            stream.forEach(jars::add);
        } catch (IOException error) {
            throw new LoadException("the folder " + folder + " cannot be read");
        }
        jars.sort(null);
        entries.addAll(jars);
    }

    private static URL url(Path path) {
        try {
            return path.toUri().toURL();
        } catch (MalformedURLException error) {
            throw new IllegalArgumentException(error);
        }
    }
}
