//! Handlers in the emulator: what they see is what nginx shows them.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use resty_ffi::testing::{Failure, Runtime};
use resty_ffi::{Call, Error, Handler, Response, Service};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

struct Inspect;

impl Handler for Inspect {
    fn handle<'a>(&'a self, call: &'a Call) -> Result<Response<'a>, Error> {
        match call.method() {
            "" | "echo" => Ok(call.request().into()),
            "request_id" => Ok(call.request_id().map(String::from).into()),
            "traceparent" => Ok(call.traceparent().map(String::from).into()),
            "time_left" => Ok(call.time_left().as_secs().to_string().into()),
            "fail" => Err(Error::new(3, "out of luck")),
            "panic" => panic!("out of luck"),
            "wait" => {
                while !call.is_abandoned() {
                    thread::yield_now();
                }
                assert_eq!(call.time_left(), Duration::ZERO);
                Ok("too late".into())
            }
            method => Err(Error::msg(format_args!("no method {method}"))),
        }
    }
}

fn start(cfg: Option<&[u8]>) -> Result<Service, Error> {
    match cfg {
        None => Ok(Service::threads(2, Inspect)),
        Some(b"panic") => panic!("in the start"),
        Some(why) => Err(Error::msg(String::from_utf8_lossy(why))),
    }
}

fn failed(rc: i32, message: &str) -> Failure {
    Failure::Failed { rc, message: Some(message.to_owned()) }
}

#[test]
fn nil_and_empty_stay_different() {
    let runtime = Runtime::load(start, None).unwrap();
    assert_eq!(runtime.call("echo", None), Ok(None));
    assert_eq!(runtime.call("echo", Some(b"")), Ok(Some(vec![])));
    assert_eq!(runtime.call("", Some(b"\0\xff")), Ok(Some(vec![0, 255])));
}

#[test]
fn errors_and_panics_are_answers() {
    let runtime = Runtime::load(start, None).unwrap();
    for _ in 0..3 {
        assert_eq!(runtime.call("fail", None), Err(failed(3, "out of luck")));
        assert_eq!(runtime.call("panic", None), Err(failed(1, "panicked: out of luck")));
    }
    assert_eq!(runtime.call("what", None), Err(failed(1, "no method what")));
}

#[test]
fn failed_start_says_why() {
    let why = |cfg| Runtime::load(start, Some(cfg)).err().unwrap().to_string();
    assert_eq!(why(b"no luck"), "no luck");
    assert_eq!(why(b"panic"), "panicked: in the start");
}

#[test]
fn call_has_an_id_and_a_deadline() {
    let runtime =
        Runtime::load(start, None).unwrap().timeout(LONG).request_id("r-1").traceparent("t-1");
    assert_eq!(runtime.call("traceparent", None), Ok(Some(b"t-1".to_vec())));
    assert_eq!(runtime.call("request_id", None), Ok(Some(b"r-1".to_vec())));
    let left = runtime.call("time_left", None).unwrap().unwrap();
    assert!(left == b"19" || left == b"20");
}

#[test]
fn call_that_takes_too_long_is_abandoned() {
    let runtime = Runtime::load(start, None).unwrap().timeout(SHORT);
    assert_eq!(runtime.call("wait", None), Err(Failure::Timeout));
    assert_eq!(runtime.call("echo", None), Ok(None));
}

#[test]
fn each_of_many_calls_gets_its_own_answer() {
    let runtime = Runtime::load(start, None).unwrap();
    thread::scope(|scope| {
        for caller in 0..8 {
            let runtime = &runtime;
            scope.spawn(move || {
                for i in 0..200 {
                    let text = format!("{caller} {i}").into_bytes();
                    assert_eq!(runtime.call("echo", Some(&text)), Ok(Some(text)));
                }
            });
        }
    });
}

/// Where a handler has the test look on.
static SEEN: Mutex<Option<Sender<&str>>> = Mutex::new(None);
static MEETING: Mutex<Option<Arc<Barrier>>> = Mutex::new(None);
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn watch() -> Receiver<&'static str> {
    let (sender, seen) = channel();
    *SEEN.lock().unwrap() = Some(sender);
    seen
}

fn say(what: &'static str) {
    SEEN.lock().unwrap().as_ref().unwrap().send(what).unwrap();
}

struct Closing;

impl Handler for Closing {
    fn handle(&self, _: &Call) -> Result<Response<'_>, Error> {
        let meeting = MEETING.lock().unwrap().clone();
        meeting.unwrap().wait();
        Ok(Response::NIL)
    }

    fn close(&self) {
        say("closed");
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        say("dropped");
    }
}

#[test]
fn calls_run_at_once_and_then_the_handler_is_closed_and_dropped() {
    let _alone = ONE_AT_A_TIME.lock();
    let seen = watch();
    *MEETING.lock().unwrap() = Some(Arc::new(Barrier::new(3)));
    let runtime = Runtime::load(|_| Ok(Service::threads(3, Closing)), None).unwrap();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| runtime.call("meet", None).unwrap());
        }
    });
    drop(runtime);
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), ["closed", "dropped"]);
}

#[cfg(feature = "tokio")]
mod tokio {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use ::tokio::sync::Barrier;
    use ::tokio::task::yield_now;
    use resty_ffi::AsyncHandler;

    struct Futures {
        meeting: Barrier,
    }

    struct Witness;

    impl Drop for Witness {
        fn drop(&mut self) {
            say("future dropped");
        }
    }

    impl AsyncHandler for Futures {
        async fn handle<'a>(&'a self, call: &'a Call) -> Result<Response<'a>, Error> {
            match call.method() {
                "echo" => Ok(call.request().into()),
                "later" => {
                    yield_now().await;
                    Ok(call.request().into())
                }
                "meet" => {
                    self.meeting.wait().await;
                    Ok(Response::NIL)
                }
                "wait" => {
                    let _witness = Witness;
                    std::future::pending().await
                }
                _ => {
                    yield_now().await;
                    panic!("out of luck")
                }
            }
        }

        async fn close(&self) {
            say("closed");
        }
    }

    fn load(workers: usize) -> Runtime {
        let start: fn(Option<&[u8]>) -> Result<Service, Error> = match workers {
            1 => |_| Ok(Service::tokio(1, async { Ok(Futures { meeting: Barrier::new(50) }) })),
            _ => |_| Ok(Service::tokio(2, async { Ok(Futures { meeting: Barrier::new(50) }) })),
        };
        Runtime::load(start, None).unwrap()
    }

    #[test]
    fn answers_come_at_once_later_or_not_at_all() {
        let _alone = ONE_AT_A_TIME.lock();
        for workers in [1, 2] {
            let seen = watch();
            let runtime = load(workers);
            for method in ["echo", "later"] {
                assert_eq!(runtime.call(method, Some(b"a")), Ok(Some(b"a".to_vec())));
                assert_eq!(runtime.call(method, None), Ok(None));
            }
            let panicked = Err(failed(1, "panicked: out of luck"));
            assert_eq!(runtime.call("panic", None), panicked);
            drop(runtime);
            assert_eq!(seen.try_iter().collect::<Vec<_>>(), ["closed"]);
        }
    }

    #[test]
    fn many_wait_at_once() {
        let _alone = ONE_AT_A_TIME.lock();
        for workers in [1, 2] {
            let _seen = watch();
            let runtime = load(workers);
            let done = AtomicUsize::new(0);
            thread::scope(|scope| {
                for _ in 0..50 {
                    scope.spawn(|| {
                        runtime.call("meet", None).unwrap();
                        done.fetch_add(1, Ordering::Relaxed);
                    });
                }
            });
            assert_eq!(done.into_inner(), 50);
        }
    }

    #[test]
    fn abandoned_future_is_dropped() {
        let _alone = ONE_AT_A_TIME.lock();
        for workers in [1, 2] {
            let seen = watch();
            let runtime = load(workers).timeout(SHORT);
            assert_eq!(runtime.call("wait", None), Err(Failure::Timeout));
            assert_eq!(seen.recv_timeout(LONG), Ok("future dropped"));
        }
    }
}
