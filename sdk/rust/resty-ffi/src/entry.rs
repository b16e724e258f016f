//! What nginx calls.

use core::ffi::{CStr, c_char, c_int, c_void};
use std::sync::{Mutex, OnceLock, PoisonError};

use resty_ffi_sys::Contract;

use crate::call::bytes_of;
use crate::context::within;
use crate::error::Error;
use crate::keys;
use crate::panics::{self, barrier};
use crate::queue::Queue;
use crate::service::{Running, Service};

/// What [`export!`](crate::export) is given.
pub type Start = fn(Option<&[u8]>) -> Result<Service, Error>;

static CONTRACT: OnceLock<Contract> = OnceLock::new();

/// The runtimes of this library, by their queues.
static RUNTIMES: Mutex<Vec<(usize, Box<dyn Running>)>> = Mutex::new(Vec::new());

/// Of the nginx that this runs in, if it does.
pub(crate) fn contract() -> Option<&'static Contract> {
    CONTRACT.get()
}

/// `libffi_init()`.
///
/// # Safety
///
/// `cfg` must be NULL or NUL-terminated and valid during the call.
pub unsafe fn init(start: Start, cfg: *const c_char, tq: *mut c_void) -> c_int {
    keys::note();
    let contract = match find_contract() {
        Ok(contract) => contract,
        Err(missing) => {
            complain(tq, missing);
            return 1;
        }
    };
    let queue = Queue { contract, tq };
    // SAFETY: by the caller's word.
    let cfg = unsafe { bytes_of(cfg) };
    match begin(queue, start, cfg) {
        Ok(running) => {
            runtimes().push((tq.addr(), running));
            0
        }
        Err(error) => {
            queue.set_error(&error.to_string());
            1
        }
    }
}

/// `libffi_fini()`; blocks until the threads of the runtime are gone.
pub fn fini(tq: *mut c_void) {
    let running = take(tq.addr());
    if let (Some(running), Some(contract)) = (running, contract()) {
        end(Queue { contract, tq }, running);
    }
}

/// Starts a runtime: its error, or a panic's, is that of the load.
pub(crate) fn begin(
    queue: Queue,
    start: Start,
    cfg: Option<&[u8]>,
) -> Result<Box<dyn Running>, Error> {
    within(queue, || barrier(|| start(cfg)?.start(queue)).unwrap_or_else(Err))
}

/// Ends a runtime.
pub(crate) fn end(queue: Queue, running: Box<dyn Running>) {
    // A panic was logged; there is nobody to tell of it.
    let _ = within(queue, || barrier(|| running.join()));
}

fn runtimes() -> std::sync::MutexGuard<'static, Vec<(usize, Box<dyn Running>)>> {
    RUNTIMES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take(tq: usize) -> Option<Box<dyn Running>> {
    let mut runtimes = runtimes();
    let at = runtimes.iter().position(|(other, _)| *other == tq)?;
    let (_, running) = runtimes.swap_remove(at);
    // The last of them leaves no memory behind in a library that is unmapped.
    if runtimes.is_empty() {
        *runtimes = Vec::new();
    }
    Some(running)
}

fn find_contract() -> Result<&'static Contract, &'static CStr> {
    if let Some(contract) = CONTRACT.get() {
        return Ok(contract);
    }
    // SAFETY: these are nginx's functions, under the names of their contract.
    let found = unsafe { Contract::find(symbol) }?;
    panics::install_hook();
    Ok(CONTRACT.get_or_init(|| found))
}

fn symbol(name: &CStr) -> *const c_void {
    // SAFETY: the name is NUL-terminated.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
}

/// The module lacks a function; if it can be told why the load fails, it is.
fn complain(tq: *mut c_void, missing: &CStr) {
    let text = format!("nginx's module is too old, it has no {}()", missing.to_string_lossy());
    let set_error = symbol(c"ngx_http_lua_ffi_set_error");
    if set_error.is_null() {
        eprintln!("{text}");
        return;
    }
    // SAFETY: it is the function of that name; the text is copied.
    unsafe {
        let set_error: unsafe extern "C" fn(*mut c_void, *const c_char, usize) =
            std::mem::transmute(set_error);
        set_error(tq, text.as_ptr().cast(), text.len());
    }
}
