//! Limits of sessions, as requests name them.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::extract::word;
use crate::model::limit::{LimitPer, Overflow, SessionLimit};

/// How many live sessions a login may have. All sessions of the login count, but of what a service asks for without
/// `session.delete` only its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitRequest {
    /// The most there may be, the new one included: 1 to 200; 0, for any number, only as the limit of a service.
    #[schema(minimum = 0, maximum = 200, format = Int32, example = 3)]
    max: usize,
    /// What counts together; `login` if left out.
    #[serde(default, deserialize_with = "word")]
    #[schema(required = false)]
    per: LimitPer,
    /// What happens to one too many; `evict_oldest` if left out.
    #[serde(default, deserialize_with = "word")]
    #[schema(required = false)]
    overflow: Overflow,
}

impl From<LimitRequest> for SessionLimit {
    fn from(request: LimitRequest) -> Self {
        Self {
            max: request.max,
            per: request.per,
            overflow: request.overflow,
        }
    }
}
