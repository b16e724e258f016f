//! The error that a handler answers with.

use std::fmt::{self, Display};

/// The rc of an error that has none of its own.
const FAILED: i32 = 1;

/// Lua gets `false, rc, message`; a failed start, `nil, message`.
///
/// `?` makes one of any `std::error::Error`, with rc 1 and the messages of it
/// and of its sources. That is why this is none itself. Nothing is logged: it is
/// an answer like any other.
#[derive(Debug)]
pub struct Error {
    rc: i32,
    message: Option<String>,
}

impl Error {
    /// # Panics
    ///
    /// When `rc` is 0, which means success.
    pub fn new(rc: i32, message: impl Display) -> Self {
        let mut error = Self::from_rc(rc);
        error.message = Some(message.to_string());
        error
    }

    /// An error whose message is nil.
    ///
    /// # Panics
    ///
    /// When `rc` is 0, which means success.
    pub fn from_rc(rc: i32) -> Self {
        assert!(rc != 0, "an error's rc must be a number other than 0");
        Self { rc, message: None }
    }

    /// An error with rc 1.
    pub fn msg(message: impl Display) -> Self {
        Self::new(FAILED, message)
    }

    /// The number; never 0.
    pub fn rc(&self) -> i32 {
        self.rc
    }

    /// The message, if it has one.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => f.write_str(message),
            None => write!(f, "error {}", self.rc),
        }
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self::msg(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("no number")
        }
    }

    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn sources_are_told() {
        let error = Error::from(Outer("x".parse::<i32>().unwrap_err()));
        assert_eq!(error.rc(), 1);
        assert_eq!(error.message(), Some("no number: invalid digit found in string"));
    }

    #[test]
    #[should_panic(expected = "other than 0")]
    fn success_is_no_error() {
        let _ = Error::from_rc(0);
    }
}
