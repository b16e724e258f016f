//! Handlers in Rust that Lua calls inside nginx, through `ngx.load_ffi`.
//!
//! ```
//! use std::str;
//!
//! use resty_ffi::{Call, Error, Handler, Response, Service};
//!
//! struct Greeter {
//!     greeting: String,
//! }
//!
//! impl Handler for Greeter {
//!     fn handle(&self, call: &Call) -> Result<Response<'_>, Error> {
//!         let name = str::from_utf8(call.request().unwrap_or(b"nobody"))?;
//!         Ok(format!("{}, {name}!", self.greeting).into())
//!     }
//! }
//!
//! fn start(cfg: Option<&[u8]>) -> Result<Service, Error> {
//!     let greeting = String::from_utf8(cfg.unwrap_or(b"Hello").to_vec())?;
//!     Ok(Service::threads(2, Greeter { greeting }))
//! }
//!
//! resty_ffi::export!(start);
//!
//! # use resty_ffi::testing::Runtime;
//! let greeter = Runtime::load(start, Some(b"Hi")).unwrap();
//! assert_eq!(greeter.call("greet", Some(b"Ada")).unwrap().unwrap(), b"Hi, Ada!");
//! ```
//!
//! Built as a `cdylib`, that is a library for `ngx.load_ffi("greeter", "Hi")`.
//! Each configuration is a runtime: [`export!`]'s function is called once for
//! each, and says with the [`Service`] it returns how calls are answered, by
//! threads or by tokio. The last lines, [`testing`], run it without nginx.
//!
//! A panic, wherever it happens, is the error of its call or load and a line in
//! error.log. When a runtime is unloaded its threads are joined, so that an
//! unpinned library is really unmapped.

mod call;
mod context;
#[doc(hidden)]
pub mod entry;
mod error;
mod handler;
mod keys;
#[cfg(feature = "log")]
pub mod logger;
mod panics;
mod queue;
mod response;
mod service;
pub mod testing;
mod threads;
#[cfg(feature = "tokio")]
mod tokio;
#[cfg(feature = "tracing")]
pub mod tracing;

pub use call::Call;
pub use context::{Level, write_log};
pub use error::Error;
#[cfg(feature = "tokio")]
pub use handler::AsyncHandler;
pub use handler::Handler;
pub use response::Response;
pub use service::Service;

/// Makes the crate, a `cdylib`, a library that nginx can load.
///
/// Takes the function that starts a runtime: `fn(Option<&[u8]>) ->
/// Result<Service, Error>`. It gets the configuration, `None` for nil, and is
/// called on a thread of its own that ends soon after; it may block. Its error
/// is that of `ngx.load_ffi()`.
///
/// Once per crate.
#[macro_export]
macro_rules! export {
    ($start:expr) => {
        const _: () = {
            #[cfg(panic = "abort")]
            compile_error!(
                "with panic = \"abort\" a panic would end nginx's worker: \
                 remove that line from the profile in Cargo.toml"
            );

            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            unsafe extern "C" fn libffi_init(
                cfg: *mut ::core::ffi::c_char,
                tq: *mut ::core::ffi::c_void,
            ) -> ::core::ffi::c_int {
                // SAFETY: nginx keeps to the contract.
                unsafe { $crate::entry::init($start, cfg, tq) }
            }

            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            extern "C" fn libffi_fini(tq: *mut ::core::ffi::c_void) {
                $crate::entry::fini(tq);
            }
        };
    };
}
