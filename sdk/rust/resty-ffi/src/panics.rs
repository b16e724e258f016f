//! Panics end at the barrier; the hook has logged them by then.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};

use crate::context::{Level, write_log};
use crate::error::Error;

/// Runs `f`; a panic in it becomes an error.
///
/// What `f` shares with others may have been left half done, as with any error
/// in the midst of it: that is the handler's to mind.
pub(crate) fn barrier<T>(f: impl FnOnce() -> T) -> Result<T, Error> {
    panic::catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        let error = Error::msg(format_args!("panicked: {}", message_of(&*payload)));
        discard(payload);
        error
    })
}

/// A payload can be anything, its drop included.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(another) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(another);
    }
}

fn message_of(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("the payload is no text")
}

/// Has panics in this library logged: a library has a standard library, and so
/// a hook, of its own.
pub(crate) fn install_hook() {
    panic::set_hook(Box::new(report));
}

fn report(info: &PanicHookInfo<'_>) {
    let place = info.location().map_or_else(String::new, |place| format!(" at {place}"));
    let message = message_of(info.payload());
    let backtrace = Backtrace::capture();
    let trace = match backtrace.status() {
        BacktraceStatus::Captured => format!("\n{backtrace}"),
        _ => String::new(),
    };
    write_log(Level::Error, &format!("panicked{place}: {message}{trace}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nasty;

    impl Drop for Nasty {
        fn drop(&mut self) {
            panic::panic_any(Nasty);
        }
    }

    #[test]
    fn panic_is_an_error_with_its_message() {
        let error = barrier(|| panic!("out of {}", "luck")).unwrap_err();
        assert_eq!(error.message(), Some("panicked: out of luck"));
    }

    #[test]
    fn payload_that_panics_when_it_is_dropped_is_an_error() {
        let error = barrier(|| panic::panic_any(Nasty)).unwrap_err();
        assert_eq!(error.message(), Some("panicked: the payload is no text"));
    }
}
