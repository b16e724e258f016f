//! Answers each request with itself.

use std::str;

use resty_ffi::{Call, Error, Handler, Response, Service};

struct Echo;

impl Handler for Echo {
    fn handle<'a>(&'a self, call: &'a Call) -> Result<Response<'a>, Error> {
        Ok(call.request().into())
    }
}

/// The configuration is the number of threads, 1 when there is none.
fn start(cfg: Option<&[u8]>) -> Result<Service, Error> {
    let threads = match cfg {
        Some(text) => str::from_utf8(text)?.parse()?,
        None => 1,
    };
    Ok(Service::threads(threads, Echo))
}

resty_ffi::export!(start);

#[cfg(test)]
mod tests {
    use super::start;
    use resty_ffi::testing::Runtime;

    #[test]
    fn request_comes_back() {
        let echo = Runtime::load(start, None).unwrap();
        assert_eq!(echo.call("echo", Some(b"hello")).unwrap().unwrap(), b"hello");
        assert_eq!(echo.call("echo", None).unwrap(), None);
    }

    #[test]
    fn number_that_is_none_is_an_error() {
        let why = Runtime::load(start, Some(b"many")).err().unwrap();
        assert!(why.to_string().contains("invalid digit"));
    }
}
