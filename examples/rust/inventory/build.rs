//! Makes the messages, the client and the server from the .proto file, with a
//! compiler that is a crate: protoc is not needed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=inventory.proto");
    let files = protox::compile(["inventory.proto"], ["."])?;
    tonic_prost_build::configure().build_transport(false).compile_fds(files)?;
    Ok(())
}
