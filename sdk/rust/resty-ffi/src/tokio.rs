//! A tokio runtime that awaits an [`AsyncHandler`].

use core::ffi::c_void;
use std::collections::HashMap;
use std::future::poll_fn;
use std::os::fd::RawFd;
use std::pin::pin;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fs, io, ptr};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};
use tokio::task::{AbortHandle, yield_now};

use crate::call::Call;
use crate::context::{serving, stay_within, within};
use crate::error::Error;
use crate::handler::AsyncHandler;
use crate::panics::barrier;
use crate::queue::Queue;
use crate::service::Running;
use crate::threads;

/// Tasks that one poll takes at most.
const BATCH: usize = 64;

/// How often the last calls are looked at when the queue, and with it what
/// tells of abandoned calls, has ended.
const LAST_CALLS: Duration = Duration::from_millis(20);

/// How long blocking functions may hold up the end of the runtime. After it they
/// go on, and nginx sees them and keeps the library mapped.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// The thread that polls. It drives the runtime, too, when there are no others.
pub(crate) struct Driver(JoinHandle<()>);

impl Driver {
    pub(crate) fn start<H, F>(queue: Queue, workers: usize, make: F) -> Result<Self, Error>
    where
        H: AsyncHandler,
        F: Future<Output = Result<H, Error>> + Send + 'static,
    {
        let runtime = build(queue, workers)?;
        let (ready, started) = channel();
        let thread = threads::spawn(move || {
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

impl Running for Driver {
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
    let server = Server { queue, handler: Arc::new(handler), calls: Arc::default() };
    let eager = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
    server.serve(events, eager).await;
    let _ = guarded(server.handler.close()).await;
}

struct Server<H> {
    queue: Queue,
    handler: Arc<H>,
    calls: Arc<Calls>,
}

impl<H: AsyncHandler> Server<H> {
    /// Eager: calls begin here, and most end here, too. Else on any thread.
    async fn serve(&self, events: Events, eager: bool) {
        let mut tasks = [ptr::null_mut(); BATCH];
        loop {
            // First: each is told of once, and what is polled is not noted yet.
            self.calls.cancel(self.queue);
            let Some(count) = self.queue.poll_many(&mut tasks) else {
                break;
            };
            if count == 0 {
                events.wait().await;
                continue;
            }
            for &task in &tasks[..count] {
                if eager {
                    poll_fn(|cx| self.begin_here(task, cx)).await;
                } else {
                    self.calls.spawn(task, self.answer(task));
                }
            }
            // Those that wait for something else have their turn.
            yield_now().await;
        }
        drop(events);
        while !self.calls.running().is_empty() {
            self.calls.cancel(self.queue);
            tokio::time::sleep(LAST_CALLS).await;
        }
    }

    fn begin_here(&self, task: *mut c_void, cx: &mut Context<'_>) -> Poll<()> {
        let mut answer = Box::pin(self.answer(task));
        // A panic that gets here is that of a drop, and the call was answered.
        if let Ok(Poll::Pending) = barrier(|| answer.as_mut().poll(cx)) {
            self.calls.spawn(task, answer);
        }
        Poll::Ready(())
    }

    fn answer(&self, task: *mut c_void) -> impl Future<Output = ()> + Send + 'static {
        let call = Call::new(self.queue, task);
        let answer = Answer { call, calls: Arc::clone(&self.calls), given: false };
        answer.give(self.queue, Arc::clone(&self.handler))
    }
}

/// What runs, by the task: a future that is told to stop is dropped.
#[derive(Default)]
struct Calls(Mutex<HashMap<usize, AbortHandle>>);

impl Calls {
    fn spawn(&self, task: *mut c_void, answer: impl Future<Output = ()> + Send + 'static) {
        // Held until the call is noted: it may end before that.
        let mut running = self.running();
        let spawned = tokio::spawn(answer);
        running.insert(task.addr(), spawned.abort_handle());
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
