//! Handlers that panic, fail and hang, wherever they can.
//!
//! The configuration is words: "tokio" or "threads", and where it goes wrong
//! outside of calls: "start", "factory", "refuse", "close", "drop";
//! "none" and "many" are numbers of threads.

use std::panic::panic_any;
use std::{fs, str, thread};

use resty_ffi::{AsyncHandler, Call, Error, Handler, Response, Service};
use tokio::task::{spawn_blocking, yield_now};

/// Panics when it is dropped.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("{}", self.0);
        }
    }
}

struct Misuse {
    words: String,
    _bomb: Option<Bomb>,
}

impl Misuse {
    fn new(words: &str) -> Self {
        let bomb = words.contains("drop").then(|| Bomb("in the drop"));
        Self { words: words.to_owned(), _bomb: bomb }
    }

    fn close(&self) {
        assert!(!self.words.contains("close"), "in the close");
        let _ = gate::wait_blocking("closed");
    }
}

fn misbehave(call: &Call) -> Result<Response<'static>, Error> {
    let text = str::from_utf8(call.request().unwrap_or_default())?;
    match call.method() {
        "panic" => panic!("out of luck"),
        "panic_with_a_number" => panic_any(5),
        "panic_with_a_bomb" => panic_any(Bomb("in the payload")),
        "fail" => Err(Error::new(text.parse()?, "out of luck")),
        "fail_with_rc_alone" => Err(Error::from_rc(text.parse()?)),
        "open" => Ok(fs::read(text)?.into()),
        _ => Ok("fine".into()),
    }
}

impl Handler for Misuse {
    fn handle(&self, call: &Call) -> Result<Response<'_>, Error> {
        misbehave(call)
    }

    fn close(&self) {
        self.close();
    }
}

impl AsyncHandler for Misuse {
    async fn handle(&self, call: &Call) -> Result<Response<'_>, Error> {
        let text = str::from_utf8(call.request().unwrap_or_default())?.to_owned();
        match call.method() {
            "panic_later" => {
                yield_now().await;
                panic!("out of luck");
            }
            "panic_in_drop" => {
                let _bomb = Bomb("in the future's drop");
                let () = std::future::pending().await;
            }
            "panic_in_drop_at_once" => {
                let _bomb = Bomb("at once");
            }
            // Goes on when the call was answered.
            "leave_blocked" => drop(spawn_blocking(move || gate::wait_blocking(&text))),
            "leave_pending" => drop(tokio::spawn(std::future::pending::<()>())),
            _ => return misbehave(call),
        }
        Ok("fine".into())
    }

    async fn close(&self) {
        self.close();
    }
}

fn start(cfg: Option<&[u8]>) -> Result<Service, Error> {
    let words = str::from_utf8(cfg.unwrap_or_default())?.to_owned();
    let count = match words.as_str() {
        words if words.contains("none") => 0,
        words if words.contains("many") => 64,
        _ => 2,
    };
    assert!(!words.contains("start"), "in the start");
    if words.contains("tokio") {
        return Ok(Service::tokio(count, async move {
            yield_now().await;
            assert!(!words.contains("factory"), "in the factory");
            if words.contains("refuse") {
                Err(Error::msg("refused"))
            } else {
                Ok(Misuse::new(&words))
            }
        }));
    }
    if words.contains("refuse") {
        return Err(Error::msg("refused"));
    }
    Ok(Service::threads(count, Misuse::new(&words)))
}

resty_ffi::export!(start);
