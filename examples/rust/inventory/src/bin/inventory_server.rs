//! The inventory itself, for the test: listens on the port that is its argument.

use std::env;
use std::error::Error;
use std::time::Duration;

use inventory::proto::inventory_server::{Inventory, InventoryServer};
use inventory::proto::{Count, Item};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

struct Shelves;

#[tonic::async_trait]
impl Inventory for Shelves {
    async fn stock(&self, request: Request<Item>) -> Result<Response<Count>, Status> {
        match request.into_inner().name.as_str() {
            "apples" => Ok(Response::new(Count { pieces: 42 })),
            // Somebody has to count them first.
            "nails" => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Ok(Response::new(Count { pieces: 10000 }))
            }
            name => Err(Status::not_found(format!("no {name}"))),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = env::args().nth(1).ok_or("which port?")?;
    Server::builder()
        .add_service(InventoryServer::new(Shelves))
        .serve(format!("127.0.0.1:{port}").parse()?)
        .await?;
    Ok(())
}
