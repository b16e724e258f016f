//! One call of Lua's.

use core::ffi::{CStr, c_char, c_void};
use core::{ptr, slice, str};
use std::borrow::Cow;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::queue::Queue;
use crate::response::Response;

/// A call that waits for its answer, lent to the handler. Any thread may use it.
pub struct Call {
    queue: Queue,
    task: *mut c_void,
}

// SAFETY: the handle is a number, the functions may be called from any thread,
// and what they lend does not change until the task is responded to.
unsafe impl Send for Call {}
// SAFETY: as above.
unsafe impl Sync for Call {}

impl Call {
    /// Of a task that was polled from the queue, and that nobody but
    /// [`Call::respond`] responds to.
    pub(crate) fn new(queue: Queue, task: *mut c_void) -> Self {
        Self { queue, task }
    }

    pub(crate) fn task(&self) -> *mut c_void {
        self.task
    }

    /// The request, not copied; `None` for nil, which is not the empty string.
    pub fn request(&self) -> Option<&[u8]> {
        self.borrow(self.queue.contract.get_request)
    }

    /// The name of the Lua method, `"get"` in `kv:get("a")`; `""` for a plain
    /// call, `kv("a")`. A name that is not UTF-8 is `"\u{fffd}"`.
    pub fn method(&self) -> &str {
        let name = self.borrow(self.queue.contract.get_method).unwrap_or(b"");
        str::from_utf8(name).unwrap_or("\u{fffd}")
    }

    /// The id of the request that the call was made in, as `lua_ffi_request_id`
    /// in nginx.conf has it.
    pub fn request_id(&self) -> Option<Cow<'_, str>> {
        self.borrow(self.queue.contract.get_request_id).map(String::from_utf8_lossy)
    }

    /// The header `traceparent` of the request that the call was made in, of
    /// W3C's Trace Context, if it is valid.
    pub fn traceparent(&self) -> Option<Cow<'_, str>> {
        self.borrow(self.queue.contract.get_traceparent).map(String::from_utf8_lossy)
    }

    /// The time until the caller gives up; zero when it has.
    pub fn time_left(&self) -> Duration {
        // SAFETY: a handle of any kind is checked by the module.
        let left = unsafe { (self.queue.contract.time_left)(self.task) };
        Duration::from_millis(left.try_into().unwrap_or(0))
    }

    /// When the caller gives up.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.time_left()
    }

    /// Whether nobody waits for the answer any more: the time ran out, the
    /// client left. It is dropped, so whatever the handler still does is in vain.
    pub fn is_abandoned(&self) -> bool {
        // SAFETY: a handle of any kind is checked by the module.
        unsafe { (self.queue.contract.is_abandoned)(self.task) != 0 }
    }

    fn borrow(
        &self,
        get: unsafe extern "C" fn(*mut c_void, *mut usize) -> *const c_char,
    ) -> Option<&[u8]> {
        let mut len = 0;
        // SAFETY: len is there to be written to.
        let bytes = unsafe { get(self.task, &raw mut len) };
        // SAFETY: they are valid until the task is responded to, which is done
        // when no borrow of this call is left.
        (!bytes.is_null()).then(|| unsafe { slice::from_raw_parts(bytes.cast(), len) })
    }

    /// Once, when the handler has returned or was dropped.
    pub(crate) fn respond(&self, outcome: Result<Response<'_>, Error>) {
        match outcome {
            Ok(response) => self.send(0, response.bytes()),
            Err(error) => self.send(error.rc(), error.message().map(str::as_bytes)),
        }
    }

    fn send(&self, rc: i32, bytes: Option<&[u8]>) {
        let (start, len) = bytes.map_or((ptr::null(), 0), |bytes| (bytes.as_ptr(), bytes.len()));
        // What it returns tells of what was logged, or of no memory: the caller
        // got an error.
        // SAFETY: the bytes are copied before the call returns. The start of an
        // empty slice is not NULL, as the contract wants it.
        let _ = unsafe { (self.queue.contract.respond_copy)(self.task, rc, start.cast(), len) };
    }
}

/// A C string that lives during the call of the entry function.
///
/// # Safety
///
/// NULL, or NUL-terminated and valid for `'a`.
pub(crate) unsafe fn bytes_of<'a>(text: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: by the caller's word.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes())
}
