package resty.ffi.internal;

/** What a runtime's configuration asks for: [class path/]class[?],method[,cfg]. */
final class Entry {
    private static final int SHOWN = 200;
    private static final String NEED = ": <class>,<method> is needed";

    /** Searched first; null without one. */
    final String classPath;

    final String className;

    /** Read every class from disk again. */
    final boolean fresh;

    final String method;

    /** What follows the second comma; null without one. */
    final String cfg;

    private Entry(String path, boolean fresh, String method, String cfg) {
        int slash = path.lastIndexOf('/');
        this.classPath = slash < 0 ? null : path.substring(0, slash + 1);
        this.className = path.substring(slash + 1);
        this.fresh = fresh;
        this.method = method;
        this.cfg = cfg;
    }

    /** Raises LoadException. */
    static Entry parse(String text) throws LoadException {
        if (text == null) {
            throw new LoadException("no configuration" + NEED);
        }
        String[] parts = text.split(",", 3);
        if (parts.length < 2 || parts[1].isEmpty()) {
            throw new LoadException("no method in " + quoted(text) + NEED);
        }
        boolean fresh = parts[0].endsWith("?");
        String path = fresh ? parts[0].substring(0, parts[0].length() - 1) : parts[0];
        Entry entry = new Entry(path, fresh, parts[1], parts.length == 3 ? parts[2] : null);
        if (entry.className.isEmpty()) {
            throw new LoadException("no class in " + quoted(text) + NEED);
        }
        return entry;
    }

    String name() {
        return className + "," + method;
    }

    /** Without what may be secret: the method's part, and JSON in front of it. */
    private static String quoted(String text) {
        int end = Math.min(text.length(), SHOWN);
        if (text.startsWith("{") || text.startsWith("[")) {
            end = 1;
        } else {
            int comma = text.indexOf(',', text.indexOf(',') + 1);
            end = comma > text.indexOf(',') ? Math.min(end, comma) : end;
        }
        return '"' + text.substring(0, end) + (end < text.length() ? "...\"" : "\"");
    }
}
