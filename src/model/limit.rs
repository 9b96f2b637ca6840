//! How many live sessions a login may have.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How many live sessions a login may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionLimit {
    /// The most there may be after a create, the new one included.
    #[schema(maximum = 200, format = Int32)]
    pub max: usize,
    /// What is counted.
    pub per: LimitPer,
    /// What happens to one too many.
    pub overflow: Overflow,
}

impl SessionLimit {
    /// The greatest limit: one create looks at no more sessions than this.
    pub const MAX: usize = 200;
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitPer {
    /// All sessions of the login.
    #[default]
    Login,
    /// Those on the same kind of device; sessions without one count together.
    Device,
}

/// What happens when a limit is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overflow {
    /// The sessions that were opened first end as `replaced`.
    #[default]
    EvictOldest,
    /// The sessions that were used least recently end as `replaced`.
    EvictLeastActive,
    /// The new session is refused.
    Refuse,
}
