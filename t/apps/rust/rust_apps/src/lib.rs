//! The apps of the contract suite (t/harness/language.py), by their names as the
//! configuration.

use std::process::Command;
use std::str;

use resty_ffi::{Call, Error, Handler, Response, Service};

struct Echo;

impl Handler for Echo {
    fn handle<'a>(&'a self, call: &'a Call) -> Result<Response<'a>, Error> {
        Ok(call.request().into())
    }
}

struct Fail;

impl Handler for Fail {
    fn handle(&self, call: &Call) -> Result<Response<'_>, Error> {
        Err(Error::msg(text(call)?))
    }
}

struct Big;

impl Handler for Big {
    fn handle(&self, call: &Call) -> Result<Response<'_>, Error> {
        let size: usize = text(call)?.parse()?;
        Ok((0..size).map(|offset| offset as u8).collect::<Vec<_>>().into())
    }
}

struct Gate;

impl Handler for Gate {
    fn handle(&self, call: &Call) -> Result<Response<'_>, Error> {
        Ok(gate::wait_blocking(text(call)?)?.into())
    }
}

/// Runs its request in a shell and responds with the exit status it saw.
struct Children;

impl Handler for Children {
    fn handle(&self, call: &Call) -> Result<Response<'_>, Error> {
        let status = Command::new("sh").arg("-c").arg(text(call)?).status()?;
        let status = status.code().ok_or_else(|| Error::msg("it was killed"))?;
        Ok(status.to_string().into())
    }
}

struct SlowStart;

impl Handler for SlowStart {
    fn handle(&self, _: &Call) -> Result<Response<'_>, Error> {
        Ok("ready".into())
    }
}

impl SlowStart {
    fn new() -> Result<Self, Error> {
        match gate::wait_blocking("slow_start")? {
            why if why.is_empty() => Ok(Self),
            why => Err(Error::msg(why)),
        }
    }
}

fn text(call: &Call) -> Result<&str, Error> {
    Ok(str::from_utf8(call.request().unwrap_or_default())?)
}

fn start(cfg: Option<&[u8]>) -> Result<Service, Error> {
    match cfg {
        Some(b"echo") => Ok(Service::threads(1, Echo)),
        Some(b"fail") => Ok(Service::threads(1, Fail)),
        Some(b"big") => Ok(Service::threads(1, Big)),
        Some(b"gate") => Ok(Service::threads(4, Gate)),
        Some(b"children") => Ok(Service::threads(4, Children)),
        Some(b"slow_start") => Ok(Service::threads(1, SlowStart::new()?)),
        _ => Err(Error::msg("the configuration names no app")),
    }
}

resty_ffi::export!(start);
