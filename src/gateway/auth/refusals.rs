//! Services that were refused: counted, told in the log, and slowed down. And tokens that nobody knows.

use std::net::IpAddr;

use super::throttle::Throttle;
use super::unknown_tokens::UnknownTokens;
use crate::gateway::GatewayError;
use crate::model::id::ServiceId;
use crate::model::permission::Grant;
use crate::store::ThrottleStore;
use crate::store::node::Handle;
use crate::telemetry::counters::Counter;
use crate::telemetry::log_limit::LogLimit;

/// What is told of refusals, and what slows them down.
#[derive(Debug)]
pub struct Refusals {
    throttle: Throttle,
    log: LogLimit<Kind>,
    counts: [Counter; Kind::ALL.len()],
    unknown_tokens: UnknownTokens,
}

/// Why a service was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Unauthenticated,
    RateLimited,
    PermissionDenied,
}

impl Kind {
    const ALL: [Self; 3] = [
        Self::Unauthenticated,
        Self::RateLimited,
        Self::PermissionDenied,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::RateLimited => "rate_limited",
            Self::PermissionDenied => "permission_denied",
        }
    }
}

impl Refusals {
    /// Of one node, which tells the others here whom it slows down.
    #[must_use]
    pub fn new(throttles: Handle<dyn ThrottleStore>) -> Self {
        Self {
            throttle: Throttle::new(throttles),
            log: LogLimit::default(),
            counts: Default::default(),
            unknown_tokens: UnknownTokens::default(),
        }
    }

    /// Notes that credentials are not good, and says how that is to be answered.
    pub(super) async fn refuse(
        &self,
        claimed: Option<&ServiceId>,
        address: Option<IpAddr>,
    ) -> GatewayError {
        let (kind, error) = match self.throttle.failed(address).await {
            Ok(None) => (Kind::Unauthenticated, GatewayError::Unauthenticated),
            Ok(Some(left)) => {
                let retry_after = left.as_secs() + 1;
                (Kind::RateLimited, GatewayError::RateLimited { retry_after })
            }
            Err(error) => return error.into(),
        };
        if self.note(kind) {
            let claimed = claimed.map(tracing::field::display);
            let address = address.map(tracing::field::display);
            tracing::info!(service.id = claimed, client.address = address, %error, "a service was refused");
        }
        error
    }

    /// Notes that a service may not do what it asked for.
    pub(in crate::gateway) fn deny(&self, service_id: &ServiceId, needed: Grant) -> GatewayError {
        let error = GatewayError::PermissionDenied(needed);
        if self.note(Kind::PermissionDenied) {
            tracing::info!(service.id = %service_id, %error, "a service was refused");
        }
        error
    }

    /// Notes that a token is no session's.
    pub(in crate::gateway) fn unknown_token(&self) {
        self.unknown_tokens.count();
    }

    /// How many tokens were no session's.
    pub(in crate::gateway) fn unknown_tokens(&self) -> u64 {
        self.unknown_tokens.total()
    }

    /// How many there were of each kind.
    pub(in crate::gateway) fn totals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let kinds = Kind::ALL.into_iter().zip(&self.counts);
        kinds.map(|(kind, count)| (kind.as_str(), count.total()))
    }

    /// Counts one, and tells whether a line may be written of it.
    fn note(&self, kind: Kind) -> bool {
        let mut kinds = Kind::ALL.into_iter().zip(&self.counts);
        if let Some((_, count)) = kinds.find(|(known, _)| *known == kind) {
            count.count();
        }
        self.log.allows(&kind)
    }
}
