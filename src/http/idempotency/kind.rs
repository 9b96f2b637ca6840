//! What repeating a request with its key does, as the document of its operation tells.

use utoipa::openapi::path::Operation;

/// Where the document tells it; an operation that is silent passes the key over.
const EXTENSION: &str = "x-idempotency";

/// What repeating a request with its key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Idempotency {
    /// It is answered with the ids, secrets and counts of the first time, and with what they are about as it is now.
    Rebuilt,
    /// It is answered as the first time.
    Kept,
    /// The key is refused: the answer has no bound.
    Refused,
}

impl Idempotency {
    pub(in crate::http) fn of(operation: &Operation) -> Option<Self> {
        match operation.extensions.as_ref()?.get(EXTENSION)?.as_str()? {
            "rebuilt" => Some(Self::Rebuilt),
            "kept" => Some(Self::Kept),
            "refused" => Some(Self::Refused),
            _ => None,
        }
    }
}
