package resty.ffi.internal;

import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogManager;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.logging.SimpleFormatter;

/** java.util.logging's records go to error.log with their level. */
final class LogHandler extends Handler {
    private LogHandler() {
        setFormatter(new SimpleFormatter());
    }

    /** Takes the place of the handlers that there are by default. Once per process. */
    static void install() {
        Logger root = LogManager.getLogManager().getLogger("");
        for (Handler handler : root.getHandlers()) {
            root.removeHandler(handler);
        }
        root.addHandler(new LogHandler());
    }

    /** Takes away the handlers that a runtime's classes have added. */
    static void removeOf(AppLoader loader) {
        LogManager manager = LogManager.getLogManager();
        manager.getLoggerNames().asIterator().forEachRemaining(name -> {
            Logger logger = manager.getLogger(name);
            for (Handler handler : logger == null ? new Handler[0] : logger.getHandlers()) {
                if (AppLoader.of(handler.getClass().getClassLoader()) == loader) {
                    logger.removeHandler(handler);
                }
            }
        });
    }

    @Override
    public void publish(LogRecord record) {
        if (!isLoggable(record)) {
            return;
        }
        String text = getFormatter().formatMessage(record);
        if (record.getLoggerName() != null && !record.getLoggerName().isEmpty()) {
            text = record.getLoggerName() + ": " + text;
        }
        if (record.getThrown() != null) {
            text += "\n" + Report.stackTrace(record.getThrown());
        }
        Output.write(level(record.getLevel()), text);
    }

    @Override
    public void flush() {}

    @Override
    public void close() {}

    private static int level(Level level) {
        int value = level.intValue();
        if (value >= Level.SEVERE.intValue()) {
            return Nginx.ERR;
        }
        if (value >= Level.WARNING.intValue()) {
            return Nginx.WARN;
        }
        return value >= Level.INFO.intValue() ? Nginx.INFO : Nginx.DEBUG;
    }
}
