//! A runtime without nginx, for unit tests.
//!
//! ```no_run
//! # use resty_ffi::{Error, Service, testing::Runtime};
//! # fn start(_: Option<&[u8]>) -> Result<Service, Error> { unimplemented!() }
//! #[test]
//! fn what_was_put_is_there() {
//!     let kv = Runtime::load(start, Some(b"capacity=10")).unwrap();
//!     kv.call("put", Some(b"a=1")).unwrap();
//!     assert_eq!(kv.call("get", Some(b"a")).unwrap().unwrap(), b"1");
//! }
//! ```
//!
//! It is nginx's contract that is emulated, so that all of the handler's
//! surroundings are those that it has in nginx: threads or tokio, panics,
//! deadlines, abandoned calls, the order of an unload. What is logged goes to
//! standard error.

mod queue;
mod symbols;

use std::fmt::{self, Display};
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use self::queue::{EmulatedQueue, Task};
use crate::Service;
use crate::entry;
use crate::error::Error;
use crate::queue::Queue;
use crate::service::Running;

/// As `lua_ffi_timeout` has it by default.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What Lua gets of a call, but for the `true` and the `false`.
pub type Answer = Result<Option<Vec<u8>>, Failure>;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The handler failed, or panicked: `false, rc, message`.
    Failed {
        /// Other than 0.
        rc: i32,
        /// `None` is nil.
        message: Option<String>,
    },
    /// `false, "timeout"`
    Timeout,
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { rc, message: Some(message) } => write!(f, "{message} (rc {rc})"),
            Self::Failed { rc, message: None } => write!(f, "error {rc}"),
            Self::Timeout => f.write_str("timeout"),
        }
    }
}

impl std::error::Error for Failure {}

/// A runtime, called as Lua calls it, from any thread. Dropping it unloads it:
/// returns when its threads are gone.
pub struct Runtime {
    queue: Arc<EmulatedQueue>,
    running: Option<Box<dyn Running>>,
    timeout: Duration,
    request_id: Option<String>,
    traceparent: Option<String>,
}

impl Runtime {
    /// Starts a runtime, with what is given to [`export!`](crate::export).
    ///
    /// # Errors
    ///
    /// Why it does not start: the message that `ngx.load_ffi()` has.
    pub fn load(
        start: fn(Option<&[u8]>) -> Result<Service, Error>,
        cfg: Option<&[u8]>,
    ) -> Result<Self, Error> {
        let queue = EmulatedQueue::new();
        match entry::begin(handle_of(&queue), start, cfg) {
            Ok(running) => {
                let running = Some(running);
                Ok(Self { queue, running, timeout: TIMEOUT, request_id: None, traceparent: None })
            }
            Err(error) => {
                queue.close();
                Err(error)
            }
        }
    }

    /// How long a call may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The id that the calls have.
    #[must_use]
    pub fn request_id(mut self, id: &str) -> Self {
        self.request_id = Some(id.to_owned());
        self
    }

    /// The header `traceparent` of the request that the calls are made in.
    #[must_use]
    pub fn traceparent(mut self, header: &str) -> Self {
        self.traceparent = Some(header.to_owned());
        self
    }

    /// `rt:method(request)`; blocks until it is answered.
    ///
    /// # Errors
    ///
    /// What the handler fails with, or the time that has run out: the call is
    /// abandoned then.
    pub fn call(&self, method: &str, request: Option<&[u8]>) -> Answer {
        let deadline = Instant::now() + self.timeout;
        let id = self.request_id.as_deref();
        let trace = self.traceparent.as_deref();
        let (task, answer) = Task::new(&self.queue, method, request, id, trace, deadline);
        let task = self.queue.push(task);
        match answer.recv_timeout(self.timeout) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                self.queue.abandon(&task);
                Err(Failure::Timeout)
            }
            Err(RecvTimeoutError::Disconnected) => unreachable!("every call is answered"),
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.queue.close();
        self.queue.wait_answered();
        if let Some(running) = self.running.take() {
            entry::end(handle_of(&self.queue), running);
        }
    }
}

fn handle_of(queue: &EmulatedQueue) -> Queue {
    Queue { contract: &symbols::CONTRACT, tq: queue.handle() }
}
