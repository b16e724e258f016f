//! The call that a thread works on, and the log that knows it.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;
use std::cell::Cell;

use resty_ffi_sys::level;

use crate::call::Call;
use crate::entry;
use crate::queue::Queue;

/// nginx's levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Level {
    Emerg,
    Alert,
    Crit,
    Error,
    Warn,
    Notice,
    Info,
    Debug,
}

impl Level {
    fn number(self) -> c_int {
        match self {
            Self::Emerg => level::EMERG,
            Self::Alert => level::ALERT,
            Self::Crit => level::CRIT,
            Self::Error => level::ERR,
            Self::Warn => level::WARN,
            Self::Notice => level::NOTICE,
            Self::Info => level::INFO,
            Self::Debug => level::DEBUG,
        }
    }
}

/// Whose code a thread runs. The task is NULL outside of calls.
#[derive(Clone, Copy)]
pub(crate) struct Context {
    queue: Queue,
    task: *mut c_void,
}

thread_local! {
    // Without a destructor, which would keep the library mapped.
    static CURRENT: Cell<Option<Context>> = const { Cell::new(None) };
}

/// Runs `f` on behalf of the runtime.
pub(crate) fn within<T>(queue: Queue, f: impl FnOnce() -> T) -> T {
    enter(Context { queue, task: ptr::null_mut() }, f)
}

/// The rest of the thread's life is on behalf of the runtime.
#[cfg(feature = "tokio")]
pub(crate) fn stay_within(queue: Queue) {
    CURRENT.set(Some(Context { queue, task: ptr::null_mut() }));
}

/// Runs `f` on behalf of the call.
pub(crate) fn serving<T>(queue: Queue, call: &Call, f: impl FnOnce() -> T) -> T {
    enter(Context { queue, task: call.task() }, f)
}

fn enter<T>(context: Context, f: impl FnOnce() -> T) -> T {
    struct Leave(Option<Context>);

    impl Drop for Leave {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }

    let _leave = Leave(CURRENT.replace(Some(context)));
    f()
}

/// Writes to nginx's error.log, a line for each line of the text, with the name
/// of the runtime and the id of the request that this thread works for. A thread
/// that a handler has started works for none: its lines are without.
///
/// Never blocks. Without nginx it goes to standard error.
pub fn write_log(level: Level, text: &str) {
    let number = level.number();
    let start = text.as_ptr().cast::<c_char>();
    match (CURRENT.get(), entry::contract()) {
        (Some(Context { queue, task }), _) if task.is_null() => queue.log(number, text),
        (Some(Context { queue, task }), _) => {
            // SAFETY: the text is copied before the call returns.
            unsafe { (queue.contract.log_task)(task, number, start, text.len()) }
        }
        (None, Some(contract)) => {
            // SAFETY: as above; no queue is a queue, too.
            unsafe { (contract.log)(ptr::null_mut(), number, start, text.len()) }
        }
        (None, None) => eprintln!("{level:?}: {text}"),
    }
}
