//! The crate `tracing` to error.log.

use std::io::{self, Write};

use tracing::{Level as TraceLevel, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use crate::context::{Level, write_log};

/// Sends events, up to the level and with their spans, to error.log, with the
/// name of the runtime and the id of the request; nginx's `error_log` then has
/// its say.
///
/// To be called by the function given to [`export!`](crate::export); again does
/// no harm: the first call decides, for the whole library.
pub fn init(level: LevelFilter) {
    // Fails when there is a subscriber: this one, of an earlier runtime, or one
    // that the user has chosen.
    let _ = ::tracing::subscriber::set_global_default(
        Registry::default().with(layer().with_filter(level)),
    );
}

/// The same as a layer, for a subscriber of one's own.
pub fn layer<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    // nginx adds the time and the level.
    fmt::layer().without_time().with_level(false).with_ansi(false).with_writer(ErrorLog)
}

struct ErrorLog;

impl<'a> MakeWriter<'a> for ErrorLog {
    type Writer = Lines;

    fn make_writer(&'a self) -> Lines {
        Lines { level: Level::Info, text: Vec::new() }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Lines {
        Lines { level: level_of(*metadata.level()), text: Vec::new() }
    }
}

/// One event; logged when it is complete.
struct Lines {
    level: Level,
    text: Vec<u8>,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.text);
        write_log(self.level, text.trim_end());
    }
}

fn level_of(level: TraceLevel) -> Level {
    match level {
        TraceLevel::ERROR => Level::Error,
        TraceLevel::WARN => Level::Warn,
        TraceLevel::INFO => Level::Info,
        _ => Level::Debug,
    }
}
