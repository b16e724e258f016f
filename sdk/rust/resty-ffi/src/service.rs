//! How the calls of a runtime are answered.

use crate::error::Error;
use crate::handler::Handler;
use crate::queue::Queue;
use crate::threads::Pool;

/// A handler and what runs it, returned by the function given to
/// [`export!`](crate::export).
pub struct Service(Box<Start>);

type Start = dyn FnOnce(Queue) -> Result<Box<dyn Running>, Error> + Send;

/// A service that was started.
pub(crate) trait Running: Send + Sync {
    /// After the end of the queue; blocks. Closes and drops the handler, and
    /// returns when every thread is gone.
    fn join(self: Box<Self>);
}

impl Service {
    /// `count` threads that call the handler, each for one call at a time.
    ///
    /// Handlers that compute need no more threads than there are processors;
    /// those that wait, as many as shall wait at once.
    pub fn threads<H: Handler>(count: usize, handler: H) -> Self {
        Self(Box::new(move |queue| Ok(Box::new(Pool::start(queue, count, handler)?))))
    }

    /// A tokio runtime with `workers` threads, on which the future is awaited
    /// that makes the handler; the load waits for it. One thread is a runtime
    /// of the current-thread kind, the quickest for handlers that only wait.
    ///
    /// The runtime is shut down when it is unloaded: futures still spawned are
    /// dropped, blocking functions waited for a few seconds.
    #[cfg(feature = "tokio")]
    pub fn tokio<H, F>(workers: usize, make: F) -> Self
    where
        H: crate::AsyncHandler,
        F: Future<Output = Result<H, Error>> + Send + 'static,
    {
        Self(Box::new(move |queue| {
            Ok(Box::new(crate::tokio::Driver::start(queue, workers, make)?))
        }))
    }

    /// Blocks until the service is ready.
    pub(crate) fn start(self, queue: Queue) -> Result<Box<dyn Running>, Error> {
        (self.0)(queue)
    }
}
