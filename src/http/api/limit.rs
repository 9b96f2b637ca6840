//! Limits of sessions, as requests name them.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::error::{ApiError, FieldError};
use crate::http::extract::word;
use crate::model::limit::{LimitPer, Overflow, SessionLimit};

/// How many live sessions a login may have; sessions of all services count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitRequest {
    /// The most there may be, the new one included: 1 to 1,000; 0, for any number, only as the limit of a service.
    #[schema(minimum = 0, maximum = 1000, example = 3)]
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

impl LimitRequest {
    /// One create ends at most so many others.
    pub(crate) const MAX: usize = 1_000;

    pub(super) fn parse(self, pointer: &str, least: usize) -> Result<SessionLimit, ApiError> {
        if !(least..=Self::MAX).contains(&self.max) {
            return Err(ApiError::InvalidBody(vec![FieldError {
                pointer: format!("{pointer}/max"),
                detail: format!("must be {least} to {}", Self::MAX),
            }]));
        }
        Ok(SessionLimit {
            max: self.max,
            per: self.per,
            overflow: self.overflow,
        })
    }
}
