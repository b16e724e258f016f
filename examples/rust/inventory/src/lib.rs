//! A gRPC client: nginx asks an inventory, through tonic.

pub mod proto {
    tonic::include_proto!("inventory");
}

use std::str;

use proto::Item;
use proto::inventory_client::InventoryClient;
use resty_ffi::{AsyncHandler, Call, Error, Response, Service};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

struct Inventory {
    client: InventoryClient<Channel>,
}

impl AsyncHandler for Inventory {
    /// `rt:stock("apples")` is their number; gRPC's own errors have gRPC's codes.
    async fn handle(&self, call: &Call) -> Result<Response<'_>, Error> {
        if call.method() != "stock" {
            return Err(Error::msg(format_args!("no method \"{}\"", call.method())));
        }
        let name = str::from_utf8(call.request().unwrap_or_default())?.to_owned();
        let mut request = Request::new(Item { name });
        request.set_timeout(call.time_left());
        // Clones share the connection.
        let count = self.client.clone().stock(request).await.map_err(error_of)?;
        Ok(count.into_inner().pieces.to_string().into())
    }
}

fn error_of(status: Status) -> Error {
    Error::new(status.code().into(), status.message())
}

/// The configuration is the server's address. It is connected to when it is
/// needed, again if it has to be.
fn start(cfg: Option<&[u8]>) -> Result<Service, Error> {
    let address = cfg.ok_or_else(|| Error::msg("the configuration must be an address"))?;
    let endpoint = Endpoint::from_shared(address.to_vec())?;
    Ok(Service::tokio(1, async move {
        let client = InventoryClient::new(endpoint.connect_lazy());
        Ok(Inventory { client })
    }))
}

resty_ffi::export!(start);

#[cfg(test)]
mod tests {
    use super::start;
    use resty_ffi::testing::{Failure, Runtime};

    #[test]
    fn server_that_is_not_there_is_unavailable() {
        let inventory = Runtime::load(start, Some(b"http://127.0.0.1:1")).unwrap();
        let failure = inventory.call("stock", Some(b"apples")).unwrap_err();
        assert!(matches!(failure, Failure::Failed { rc: 14, .. }), "{failure}");
    }

    #[test]
    fn address_that_is_none_is_an_error() {
        assert!(Runtime::load(start, Some(b"not an address")).is_err());
    }
}
