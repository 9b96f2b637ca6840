//! The name of one request, in its answer and in the log.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use crate::draw::random_bytes;

/// The header that carries it, both ways.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ones are not taken over: they go into every log line.
const MAX_LENGTH: usize = 128;

/// The caller's own id if it sent a sane one, else a fresh UUID. Every request has it among its extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let sent = headers.get(HEADER).and_then(|value| value.to_str().ok());
        match sent.filter(|text| is_sane(text)) {
            Some(text) => Self(text.to_owned()),
            None => Self::fresh(),
        }
    }

    /// Without randomness the request still gets an answer, under the nil UUID.
    fn fresh() -> Self {
        let id = random_bytes::<16>().map_or(Uuid::nil(), |bytes| {
            uuid::Builder::from_random_bytes(*bytes).into_uuid()
        });
        Self(id.to_string())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn header_value(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

fn is_sane(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/+=@-".contains(&byte);
    (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(sent: &'static str) -> RequestId {
        let headers = HeaderMap::from_iter([(HEADER, HeaderValue::from_static(sent))]);
        RequestId::of(&headers)
    }

    #[test]
    fn a_sane_id_is_kept_and_any_other_replaced() {
        assert_eq!(id_for("a.B_9:/+=@-").as_str(), "a.B_9:/+=@-");
        for odd in ["", "with space", "quote\"", "semi;colon"] {
            assert!(Uuid::parse_str(id_for(odd).as_str()).is_ok(), "{odd}");
        }
        let long = HeaderValue::from_str(&"a".repeat(129)).unwrap();
        let made = RequestId::of(&HeaderMap::from_iter([(HEADER, long)]));
        assert_eq!(made.as_str().len(), 36);
    }

    #[test]
    fn made_ids_differ() {
        assert_ne!(
            RequestId::of(&HeaderMap::new()),
            RequestId::of(&HeaderMap::new())
        );
    }
}
