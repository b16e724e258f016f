//! The task queue of one runtime.

use core::ffi::{c_char, c_int, c_void};

use resty_ffi_sys::Contract;

/// A handle, and the functions that take it.
#[derive(Clone, Copy)]
pub(crate) struct Queue {
    pub(crate) contract: &'static Contract,
    pub(crate) tq: *mut c_void,
}

// SAFETY: the handle is a number, and the functions may be called from any
// thread.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Queue {
    /// Blocks; `None` is the end.
    pub(crate) fn poll(self) -> Option<*mut c_void> {
        // SAFETY: a handle of any kind is checked by the module.
        let task = unsafe { (self.contract.task_poll)(self.tq) };
        (!task.is_null()).then_some(task)
    }

    /// As many tasks as wait, and fit; `None` is the end. Does not block.
    #[cfg(feature = "tokio")]
    pub(crate) fn poll_many(self, tasks: &mut [*mut c_void]) -> Option<usize> {
        let (start, most) = (tasks.as_mut_ptr(), tasks.len() as c_int);
        // SAFETY: there is room for that many.
        let count = unsafe { (self.contract.task_poll_many)(self.tq, start, most, 0) };
        usize::try_from(count).ok()
    }

    /// As many of the tasks whose callers have gone as fit. Does not block.
    #[cfg(feature = "tokio")]
    pub(crate) fn poll_abandoned(self, tasks: &mut [*mut c_void]) -> usize {
        let (start, most) = (tasks.as_mut_ptr(), tasks.len() as c_int);
        // SAFETY: there is room for that many.
        let count = unsafe { (self.contract.poll_abandoned)(self.tq, start, most) };
        usize::try_from(count).unwrap_or(0)
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn event_fd(self) -> std::io::Result<c_int> {
        // SAFETY: a handle of any kind is checked by the module.
        match unsafe { (self.contract.event_fd)(self.tq) } {
            -1 => Err(std::io::Error::last_os_error()),
            fd => Ok(fd),
        }
    }

    pub(crate) fn log(self, level: c_int, text: &str) {
        // SAFETY: the text is copied before the call returns.
        unsafe { (self.contract.log)(self.tq, level, text.as_ptr().cast::<c_char>(), text.len()) }
    }

    pub(crate) fn set_error(self, text: &str) {
        // SAFETY: the text is copied before the call returns.
        unsafe { (self.contract.set_error)(self.tq, text.as_ptr().cast::<c_char>(), text.len()) }
    }
}
