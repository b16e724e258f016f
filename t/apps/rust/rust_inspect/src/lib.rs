//! Tells what a call has, logs, and notices when its caller is gone.
//!
//! The configuration is that of rt:cfg(), and any; one that begins with "tokio"
//! has calls answered by tokio, else one thread does.

use std::process::Command;
use std::time::{Duration, Instant};
use std::{str, thread};

use log::LevelFilter;
use resty_ffi::{AsyncHandler, Call, Error, Handler, Level, Response, Service, write_log};

const PAUSE: Duration = Duration::from_millis(1);

struct Inspect {
    cfg: Option<Vec<u8>>,
}

impl Inspect {
    fn tell<'a>(&'a self, call: &'a Call) -> Result<Response<'a>, Error> {
        Ok(match call.method() {
            "cfg" => self.cfg.as_deref().into(),
            "request_id" => call.request_id().map(String::from).into(),
            "traceparent" => call.traceparent().map(String::from).into(),
            "time_left" => call.time_left().as_millis().to_string().into(),
            "deadline" => (call.deadline() - Instant::now()).as_millis().to_string().into(),
            "log" => log(text(call)?),
            "log_in_thread" => log_in_thread(text(call)?),
            "child" => child(text(call)?)?,
            method => method.to_owned().into(),
        })
    }
}

fn log(text: &str) -> Response<'_> {
    write_log(Level::Notice, &format!("written: {text}"));
    log::warn!("by log: {text}");
    log::debug!("too detailed: {text}");
    let _span = tracing::info_span!("span", of = 1).entered();
    tracing::error!(answer = 42, "by tracing: {text}");
    tracing::debug!("too detailed: {text}");
    Response::NIL
}

fn log_in_thread(text: &str) -> Response<'_> {
    thread::scope(|scope| {
        scope.spawn(|| log::warn!("in a thread: {text}"));
    });
    Response::NIL
}

fn child(script: &str) -> Result<Response<'_>, Error> {
    let status = Command::new("sh").args(["-c", script]).status()?;
    Ok(status.to_string().into())
}

fn text(call: &Call) -> Result<&str, Error> {
    Ok(str::from_utf8(call.request().unwrap_or_default())?)
}

impl Handler for Inspect {
    fn handle<'a>(&'a self, call: &'a Call) -> Result<Response<'a>, Error> {
        if call.method() != "watch" {
            return self.tell(call);
        }
        gate::wait_blocking(text(call)?)?;
        while !call.is_abandoned() {
            thread::sleep(PAUSE);
        }
        gate::wait_blocking("abandoned")?;
        Ok(Response::NIL)
    }
}

/// Says so at the gate when it is dropped.
struct Witness;

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = gate::wait_blocking("dropped");
    }
}

impl AsyncHandler for Inspect {
    async fn handle<'a>(&'a self, call: &'a Call) -> Result<Response<'a>, Error> {
        match call.method() {
            "watch" => {
                let _witness = Witness;
                gate::wait(text(call)?).await?;
                Ok("let go".into())
            }
            "sleep" => {
                tokio::time::sleep(Duration::from_millis(text(call)?.parse()?)).await;
                log::warn!("slept");
                Ok("slept".into())
            }
            _ => self.tell(call),
        }
    }

    async fn close(&self) {
        log::warn!("closed");
    }
}

fn start(cfg: Option<&[u8]>) -> Result<Service, Error> {
    resty_ffi::logger::init(LevelFilter::Info);
    resty_ffi::tracing::init(tracing_subscriber::filter::LevelFilter::INFO);
    let inspect = Inspect { cfg: cfg.map(<[u8]>::to_vec) };
    match cfg {
        Some(b"tokio") => Ok(Service::tokio(1, async { Ok(inspect) })),
        Some(b"tokio with threads") => Ok(Service::tokio(2, async { Ok(inspect) })),
        _ => Ok(Service::threads(1, inspect)),
    }
}

resty_ffi::export!(start);
