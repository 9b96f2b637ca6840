//! How much a service may take that has no limits of its own.

use super::error::ConfigError;
use super::source::Source;
use super::value;
use super::variables as var;
use crate::gateway::quotas::QuotaDefaults;

pub(super) fn quotas(source: &Source) -> Result<QuotaDefaults, ConfigError> {
    let bytes = source.get(&var::SERVICE_MAX_IDEMPOTENCY_BYTES, value::bytes)?;
    let limit = |variable| source.get(variable, value::quota);
    Ok(QuotaDefaults {
        requests_in_flight: limit(&var::SERVICE_MAX_REQUESTS_IN_FLIGHT)?,
        opens_per_second: limit(&var::SERVICE_MAX_OPENS_PER_SECOND)?,
        live_sessions: limit(&var::SERVICE_MAX_LIVE_SESSIONS)?,
        idempotency_bytes: bytes,
        followers: limit(&var::SERVICE_MAX_FOLLOWERS)?,
    })
}
