//! How many services were refused, and how many tokens nobody knew.

use std::sync::Arc;

use async_trait::async_trait;

use crate::gateway::Authenticator;
use crate::telemetry::metrics::{Family, Kind, MetricSource, Page};

const REFUSED: Family = Family {
    name: "sgw_service_refusals_total",
    kind: Kind::Counter,
    help: "Calls of services that this node refused, also at /auth/*: with wrong credentials, with wrong credentials from an address that was told to wait, and without the permission.",
};

const UNKNOWN_TOKENS: Family = Family {
    name: "sgw_unknown_tokens_total",
    kind: Kind::Counter,
    help: "Tokens that this node was asked about and that are no session's: old cookies; if there are very many, guesses.",
};

#[async_trait]
impl MetricSource for Arc<Authenticator> {
    async fn write(&self, page: &mut Page) {
        for (reason, total) in self.refusals.totals() {
            page.sample(&REFUSED, &[("reason", reason)], total);
        }
        page.sample(&UNKNOWN_TOKENS, &[], self.refusals.unknown_tokens());
    }
}
