package resty.ffi.internal;

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/**
 * What Java code prints goes to nginx's error.log.
 *
 * <p>Lines are whole and bear the name of the runtime whose thread wrote them, and the id of the
 * request that it was called for.
 */
final class Output extends OutputStream {
    /** A longer line is cut: it would be kept in memory until it ends. */
    private static final int LINE_MAX = 32 * 1024;

    private static final Output OUT = new Output(Nginx.NOTICE);
    private static final Output ERR = new Output(Nginx.ERR);

    private final int level;

    /** All runtimes', and so never closed. */
    private final PrintStream stream = new PrintStream(this, false, StandardCharsets.UTF_8) {
        @Override
        public void close() {
            flush();
        }
    };

    /** Of each thread: the line that it has begun and not ended. */
    private final ThreadLocal<ByteArrayOutputStream> lines = new ThreadLocal<>();

    private Output(int level) {
        this.level = level;
    }

    /** Redirects all output, whatever user code has done with it. */
    static void install() {
        System.setOut(OUT.stream);
        System.setErr(ERR.stream);
    }

    /** Writes what this thread has printed without an end of line. */
    static void endLines() {
        OUT.flush();
        ERR.flush();
    }

    static void write(int level, String text) {
        write(level, text.getBytes(StandardCharsets.UTF_8));
    }

    private static void write(int level, byte[] text) {
        Task task = Task.current();
        if (task != null) {
            task.log(level, text);
            return;
        }
        AppLoader loader = AppLoader.of(Thread.currentThread().getContextClassLoader());
        Nginx.log(loader == null ? 0 : loader.tq, level, text);
    }

    @Override
    public void write(int b) {
        write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] data, int offset, int length) {
        int end = offset + length;
        int newline = end - 1;
        while (newline >= offset && data[newline] != '\n') {
            newline--;
        }
        if (newline >= offset) {
            add(data, offset, newline - offset);
            flush();
        }
        int rest = Math.max(newline + 1, offset);
        if (rest < end && add(data, rest, end - rest).size() > LINE_MAX) {
            flush();
        }
    }

    @Override
    public void flush() {
        ByteArrayOutputStream line = lines.get();
        if (line != null) {
            lines.remove();
            write(level, line.toByteArray());
        }
    }

    private ByteArrayOutputStream add(byte[] data, int offset, int length) {
        ByteArrayOutputStream line = lines.get();
        if (line == null) {
            line = new ByteArrayOutputStream();
            lines.set(line);
        }
        line.write(data, offset, length);
        return line;
    }
}
