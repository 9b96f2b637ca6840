//! The name of one request, in its answer and in the log.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries it, both ways.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ones are not taken over: they go into every log line.
const MAX_LENGTH: usize = 128;

/// The caller's own id if it sent a sane one, else a fresh UUID.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let sent = headers.get(HEADER);
        match sent.filter(|value| is_sane(value.as_bytes())) {
            Some(value) => Self(value.clone()),
            None => Self::fresh(),
        }
    }

    /// Unique, and no secret: a number that nobody can guess the next of, without asking the system each time.
    fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let [high, low] = KEYS.each_ref().map(|key| key.hash_one(number));
        let bytes = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
        let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let text: &str = id.hyphenated().encode_lower(&mut text);
        Self(HeaderValue::from_str(text).unwrap_or_else(|_never| HeaderValue::from_static("")))
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(super) fn header_value(&self) -> HeaderValue {
        self.0.clone()
    }
}

fn is_sane(text: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._:/+=@-".contains(byte);
    (1..=MAX_LENGTH).contains(&text.len()) && text.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

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
