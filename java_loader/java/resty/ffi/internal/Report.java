package resty.ffi.internal;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.function.Supplier;

/** Exceptions as text. */
public final class Report {
    /** Frames that say nothing of the application. */
    private static final String[] OURS = {
        "\tat resty.ffi.internal.",
        "\tat java.base/jdk.internal.reflect.",
        "\tat java.base/java.lang.invoke.",
        "\tat java.base/java.lang.reflect.",
        "\tat java.base/java.lang.Thread.run",
    };

    private Report() {}

    /** What a caller is told: "IllegalStateException: message". */
    public static String describe(Throwable thrown) {
        return told(thrown, () -> {
            Throwable cause = cause(thrown);
            String name = cause.getClass().getSimpleName();
            if (name.isEmpty()) {
                name = cause.getClass().getName();
            }
            return cause.getMessage() == null ? name : name + ": " + cause.getMessage();
        });
    }

    /** Writes the stack trace to error.log. */
    static void log(Throwable thrown) {
        Output.write(Nginx.ERR, told(thrown, () -> print(cause(thrown))));
    }

    /** The default uncaught exception handler. */
    static void logUncaught(Thread thread, Throwable thrown) {
        log(thrown);
    }

    static String message(Throwable thrown) {
        return told(thrown, thrown::getMessage);
    }

    static String stackTrace(Throwable thrown) {
        return told(thrown, () -> print(thrown));
    }

    /** What an exception says of itself may throw, too. */
    private static String told(Throwable thrown, Supplier<String> text) {
        try {
            return text.get();
        } catch (Throwable another) {
            return thrown.getClass().getName()
                    + ", which throws " + another.getClass().getName() + " when asked what it is";
        }
    }

    private static String print(Throwable thrown) {
        StringWriter whole = new StringWriter();
        thrown.printStackTrace(new PrintWriter(whole, true));
        StringBuilder text = new StringBuilder();
        whole.toString().lines().filter(Report::tells).forEach(
                line -> text.append(text.length() == 0 ? "" : "\n").append(line));
        return text.toString();
    }

    public static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    /** What was really thrown. */
    private static Throwable cause(Throwable thrown) {
        boolean wraps =
                thrown instanceof InvocationTargetException
                        || thrown instanceof ExceptionInInitializerError;
        return wraps && thrown.getCause() != null ? thrown.getCause() : thrown;
    }

    private static boolean tells(String line) {
        for (String ours : OURS) {
            if (line.startsWith(ours)) {
                return false;
            }
        }
        return true;
    }
}
