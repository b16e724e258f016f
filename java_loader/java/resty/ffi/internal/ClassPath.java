package resty.ffi.internal;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** Where the classes of a runtime are looked for: folders and jars, as in CLASSPATH. */
final class ClassPath {
    private static final String ALL_JARS = "*";

    private final Set<Path> entries = new LinkedHashSet<>();

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

    /** Opens all that are there, those that the manifests of jars name, too. */
    List<Source> open() throws LoadException {
        List<Source> sources = new ArrayList<>();
        Set<Path> seen = new LinkedHashSet<>();
        try {
            for (Path entry : entries) {
                open(entry, sources, seen);
            }
        } catch (IOException error) {
            sources.forEach(ClassPath::close);
            throw new LoadException(error.getMessage());
        }
        return sources;
    }

    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        for (Path entry : entries) {
            text.append(text.length() == 0 ? "" : ":").append(entry);
        }
        return text.toString();
    }

    private static void open(Path path, List<Source> sources, Set<Path> seen) throws IOException {
        Source source = seen.add(path) ? Source.open(path) : null;
        if (source == null) {
            return;
        }
        sources.add(source);
        if (source instanceof JarSource) {
            for (Path named : ((JarSource) source).classPath()) {
                open(named, sources, seen);
            }
        }
    }

    private static void close(Source source) {
        try {
            source.close();
        } catch (IOException error) {
            Report.log(error);
        }
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
}
