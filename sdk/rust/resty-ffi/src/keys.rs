//! The key of thread-specific data that the standard library makes and never
//! deletes. A process has 1024 of them, each copy of a library takes one, and
//! without one the standard library ends the process.

use std::sync::atomic::{AtomicU32, Ordering};
use std::{hint, thread};

/// `PTHREAD_KEYS_MAX`; musl does not check numbers beyond.
const KEYS: u32 = if cfg!(target_env = "musl") { 128 } else { 1024 };

const NONE: u32 = u32::MAX;

static KEY: AtomicU32 = AtomicU32::new(NONE);

/// On a new thread, before it has anything to do with the standard library's
/// threads: makes it set its key there, and sees which one that is.
pub(crate) fn note() {
    if KEY.load(Ordering::Relaxed) != NONE {
        return;
    }
    let before: Vec<bool> = (0..KEYS).map(has_value).collect();
    hint::black_box(thread::current());
    let set = (0..KEYS).find(|&key| has_value(key) && !before[key as usize]);
    if let Some(key) = set {
        KEY.store(key, Ordering::Relaxed);
    }
}

fn has_value(key: u32) -> bool {
    // SAFETY: what is not a key has no value.
    unsafe { !libc::pthread_getspecific(key).is_null() }
}

/// When the library is unmapped: no thread runs its code any more.
extern "C" fn forget() {
    let key = KEY.swap(NONE, Ordering::Relaxed);
    if key != NONE {
        // SAFETY: it is the key of the standard library that goes with us.
        let _ = unsafe { libc::pthread_key_delete(key) };
    }
}

#[used]
// SAFETY: the section is a list of functions without arguments.
#[unsafe(link_section = ".fini_array")]
static FORGET: extern "C" fn() = forget;
