//! What a user implements.

use crate::call::Call;
use crate::error::Error;
use crate::response::Response;

/// Answers calls on the threads of [`Service::threads`](crate::Service::threads),
/// as many at once as there are threads.
pub trait Handler: Send + Sync + 'static {
    /// Answers one call; may block, which occupies its thread.
    ///
    /// The response may borrow from the handler and from the call. An `impl`
    /// that borrows from the handler at most can leave the lifetimes out:
    /// `fn handle(&self, call: &Call) -> Result<Response<'_>, Error>`.
    ///
    /// # Errors
    ///
    /// What the caller shall get as its error.
    fn handle<'a>(&'a self, call: &'a Call) -> Result<Response<'a>, Error>;

    /// The runtime is unloaded: every call was answered, and the handler is
    /// dropped next. Threads that it has started must be ended here, or in
    /// `drop`, for the library to be unmapped. May block.
    fn close(&self) {}
}

/// Answers calls on the tokio runtime of
/// [`Service::tokio`](crate::Service::tokio), any number at once.
#[cfg(feature = "tokio")]
pub trait AsyncHandler: Send + Sync + 'static {
    /// Answers one call; to be written as
    /// `async fn handle(&self, call: &Call) -> Result<Response<'_>, Error>`.
    ///
    /// When the caller is gone the future is dropped where it waits.
    ///
    /// # Errors
    ///
    /// What the caller shall get as its error.
    fn handle<'a>(
        &'a self,
        call: &'a Call,
    ) -> impl Future<Output = Result<Response<'a>, Error>> + Send + 'a;

    /// The runtime is unloaded: every call was answered, and the handler is
    /// dropped next, then what it has spawned.
    fn close(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}
