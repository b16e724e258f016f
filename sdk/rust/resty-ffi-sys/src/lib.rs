//! `include/ngx_http_lua_ffi.h` in Rust: what nginx's `ngx_http_lua_ffi_module`
//! exports to the libraries that it runs. The header has the whole contract:
//! threads, ownership, lifetimes. Most libraries want the crate `resty-ffi`,
//! which makes it safe.
//!
//! There are two ways to the functions. Either call them by name: the symbols
//! stay undefined when a `cdylib` is linked and are found when nginx opens it
//! (an executable, such as a test, cannot be linked then). Or look them up with
//! [`Contract::find`]; a call through it costs the same.
//!
//! A library exports
//!
//! ```
//! # use core::ffi::{c_char, c_int, c_void};
//! #[unsafe(no_mangle)]
//! extern "C" fn libffi_init(cfg: *mut c_char, tq: *mut c_void) -> c_int {
//!     // start threads that poll tq
//!     0
//! }
//! ```
//!
//! and, so that it can be unmapped, `libffi_fini(tq: *mut c_void)`, which
//! returns when those threads are gone.

#![no_std]

use core::ffi::{CStr, c_char, c_int, c_uint, c_void};

/// The version of the contract that this crate was written for; see
/// [`ngx_http_lua_ffi_abi_version`].
pub const ABI_VERSION: c_uint = 4;

/// Levels of [`ngx_http_lua_ffi_log`]: nginx's own numbers.
pub mod level {
    use core::ffi::c_int;

    /// `[emerg]`
    pub const EMERG: c_int = 1;
    /// `[alert]`
    pub const ALERT: c_int = 2;
    /// `[crit]`
    pub const CRIT: c_int = 3;
    /// `[error]`
    pub const ERR: c_int = 4;
    /// `[warn]`
    pub const WARN: c_int = 5;
    /// `[notice]`
    pub const NOTICE: c_int = 6;
    /// `[info]`
    pub const INFO: c_int = 7;
    /// `[debug]`
    pub const DEBUG: c_int = 8;
}

/// Declares each function twice: as a symbol, and as a field of [`Contract`].
macro_rules! contract {
    ($(
        $(#[$doc:meta])*
        fn $symbol:ident as $field:ident($($name:ident: $type:ty),*) $(-> $result:ty)?;
    )*) => {
        unsafe extern "C" {
            $($(#[$doc])* pub fn $symbol($($name: $type),*) $(-> $result)?;)*
        }

        /// The functions, as found at run time.
        #[derive(Clone, Copy)]
        pub struct Contract {
            $($(#[$doc])* pub $field: unsafe extern "C" fn($($name: $type),*) $(-> $result)?,)*
        }

        impl Contract {
            /// Looks each function up by its name, with `dlsym(RTLD_DEFAULT, ...)`
            /// for instance.
            ///
            /// # Errors
            ///
            /// The name of the first function that was not found: the module
            /// that runs is older than this crate, or there is none.
            ///
            /// # Safety
            ///
            /// What `lookup` returns must be NULL or the function of that name.
            pub unsafe fn find(
                mut lookup: impl FnMut(&CStr) -> *const c_void,
            ) -> Result<Self, &'static CStr> {
                $(
                    let name = const {
                        match CStr::from_bytes_with_nul(
                            concat!(stringify!($symbol), "\0").as_bytes(),
                        ) {
                            Ok(name) => name,
                            Err(_) => unreachable!(),
                        }
                    };
                    let $field = lookup(name);
                    if $field.is_null() {
                        return Err(name);
                    }
                )*
                // SAFETY: each is not NULL, and by the caller's word the
                // function of its name.
                unsafe { Ok(Self { $($field: core::mem::transmute::<
                    *const c_void,
                    unsafe extern "C" fn($($type),*) $(-> $result)?,
                >($field),)* }) }
            }
        }
    };
}

contract! {
    /// Blocks until a call arrives and returns its task; NULL, to every poller,
    /// when the runtime is unloaded and nothing is left to do.
    fn ngx_http_lua_ffi_task_poll as task_poll(tq: *mut c_void) -> *mut c_void;

    /// Takes up to `max` tasks (64 at most), waiting `timeout_ms` for the first:
    /// 0 does not wait, a negative one waits for ever. Returns their number, 0
    /// when the time ran out, -1 at the end of the queue.
    fn ngx_http_lua_ffi_task_poll_many as task_poll_many(
        tq: *mut c_void, tasks: *mut *mut c_void, max: c_int, timeout_ms: c_int
    ) -> c_int;

    /// A descriptor that is readable when there is something to poll; -1 with
    /// errno set when it cannot be made. Read it empty, then poll until there
    /// is nothing: that arms it anew.
    fn ngx_http_lua_ffi_event_fd as event_fd(tq: *mut c_void) -> c_int;

    /// Polled, unanswered tasks whose callers have gone, each told once, 0 to
    /// `max`. They must be responded to all the same.
    fn ngx_http_lua_ffi_poll_abandoned as poll_abandoned(
        tq: *mut c_void, tasks: *mut *mut c_void, max: c_int
    ) -> c_int;

    /// The request in the older form, NUL-terminated: NULL for nil. Borrowed,
    /// until the task is responded to.
    fn ngx_http_lua_ffi_get_req as get_req(task: *mut c_void, len: *mut c_int) -> *mut c_char;

    /// The request, of any size: NULL for nil. Borrowed, until the task is
    /// responded to.
    fn ngx_http_lua_ffi_get_request as get_request(
        task: *mut c_void, len: *mut usize
    ) -> *const c_char;

    /// The name of the Lua method, empty for a plain call. Borrowed, until the
    /// task is responded to.
    fn ngx_http_lua_ffi_get_method as get_method(
        task: *mut c_void, len: *mut usize
    ) -> *const c_char;

    /// The id of the request that the call was made in, NULL when it has none.
    /// Borrowed, until the task is responded to.
    fn ngx_http_lua_ffi_get_request_id as get_request_id(
        task: *mut c_void, len: *mut usize
    ) -> *const c_char;

    /// The header `traceparent` of the request that the call was made in, of
    /// W3C's Trace Context, NULL when it has none that is valid. Borrowed, until
    /// the task is responded to.
    fn ngx_http_lua_ffi_get_traceparent as get_traceparent(
        task: *mut c_void, len: *mut usize
    ) -> *const c_char;

    /// 1 when nobody waits for the response any more, else 0.
    fn ngx_http_lua_ffi_is_abandoned as is_abandoned(task: *mut c_void) -> c_int;

    /// Milliseconds until the caller gives up; -1 for what is not a polled task.
    fn ngx_http_lua_ffi_time_left as time_left(task: *mut c_void) -> i64;

    /// Responds with a copy of `len` bytes. Returns 0, or -1 when the handle was
    /// refused or there is no memory.
    fn ngx_http_lua_ffi_respond_copy as respond_copy(
        task: *mut c_void, rc: c_int, rsp: *const c_void, len: usize
    ) -> c_int;

    /// Responds with `rsp`, which must come from `malloc()` and is freed in
    /// every case. Returns 0, or -1 when the handle was refused.
    fn ngx_http_lua_ffi_respond_take as respond_take(
        task: *mut c_void, rc: c_int, rsp: *mut c_void, len: usize
    ) -> c_int;

    /// `respond_take` in the older form, where a length of 0 means a
    /// NUL-terminated string.
    fn ngx_http_lua_ffi_respond as respond(
        task: *mut c_void, rc: c_int, rsp: *mut c_char, rsp_len: c_int
    );

    /// The version of the contract that the running module has.
    fn ngx_http_lua_ffi_abi_version as abi_version() -> c_uint;

    /// Says why `libffi_init()` is about to fail; copied.
    fn ngx_http_lua_ffi_set_error as set_error(
        tq: *mut c_void, msg: *const c_char, len: usize
    );

    /// Writes to error.log, with the runtime's name in front when `tq` is not
    /// NULL.
    fn ngx_http_lua_ffi_log as log(
        tq: *mut c_void, level: c_int, msg: *const c_char, len: usize
    );

    /// The same on behalf of a task: with the id of its request, too.
    fn ngx_http_lua_ffi_log_task as log_task(
        task: *mut c_void, level: c_int, msg: *const c_char, len: usize
    );

    /// The path that the library was found at, NUL-terminated. Borrowed, during
    /// `libffi_init()` and `libffi_fini()`. NULL for a stale handle.
    fn ngx_http_lua_ffi_library_path as library_path(tq: *mut c_void) -> *const c_char;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        // SAFETY: nothing is found.
        let found = unsafe { Contract::find(|_| core::ptr::null()) };
        assert_eq!(found.err(), Some(c"ngx_http_lua_ffi_task_poll"));
    }
}
