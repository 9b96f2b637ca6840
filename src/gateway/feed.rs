//! The feed of events: page by page, or followed for as long as the caller may.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::auth::Reauthorization;
use super::quotas::Held;
use super::{Caller, Gateway, GatewayError};
use crate::model::event::{Event, EventPage, EventType, FeedStart};
use crate::model::page::{Cursor, PageLimit};
use crate::model::request::Consistency;
use crate::store::OpError;
use crate::store::node::follow::{Follower, FollowerPlace, Placed};
use crate::telemetry::log::with_causes;

/// Who follows the feed is told its position at least this often, as long as that moves.
pub const PLACE_INTERVAL: Duration = Duration::from_secs(15);

/// How long it may take at most until a service that may no longer read is cut off; it gets no event before.
const JUDGED: Duration = Duration::from_secs(1);

/// What a follower of the feed learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Something happened; this is the exact position after it.
    Event(Box<Event>, Cursor),
    /// The position has moved on past what was not asked for.
    Moved(Cursor),
}

/// The feed as one caller follows it.
#[derive(Debug)]
pub struct Subscription {
    follower: Follower,
    _held: Held,
    reauthorization: Reauthorization,
    /// When the caller was last given a position.
    told_at: Option<Instant>,
    is_failing: bool,
}

impl Gateway {
    /// Events after a position, of the given types (empty: of all).
    pub async fn events(
        &self,
        from: &FeedStart,
        types: &[EventType],
        limit: PageLimit,
        consistency: Consistency,
    ) -> Result<EventPage, GatewayError> {
        let page = self.stores.events.events(from, types, limit, consistency);
        let page = page.await?;
        Ok(EventPage {
            events: page.events,
            next: page.next.cursor(),
            caught_up: page.caught_up,
        })
    }

    /// Follows the feed from a position on.
    pub async fn follow(
        &self,
        caller: &Caller,
        from: &FeedStart,
        types: Vec<EventType>,
    ) -> Result<Subscription, GatewayError> {
        let now = self.stores.sessions.now();
        let quotas = &self.authenticator.quotas;
        let held = quotas.allowance(&caller.service, now).follow()?;
        let place = if caller.id().is_admin() {
            FollowerPlace::AnyOrKept
        } else {
            FollowerPlace::Any
        };
        Ok(Subscription {
            follower: self.followers.follow(from, types, place).await?,
            _held: held,
            reauthorization: Reauthorization::of(caller, &self.authenticator),
            told_at: None,
            is_failing: false,
        })
    }
}

impl Subscription {
    /// What comes next. `None` is the end: the caller may no longer read, or its position is no longer kept.
    pub async fn next(&mut self) -> Option<Vec<Told>> {
        loop {
            let step = match self.follower.next(JUDGED).await {
                Ok(step) => step,
                Err(OpError::Refused(refusal)) => {
                    tracing::debug!(%refusal, "a stream of events ends");
                    return None;
                }
                Err(OpError::Store(error)) => {
                    self.complain(&error.into());
                    Vec::new()
                }
            };
            if !self.may_go_on(step.is_empty()).await {
                return None;
            }
            if !step.is_empty() {
                self.told_at = Some(Instant::now());
                return Some(step.into_iter().map(Told::from).collect());
            }
            let is_due = self.told_at.is_none_or(|at| at.elapsed() >= PLACE_INTERVAL);
            if is_due && self.follower.has_moved() {
                self.told_at = Some(Instant::now());
                return Some(vec![Told::Moved(self.follower.position())]);
            }
        }
    }

    /// Whether the service may still read. While nobody knows it gets nothing.
    async fn may_go_on(&mut self, has_nothing: bool) -> bool {
        loop {
            match self.reauthorization.holds().await {
                Ok(holds) => {
                    self.is_failing &= has_nothing;
                    return holds;
                }
                Err(error) => self.complain(&error),
            }
            if has_nothing {
                return true;
            }
            sleep(JUDGED).await;
        }
    }

    /// Once, until something is told again.
    fn complain(&mut self, error: &GatewayError) {
        if !std::mem::replace(&mut self.is_failing, true) {
            let error = with_causes(error);
            tracing::warn!(error, "a stream of events is held up; trying on");
        }
    }
}

impl From<Placed> for Told {
    fn from(placed: Placed) -> Self {
        Self::Event(Box::new(placed.event), placed.position)
    }
}
