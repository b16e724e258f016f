//! What a handler answers with.

use std::borrow::Cow;

/// Bytes, borrowed or owned, or nil: made by `into()`, from strings, bytes and
/// `Option`s of them, and from `()`, which is nil. An empty string is no nil.
///
/// What is borrowed may belong to the handler, or to the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response<'a>(Option<Cow<'a, [u8]>>);

impl Response<'_> {
    /// Lua gets nil.
    pub const NIL: Response<'static> = Response(None);

    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        self.0.as_deref()
    }
}

impl<'a> From<Cow<'a, [u8]>> for Response<'a> {
    fn from(bytes: Cow<'a, [u8]>) -> Self {
        Self(Some(bytes))
    }
}

impl<'a> From<&'a [u8]> for Response<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(Some(Cow::Borrowed(bytes)))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Response<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        bytes.as_slice().into()
    }
}

impl<'a> From<&'a str> for Response<'a> {
    fn from(text: &'a str) -> Self {
        text.as_bytes().into()
    }
}

impl From<Vec<u8>> for Response<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Some(Cow::Owned(bytes)))
    }
}

impl From<String> for Response<'_> {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<()> for Response<'_> {
    fn from((): ()) -> Self {
        Self::NIL
    }
}

impl<'a, T: Into<Response<'a>>> From<Option<T>> for Response<'a> {
    fn from(response: Option<T>) -> Self {
        response.map_or(Self::NIL, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nil_and_empty_are_different() {
        assert_eq!(Response::from(None::<&str>).bytes(), None);
        assert_eq!(Response::from(()).bytes(), None);
        assert_eq!(Response::from("").bytes(), Some(&b""[..]));
        assert_eq!(Response::from(Some(vec![])).bytes(), Some(&b""[..]));
    }
}
