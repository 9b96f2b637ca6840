//! `Cache-Control` of a request: whether what the node knows will do, or the store must be asked.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use crate::model::request::Consistency;

/// Reads `no-cache` (RFC 9111, section 5.2.1.4). Other directives ask for nothing that the gateway could do.
#[must_use]
pub fn consistency_of(headers: &HeaderMap) -> Consistency {
    let values = headers.get_all(header::CACHE_CONTROL).iter();
    let mut directives = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    if directives.any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"no-cache")) {
        Consistency::Now
    } else {
        Consistency::Bounded
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Consistency {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(consistency_of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cache_asks_for_the_store() {
        for (values, wanted) in [
            (&["no-cache"][..], Consistency::Now),
            (&["max-age=0, No-Cache"], Consistency::Now),
            (&["max-age=0", "no-cache"], Consistency::Now),
            (&[], Consistency::Bounded),
            (&["max-age=0", "no-cachet", ""], Consistency::Bounded),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CACHE_CONTROL, value.parse().unwrap());
            }
            assert_eq!(consistency_of(&headers), wanted, "{values:?}");
        }
    }
}
