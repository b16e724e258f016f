//! The crate `log` to error.log.

use log::{Level as LogLevel, LevelFilter, Log, Metadata, Record};

use crate::context::{Level, write_log};

/// Sends what is logged, up to the level, to error.log, with the name of the
/// runtime and the id of the request; nginx's `error_log` then has its say.
///
/// To be called by the function given to [`export!`](crate::export); again does
/// no harm. The level is the whole library's.
pub fn init(level: LevelFilter) {
    // Fails when there is a logger: this one, of an earlier runtime, or one that
    // the user has chosen.
    let _ = log::set_logger(&ErrorLog);
    log::set_max_level(level);
}

struct ErrorLog;

impl Log for ErrorLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let text = format!("{}: {}", record.target(), record.args());
            write_log(level_of(record.level()), &text);
        }
    }

    fn flush(&self) {}
}

fn level_of(level: LogLevel) -> Level {
    match level {
        LogLevel::Error => Level::Error,
        LogLevel::Warn => Level::Warn,
        LogLevel::Info => Level::Info,
        LogLevel::Debug | LogLevel::Trace => Level::Debug,
    }
}
