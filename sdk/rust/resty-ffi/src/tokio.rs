//! A tokio runtime that awaits an [`AsyncHandler`].

use std::collections::HashMap;
use std::future::poll_fn;
use std::os::fd::RawFd;
use std::pin::pin;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fs, io, ptr};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

use crate::call::Call;
use crate::context::{serving, stay_within, within};
use crate::error::Error;
use crate::handler::AsyncHandler;
use crate::panics::barrier;
use crate::queue::Queue;
use crate::service::Running;
use crate::threads::spawn;

/// Tasks that one poll takes at most.
const BATCH: usize = 64;

/// How often the last calls are looked at when the queue, and with it what
/// tells of abandoned calls, has ended.
const LAST_CALLS: Duration = Duration::from_millis(20);

/// How long blocking functions may hold up the end of the runtime. After it they
/// go on, and nginx sees them and keeps the library mapped.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// The thread that polls. It drives the runtime, too, when there are no others.
pub(crate) struct Server(JoinHandle<()>);

impl Server {
    pub(crate) fn start<H, F>(queue: Queue, workers: usize, make: F) -> Result<Self, Error>
    where
        H: AsyncHandler,
        F: Future<Output = Result<H, Error>> + Send + 'static,
    {
        let runtime = build(queue, workers)?;
        let (ready, started) = channel();
        let thread = spawn(move || {
            within(queue, || {
                // What panics outside of the barriers within is a drop; it is logged.
                let _ = barrier(|| runtime.block_on(run(queue, make, &ready)));
                let _ = barrier(|| runtime.shutdown_timeout(SHUTDOWN));
            });
        })?;
        match started.recv() {
            Ok(Ok(())) => Ok(Self(thread)),
            failed => {
                let _ = thread.join();
                Err(failed.map_or_else(|_| Error::msg("panicked"), Result::unwrap_err))
            }
        }
    }
}

impl Running for Server {
    fn join(self: Box<Self>) {
        let _ = self.0.join();
    }
}

/// Its threads have the name of the one that starts them, by which nginx knows
/// whose they are, and belong to the runtime.
fn build(queue: Queue, workers: usize) -> Result<Runtime, Error> {
    let mut builder = match workers {
        0 => return Err(Error::msg("a service needs one thread at least")),
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let name = fs::read_to_string("/proc/thread-self/comm")?;
    Ok(builder
        .worker_threads(workers)
        .thread_name(name.trim_end())
        .on_thread_start(move || stay_within(queue))
        .enable_all()
        .build()?)
}

/// Makes the handler, says so, answers calls to the end.
async fn run<H, F>(queue: Queue, make: F, ready: &Sender<Result<(), Error>>)
where
    H: AsyncHandler,
    F: Future<Output = Result<H, Error>>,
{
    let made = match guarded(make).await.unwrap_or_else(Err) {
        Ok(handler) => Events::open(queue).map(|events| (handler, events)).map_err(Error::from),
        Err(error) => Err(error),
    };
    let (handler, events) = match made {
        Ok(made) => made,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    let handler = Arc::new(handler);
    let calls = Arc::new(Calls::default());
    serve(queue, events, &handler, &calls).await;
    let _ = guarded(handler.close()).await;
}

async fn serve<H: AsyncHandler>(
    queue: Queue,
    events: Events,
    handler: &Arc<H>,
    calls: &Arc<Calls>,
) {
    while take(queue, handler, calls) {
        calls.cancel(queue);
        events.wait().await;
    }
    while !calls.running().is_empty() {
        calls.cancel(queue);
        tokio::time::sleep(LAST_CALLS).await;
    }
}

/// Begins every call that waits; false at the end of the queue.
fn take<H: AsyncHandler>(queue: Queue, handler: &Arc<H>, calls: &Arc<Calls>) -> bool {
    let mut tasks = [ptr::null_mut(); BATCH];
    loop {
        match queue.poll_many(&mut tasks) {
            Some(0) => return true,
            Some(count) => {
                for &task in &tasks[..count] {
                    calls.begin(queue, Call::new(queue, task), handler);
                }
            }
            None => return false,
        }
    }
}

/// What runs, by the task: a future that is told to stop is dropped.
#[derive(Default)]
struct Calls(Mutex<HashMap<usize, AbortHandle>>);

impl Calls {
    fn begin<H: AsyncHandler>(self: &Arc<Self>, queue: Queue, call: Call, handler: &Arc<H>) {
        let task = call.task().addr();
        let answer = Answer { call, calls: Arc::clone(self), given: false };
        let handler = Arc::clone(handler);
        // Held until the call is noted: it may end before that.
        let mut running = self.running();
        let spawned = tokio::spawn(answer.give(queue, handler));
        running.insert(task, spawned.abort_handle());
    }

    fn cancel(&self, queue: Queue) {
        let mut tasks = [ptr::null_mut(); BATCH];
        loop {
            let count = queue.poll_abandoned(&mut tasks);
            if count == 0 {
                return;
            }
            let running = self.running();
            for task in &tasks[..count] {
                if let Some(call) = running.get(&task.addr()) {
                    call.abort();
                }
            }
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<usize, AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer that a call gets in every case, that of a dropped future included.
struct Answer {
    call: Call,
    calls: Arc<Calls>,
    given: bool,
}

impl Answer {
    async fn give<H: AsyncHandler>(mut self, queue: Queue, handler: Arc<H>) {
        let outcome = {
            // Dropped before the answer, which ends what is borrowed of the call.
            let mut future = pin!(guarded(async { handler.handle(&self.call).await }));
            poll_fn(|cx| serving(queue, &self.call, || future.as_mut().poll(cx))).await
        };
        self.call.respond(outcome.unwrap_or_else(Err));
        self.given = true;
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.given {
            self.call.respond(Err(Error::msg("cancelled")));
        }
        self.calls.running().remove(&self.call.task().addr());
    }
}

/// The future with a barrier around each poll.
async fn guarded<T>(future: impl Future<Output = T>) -> Result<T, Error> {
    let mut future = pin!(future);
    poll_fn(|cx| match barrier(|| future.as_mut().poll(cx)) {
        Ok(polled) => polled.map(Ok),
        Err(error) => Poll::Ready(Err(error)),
    })
    .await
}

/// What tells that there is something to poll. The descriptor is the queue's.
struct Events(AsyncFd<RawFd>);

impl Events {
    /// On the thread that waits, and polls after it.
    fn open(queue: Queue) -> io::Result<Self> {
        let fd = queue.event_fd()?;
        // SAFETY: the queue keeps it open until libffi_fini() has returned, which
        // waits for this thread.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        Ok(Self(fd?))
    }

    async fn wait(&self) {
        let mut ready = self.0.readable().await.expect("its runtime runs");
        let mut count = [0_u8; 8];
        // SAFETY: it has as many bytes as that. The descriptor is an eventfd, so
        // one read empties it, or finds it empty.
        let _ = unsafe { libc::read(*self.0.get_ref(), count.as_mut_ptr().cast(), count.len()) };
        ready.clear_ready();
    }
}
