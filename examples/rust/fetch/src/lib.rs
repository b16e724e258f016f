//! An HTTP/2 client: nginx gets what a server that speaks HTTP/2 has, over one
//! connection for all requests.

use std::str;

use http_body_util::{BodyExt, Empty};
use hyper::Uri;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use resty_ffi::{AsyncHandler, Call, Error, Response, Service};

struct Fetch {
    server: String,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl AsyncHandler for Fetch {
    /// `rt:get("/path")` is the body, or an error with the status as its number.
    async fn handle(&self, call: &Call) -> Result<Response<'_>, Error> {
        let path = str::from_utf8(call.request().unwrap_or(b"/"))?;
        let uri: Uri = format!("{}{path}", self.server).parse()?;
        let response = self.client.get(uri).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            return Err(Error::new(status.as_u16().into(), String::from_utf8_lossy(&body)));
        }
        Ok(Vec::from(body).into())
    }
}

/// The configuration is the server, "http://host:port".
fn start(cfg: Option<&[u8]>) -> Result<Service, Error> {
    let server = str::from_utf8(cfg.unwrap_or_default())?.trim_end_matches('/').to_owned();
    server.parse::<Uri>()?;
    Ok(Service::tokio(1, async {
        let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        Ok(Fetch { server, client })
    }))
}

resty_ffi::export!(start);

#[cfg(test)]
mod tests {
    use super::start;
    use resty_ffi::testing::Runtime;

    #[test]
    fn server_that_is_not_there_is_an_error() {
        let fetch = Runtime::load(start, Some(b"http://127.0.0.1:1")).unwrap();
        let failure = fetch.call("get", Some(b"/")).unwrap_err();
        assert!(failure.to_string().contains("Connection refused"), "{failure}");
    }

    #[test]
    fn address_that_is_none_is_an_error() {
        assert!(Runtime::load(start, Some(b"no address")).is_err());
    }
}
