//! Threads that call a [`Handler`].

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crate::call::Call;
use crate::context::{serving, within};
use crate::error::Error;
use crate::handler::Handler;
use crate::panics::barrier;
use crate::queue::Queue;
use crate::service::Running;

pub(crate) struct Pool<H> {
    handler: Arc<H>,
    threads: Vec<JoinHandle<()>>,
}

impl<H: Handler> Pool<H> {
    /// When it fails those threads that were started get the end of the queue,
    /// which goes with the load.
    pub(crate) fn start(queue: Queue, count: usize, handler: H) -> Result<Self, Error> {
        if count == 0 {
            return Err(Error::msg("a service needs one thread at least"));
        }
        let handler = Arc::new(handler);
        let threads = (0..count)
            .map(|_| {
                let handler = Arc::clone(&handler);
                spawn(move || within(queue, || serve(queue, &*handler)))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { handler, threads })
    }
}

impl<H: Handler> Running for Pool<H> {
    fn join(self: Box<Self>) {
        for thread in self.threads {
            // It cannot panic but in the drop of the handler, which is logged.
            let _ = thread.join();
        }
        let handler = self.handler;
        let _ = barrier(|| handler.close());
        let _ = barrier(|| drop(handler));
    }
}

fn serve<H: Handler>(queue: Queue, handler: &H) {
    while let Some(task) = queue.poll() {
        let call = Call::new(queue, task);
        let outcome = serving(queue, &call, || barrier(|| handler.handle(&call)));
        call.respond(outcome.unwrap_or_else(Err));
    }
}

/// Without a name of its own a thread has that of the one that starts it, by
/// which nginx knows whose it is.
pub(crate) fn spawn<T: Send + 'static>(
    f: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().spawn(f)
}
