//! Responds with the crate's version: tells copies apart.
//! rt:wait(name) does so when the test lets it go.
//!
//! The configuration names the flavour, "threads" or "tokio", and may say more.

use std::str;

use resty_ffi::{AsyncHandler, Call, Error, Handler, Response, Service};

const VERSION: &str = env!("CARGO_PKG_VERSION_MAJOR");

struct Version;

impl Handler for Version {
    fn handle(&self, call: &Call) -> Result<Response<'_>, Error> {
        if call.method() == "wait" {
            gate::wait_blocking(str::from_utf8(call.request().unwrap_or_default())?)?;
        }
        Ok(VERSION.into())
    }
}

impl AsyncHandler for Version {
    async fn handle(&self, call: &Call) -> Result<Response<'_>, Error> {
        if call.method() == "wait" {
            gate::wait(str::from_utf8(call.request().unwrap_or_default())?).await?;
        }
        Ok(VERSION.into())
    }
}

fn start(cfg: Option<&[u8]>) -> Result<Service, Error> {
    if cfg.is_some_and(|cfg| cfg.starts_with(b"tokio")) {
        return Ok(Service::tokio(2, async { Ok(Version) }));
    }
    Ok(Service::threads(2, Version))
}

resty_ffi::export!(start);
