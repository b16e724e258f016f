//! The gate: where the test holds a handler; t/harness/gate.py is its keeper.

use std::io::{self, Read, Write};
use std::os::unix;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Says its name at the gate and waits for what the test answers there.
pub async fn wait(name: &str) -> io::Result<String> {
    let mut gate = UnixStream::connect("gate").await?;
    gate.write_all(format!("{name}\n").as_bytes()).await?;
    let mut answer = String::new();
    gate.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// The same, holding the thread.
pub fn wait_blocking(name: &str) -> io::Result<String> {
    let mut gate = unix::net::UnixStream::connect("gate")?;
    gate.write_all(format!("{name}\n").as_bytes())?;
    let mut answer = String::new();
    gate.read_to_string(&mut answer)?;
    Ok(answer)
}
