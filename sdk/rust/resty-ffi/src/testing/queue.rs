//! Emulated queues and tasks.

use core::ffi::c_void;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::Deref;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::{Answer, Failure};

/// A handle is a number that nothing else had before.
static NUMBER: AtomicUsize = AtomicUsize::new(1);

/// What has a handle, for as long as it is good.
static QUEUES: LazyLock<Mutex<HashMap<usize, Weak<EmulatedQueue>>>> = LazyLock::new(Mutex::default);
static TASKS: LazyLock<Mutex<HashMap<usize, Arc<Task>>>> = LazyLock::new(Mutex::default);

pub(super) struct EmulatedQueue {
    number: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Arc<Task>>,
    /// Polled and abandoned since.
    gone: VecDeque<usize>,
    polled: usize,
    closed: bool,
    /// Made when it is asked for.
    event: Option<OwnedFd>,
}

pub(super) struct Task {
    number: usize,
    queue: usize,
    pub(super) method: CBytes,
    pub(super) request: Option<CBytes>,
    pub(super) request_id: Option<CBytes>,
    pub(super) traceparent: Option<CBytes>,
    deadline: Instant,
    abandoned: AtomicBool,
    answer: Sender<Answer>,
}

/// Bytes with a NUL beyond the last.
pub(super) struct CBytes(Vec<u8>);

impl EmulatedQueue {
    pub(super) fn new() -> Arc<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let queue = Arc::new(Self { number, state: Mutex::default(), changed: Condvar::new() });
        lock(&QUEUES).insert(number, Arc::downgrade(&queue));
        queue
    }

    pub(super) fn find(handle: *mut c_void) -> Option<Arc<Self>> {
        lock(&QUEUES).get(&handle.addr())?.upgrade()
    }

    pub(super) fn handle(&self) -> *mut c_void {
        ptr::without_provenance_mut(self.number)
    }

    pub(super) fn push(&self, task: Task) -> Arc<Task> {
        let task = Arc::new(task);
        self.change(|state| state.waiting.push_back(Arc::clone(&task)));
        task
    }

    /// Up to `max` tasks; `None` at the end of the queue.
    pub(super) fn poll(&self, max: usize, timeout: Option<Duration>) -> Option<Vec<Arc<Task>>> {
        let idle = |state: &mut State| state.waiting.is_empty() && !state.closed;
        let state = lock(&self.state);
        let mut state = match timeout {
            None => self.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                self.changed
                    .wait_timeout_while(state, timeout, idle)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        if state.waiting.is_empty() && state.closed {
            return None;
        }
        let count = max.min(state.waiting.len());
        let tasks: Vec<_> = state.waiting.drain(..count).collect();
        state.polled += count;
        lock(&TASKS).extend(tasks.iter().map(|task| (task.number, Arc::clone(task))));
        Some(tasks)
    }

    pub(super) fn poll_abandoned(&self, max: usize) -> Vec<*mut c_void> {
        let mut state = lock(&self.state);
        let count = max.min(state.gone.len());
        state.gone.drain(..count).map(ptr::without_provenance_mut).collect()
    }

    /// Readable from the start: tasks may wait already.
    pub(super) fn event_fd(&self) -> io::Result<RawFd> {
        let mut state = lock(&self.state);
        if state.event.is_none() {
            // SAFETY: it takes no memory.
            let fd = unsafe { libc::eventfd(1, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
            if fd == -1 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: it was opened above, and nobody else has it.
            state.event = Some(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        Ok(state.event.as_ref().map_or(-1, AsRawFd::as_raw_fd))
    }

    /// The caller waits no longer.
    pub(super) fn abandon(&self, task: &Task) {
        task.abandoned.store(true, Ordering::Relaxed);
        self.change(|state| {
            // One that was never polled is dropped unseen.
            state.waiting.retain(|waiting| waiting.number != task.number);
            if lock(&TASKS).contains_key(&task.number) {
                state.gone.push_back(task.number);
            }
        });
    }

    /// Nothing is pushed after this.
    pub(super) fn close(&self) {
        self.change(|state| state.closed = true);
    }

    /// Returns when every task was polled and responded to.
    pub(super) fn wait_answered(&self) {
        let busy = |state: &mut State| !state.waiting.is_empty() || state.polled > 0;
        drop(self.changed.wait_while(lock(&self.state), busy));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.state);
        change(&mut state);
        if let Some(event) = &state.event {
            let one = 1_u64.to_ne_bytes();
            // SAFETY: it has that many bytes.
            let _ = unsafe { libc::write(event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        }
        self.changed.notify_all();
    }
}

impl Drop for EmulatedQueue {
    fn drop(&mut self) {
        lock(&QUEUES).remove(&self.number);
    }
}

impl Task {
    pub(super) fn new(
        queue: &EmulatedQueue,
        method: &str,
        request: Option<&[u8]>,
        request_id: Option<&str>,
        traceparent: Option<&str>,
        deadline: Instant,
    ) -> (Self, Receiver<Answer>) {
        let (answer, answered) = channel();
        let task = Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            queue: queue.number,
            method: CBytes::new(method.as_bytes()),
            request: request.map(CBytes::new),
            request_id: request_id.map(|id| CBytes::new(id.as_bytes())),
            traceparent: traceparent.map(|header| CBytes::new(header.as_bytes())),
            deadline,
            abandoned: AtomicBool::new(false),
            answer,
        };
        (task, answered)
    }

    /// A polled task that was not responded to.
    pub(super) fn find(handle: *mut c_void) -> Option<Arc<Self>> {
        lock(&TASKS).get(&handle.addr()).cloned()
    }

    pub(super) fn handle(&self) -> *mut c_void {
        ptr::without_provenance_mut(self.number)
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    pub(super) fn time_left(&self) -> Duration {
        if self.is_abandoned() {
            return Duration::ZERO;
        }
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// False when the handle is not that of an unanswered task.
    pub(super) fn respond(handle: *mut c_void, rc: i32, response: Option<Vec<u8>>) -> bool {
        let Some(task) = lock(&TASKS).remove(&handle.addr()) else {
            return false;
        };
        let answer = match rc {
            0 => Ok(response),
            _ => Err(Failure::Failed {
                rc,
                message: response.map(|text| String::from_utf8_lossy(&text).into_owned()),
            }),
        };
        // Nobody receives it when the caller has gone.
        let _ = task.answer.send(answer);
        if let Some(queue) = EmulatedQueue::find(ptr::without_provenance_mut(task.queue)) {
            queue.change(|state| state.polled -= 1);
        }
        true
    }
}

impl CBytes {
    fn new(bytes: &[u8]) -> Self {
        Self([bytes, b"\0"].concat())
    }
}

impl Deref for CBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0[..self.0.len() - 1]
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
