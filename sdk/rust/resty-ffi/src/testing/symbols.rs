//! The functions of the contract, for emulated queues.

use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::time::Duration;
use std::{io, ptr, slice};

use resty_ffi_sys::{ABI_VERSION, Contract};

use super::queue::{CBytes, EmulatedQueue, Task};

/// As nginx has it.
const MOST_POLLED: c_int = 64;

pub(super) static CONTRACT: Contract = Contract {
    task_poll,
    task_poll_many,
    event_fd,
    poll_abandoned,
    get_req,
    get_request,
    get_method,
    get_request_id,
    get_traceparent,
    is_abandoned,
    time_left,
    respond_copy,
    respond_take,
    respond,
    abi_version,
    set_error,
    log,
    log_task: log,
    library_path,
};

unsafe extern "C" fn task_poll(tq: *mut c_void) -> *mut c_void {
    let mut task = ptr::null_mut();
    // SAFETY: there is room for one.
    match unsafe { task_poll_many(tq, &raw mut task, 1, -1) } {
        1 => task,
        _ => ptr::null_mut(),
    }
}

unsafe extern "C" fn task_poll_many(
    tq: *mut c_void,
    tasks: *mut *mut c_void,
    max: c_int,
    timeout_ms: c_int,
) -> c_int {
    let max = max.min(MOST_POLLED);
    if max < 1 {
        return 0;
    }
    let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
    let Some(queue) = EmulatedQueue::find(tq) else {
        return -1;
    };
    let Some(polled) = queue.poll(max as usize, timeout) else {
        return -1;
    };
    for (i, task) in polled.iter().enumerate() {
        // SAFETY: by the caller's word there is room for max of them.
        unsafe { tasks.add(i).write(task.handle()) };
    }
    polled.len() as c_int
}

unsafe extern "C" fn event_fd(tq: *mut c_void) -> c_int {
    EmulatedQueue::find(tq)
        .ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))
        .and_then(|queue| queue.event_fd())
        .unwrap_or(-1)
}

unsafe extern "C" fn poll_abandoned(tq: *mut c_void, tasks: *mut *mut c_void, max: c_int) -> c_int {
    let Some(queue) = EmulatedQueue::find(tq) else {
        return 0;
    };
    let gone = queue.poll_abandoned(max.max(0) as usize);
    for (i, &task) in gone.iter().enumerate() {
        // SAFETY: by the caller's word there is room for max of them.
        unsafe { tasks.add(i).write(task) };
    }
    gone.len() as c_int
}

unsafe extern "C" fn get_req(task: *mut c_void, len: *mut c_int) -> *mut c_char {
    let mut size = 0;
    // SAFETY: size is there to be written to.
    let request = unsafe { get_request(task, &raw mut size) };
    if !len.is_null() {
        // SAFETY: by the caller's word.
        unsafe { len.write(size.try_into().unwrap_or(c_int::MAX)) };
    }
    request.cast_mut()
}

unsafe extern "C" fn get_request(task: *mut c_void, len: *mut usize) -> *const c_char {
    // SAFETY: by the caller's word.
    unsafe { lend(task, len, |task| task.request.as_ref()) }
}

unsafe extern "C" fn get_method(task: *mut c_void, len: *mut usize) -> *const c_char {
    // SAFETY: by the caller's word.
    unsafe { lend(task, len, |task| Some(&task.method)) }
}

unsafe extern "C" fn get_request_id(task: *mut c_void, len: *mut usize) -> *const c_char {
    // SAFETY: by the caller's word.
    unsafe { lend(task, len, |task| task.request_id.as_ref()) }
}

unsafe extern "C" fn get_traceparent(task: *mut c_void, len: *mut usize) -> *const c_char {
    // SAFETY: by the caller's word.
    unsafe { lend(task, len, |task| task.traceparent.as_ref()) }
}

/// What is lent lives as long as the task has not been responded to.
///
/// # Safety
///
/// `len` must be NULL or there to be written to.
unsafe fn lend(
    task: *mut c_void,
    len: *mut usize,
    of: impl FnOnce(&Task) -> Option<&CBytes>,
) -> *const c_char {
    let task = Task::find(task);
    let bytes = task.as_deref().and_then(of);
    if !len.is_null() {
        // SAFETY: by the caller's word.
        unsafe { len.write(bytes.map_or(0, |bytes| bytes.len())) };
    }
    bytes.map_or(ptr::null(), |bytes| bytes.as_ptr().cast())
}

unsafe extern "C" fn is_abandoned(task: *mut c_void) -> c_int {
    Task::find(task).is_none_or(|task| task.is_abandoned()).into()
}

unsafe extern "C" fn time_left(task: *mut c_void) -> i64 {
    Task::find(task).map_or(-1, |task| task.time_left().as_millis() as i64)
}

unsafe extern "C" fn respond_copy(
    task: *mut c_void,
    rc: c_int,
    rsp: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: by the caller's word.
    let response = (!rsp.is_null()).then(|| unsafe { bytes_of(rsp, len) });
    if Task::respond(task, rc, response) { 0 } else { -1 }
}

unsafe extern "C" fn respond_take(
    task: *mut c_void,
    rc: c_int,
    rsp: *mut c_void,
    len: usize,
) -> c_int {
    // SAFETY: by the caller's word.
    let done = unsafe { respond_copy(task, rc, rsp, len) };
    // SAFETY: by the caller's word it comes from malloc().
    unsafe { libc::free(rsp) };
    done
}

unsafe extern "C" fn respond(task: *mut c_void, rc: c_int, rsp: *mut c_char, rsp_len: c_int) {
    let len = match rsp_len {
        // SAFETY: by the caller's word it is NUL-terminated then.
        0 if !rsp.is_null() => unsafe { libc::strlen(rsp) },
        _ => usize::try_from(rsp_len).unwrap_or(0),
    };
    // SAFETY: by the caller's word.
    unsafe { respond_take(task, rc, rsp.cast(), len) };
}

unsafe extern "C" fn abi_version() -> c_uint {
    ABI_VERSION
}

/// Nobody asks for it: the error of the load is at hand.
unsafe extern "C" fn set_error(_tq: *mut c_void, _msg: *const c_char, _len: usize) {}

unsafe extern "C" fn log(_whose: *mut c_void, level: c_int, msg: *const c_char, len: usize) {
    // SAFETY: by the caller's word.
    let text = unsafe { bytes_of(msg.cast(), len) };
    eprintln!("level {level}: {}", String::from_utf8_lossy(&text));
}

unsafe extern "C" fn library_path(_tq: *mut c_void) -> *const c_char {
    CStr::as_ptr(c"")
}

/// # Safety
///
/// There must be `len` bytes.
unsafe fn bytes_of(start: *const c_void, len: usize) -> Vec<u8> {
    // SAFETY: by the caller's word.
    unsafe { slice::from_raw_parts(start.cast::<u8>(), len) }.to_vec()
}
