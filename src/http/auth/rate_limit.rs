//! Tells a service of the quotas that it comes near to (draft-ietf-httpapi-ratelimit-headers): `RateLimit` has what is left
//! and `RateLimit-Policy` how much there is.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::model::quota::{Quota, QuotaUse};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Names those of these quotas that are nearly used up.
pub(super) fn tell(usage: &[QuotaUse], headers: &mut HeaderMap) {
    let near: Vec<&QuotaUse> = usage.iter().filter(|usage| usage.is_near()).collect();
    if near.is_empty() {
        return;
    }
    for (name, item) in [
        (RATE_LIMIT, left as fn(&QuotaUse) -> String),
        (POLICY, policy),
    ] {
        let items: Vec<String> = near.iter().map(|usage| item(usage)).collect();
        // Names and numbers are fit for a header.
        let value = HeaderValue::try_from(items.join(", "));
        headers.extend(value.ok().map(|value| (name, value)));
    }
}

fn left(usage: &QuotaUse) -> String {
    let left = usage.limit.saturating_sub(usage.used);
    let again = match usage.quota {
        Quota::OpensPerSecond => ";t=1",
        Quota::RequestsInFlight
        | Quota::LiveSessions
        | Quota::IdempotencyBytes
        | Quota::Followers => "",
    };
    format!("\"{}\";r={left}{again}", usage.quota.as_str())
}

fn policy(usage: &QuotaUse) -> String {
    let unit = match usage.quota {
        Quota::OpensPerSecond => "w=1",
        Quota::LiveSessions => "qu=\"sessions\"",
        Quota::IdempotencyBytes => "qu=\"content-bytes\";w=86400",
        Quota::RequestsInFlight | Quota::Followers => "qu=\"concurrent-requests\"",
    };
    format!("\"{}\";q={};{unit}", usage.quota.as_str(), usage.limit)
}
