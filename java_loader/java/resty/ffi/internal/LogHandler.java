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

    /** Takes the place of the handlers that there are. */
    static void install() {
        Logger root = LogManager.getLogManager().getLogger("");
        for (Handler handler : root.getHandlers()) {
            root.removeHandler(handler);
        }
        root.addHandler(new LogHandler());
    }

    /** Takes away what a runtime's classes have added; without a handler, this is back. */
    static void removeOf(AppLoader loader) {
        LogManager manager = LogManager.getLogManager();
        manager.getLoggerNames().asIterator().forEachRemaining(name -> {
            Logger logger = manager.getLogger(name);
            if (logger != null) {
                removeOf(loader, logger);
            }
        });
        if (manager.getLogger("").getHandlers().length == 0) {
            install();
        }
    }

    private static void removeOf(AppLoader loader, Logger logger) {
        if (loader.hasMade(logger.getFilter())) {
            logger.setFilter(null);
        }
        for (Handler handler : logger.getHandlers()) {
            if (loader.hasMade(handler)
                    || loader.hasMade(handler.getFormatter())
                    || loader.hasMade(handler.getFilter())
                    || loader.hasMade(handler.getErrorManager())) {
                logger.removeHandler(handler);
            }
        }
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
