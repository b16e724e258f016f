package resty.ffi.internal;

import java.security.CodeSource;
import java.util.jar.Manifest;

/** A class as it was read. */
final class Code {
    private static final Manifest NO_MANIFEST = new Manifest();

    final byte[] bytes;
    final CodeSource source;
    final Manifest manifest;

    /** manifest may be null: a folder has none. */
    Code(byte[] bytes, CodeSource source, Manifest manifest) {
        this.bytes = bytes;
        this.source = source;
        this.manifest = manifest == null ? NO_MANIFEST : withoutEntries(manifest);
    }

    /** Those of a signed jar have an entry for each class; packages need the heading. */
    private static Manifest withoutEntries(Manifest manifest) {
        Manifest heading = new Manifest();
        heading.getMainAttributes().putAll(manifest.getMainAttributes());
        return heading;
    }
}
