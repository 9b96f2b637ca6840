//! Endings of many, as far as they go in one call, and the cursors by which the next one goes on.

use serde::{Deserialize, Serialize};

use super::cursors::{Binding, Sealer};
use super::{Caller, FieldRule, Gateway, GatewayError};
use crate::entropy::Entropy;
use crate::model::Timestamp;
use crate::model::filter::SessionFilter;
use crate::model::id::{LoginId, SessionId};
use crate::model::page::SealedCursor;
use crate::model::session::{Device, EndDetail, EndReason};
use crate::rules::end::EndAll;
use crate::store::node::EndExtent;
use crate::store::{EndPosition, EndedMany};

/// The most sessions of an answer that is kept for repetitions, so that it stays within their bound.
const KEPT: usize = 50;

/// What came of a call that ends many.
#[derive(Debug)]
pub struct BulkEnded {
    /// How many sessions it ended.
    pub count: u64,
    /// The first of them.
    pub session_ids: Vec<SessionId>,
    /// What goes on with the rest; none if nothing is left.
    pub cursor: Option<SealedCursor>,
}

/// Which sessions of a login to end.
#[derive(Debug, Serialize)]
pub struct LoginEnding {
    /// The login.
    pub login_id: LoginId,
    /// A session that stays.
    pub except: Option<SessionId>,
    /// Only those on this kind of device.
    pub device: Option<Device>,
    /// Why.
    pub reason: EndReason,
}

/// Which sessions to end in bulk.
#[derive(Debug)]
pub struct BulkDeletion {
    /// Those that match.
    pub filter: SessionFilter,
    /// Why.
    pub reason: EndReason,
    /// Whether only to find them.
    pub dry_run: bool,
}

/// Where an ending goes on, as it stands in a cursor. The moments of the shards are near each other, and told by their
/// distances.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    moment: Timestamp,
    last: Option<SessionId>,
    shard: u8,
    shards: Vec<(u8, i64)>,
}

impl Gateway {
    /// Ends the sessions of a login, all but `except`, or those on one kind of device.
    pub async fn end_all(
        &self,
        caller: &Caller,
        asked: LoginEnding,
        cursor: Option<&SealedCursor>,
    ) -> Result<BulkEnded, GatewayError> {
        let (from, sealer) = self.go_on(caller, &("end all", &asked), cursor).await?;
        let which = EndAll {
            login_id: asked.login_id,
            except: asked.except,
            device: asked.device,
            reason: asked.reason,
            detail: None,
        };
        let extent = EndExtent::Named(EndedMany::NAMED);
        let (sessions, access) = (&self.stores.sessions, caller.access());
        let ended = sessions.end_all(which, &access, from, extent);
        sealed(ended.await?, &sealer)
    }

    /// Ends the sessions of a login, or those on one kind of device, as `kicked_out`.
    pub async fn kick_out(
        &self,
        caller: &Caller,
        login_id: LoginId,
        device: Option<Device>,
        detail: EndDetail,
        cursor: Option<&SealedCursor>,
    ) -> Result<BulkEnded, GatewayError> {
        let which = EndAll {
            login_id,
            except: None,
            device,
            reason: EndReason::KickedOut,
            detail: Some(detail),
        };
        let bound = ("kick out", &which.login_id, &which.device, &which.detail);
        let (from, sealer) = self.go_on(caller, &bound, cursor).await?;
        let (sessions, access) = (&self.stores.sessions, caller.access());
        let ended = sessions.end_all(which, &access, from, EndExtent::All);
        sealed(ended.await?, &sealer)
    }

    /// Ends every session that matches, or tells which these are.
    pub async fn delete_in_bulk(
        &self,
        caller: &Caller,
        entropy: &Entropy,
        asked: BulkDeletion,
        cursor: Option<&SealedCursor>,
    ) -> Result<BulkEnded, GatewayError> {
        let BulkDeletion {
            filter,
            reason,
            dry_run,
        } = asked;
        if filter == SessionFilter::default() {
            return Err(GatewayError::invalid("filter", FieldRule::Condition));
        }
        let bound = ("bulk delete", &filter, reason, dry_run);
        let (from, sealer) = self.go_on(caller, &bound, cursor).await?;
        let extent = EndExtent::Named(match entropy {
            Entropy::Fresh => EndedMany::NAMED,
            Entropy::Claimed(_) => KEPT,
        });
        let (sessions, access) = (&self.stores.sessions, caller.access());
        let ended = if dry_run {
            sessions.find_where(&filter, &access, from, extent).await?
        } else {
            let end = sessions.end_where(filter, reason, &access, from, extent);
            end.await?
        };
        sealed(ended, &sealer)
    }

    /// Where a cursor goes on, and what seals the next one: known before anything is done, so that it can be told whatever
    /// becomes of the store.
    async fn go_on(
        &self,
        caller: &Caller,
        bound: &impl Serialize,
        cursor: Option<&SealedCursor>,
    ) -> Result<(Option<EndPosition>, Sealer), GatewayError> {
        let binding = Binding::new("endings", caller, bound)?;
        let now = self.stores.sessions.now();
        let from = match cursor {
            Some(cursor) => {
                let place: Place = self.cursors.open(cursor, &binding, now).await?;
                Some(EndPosition::from(place))
            }
            None => None,
        };
        Ok((from, self.cursors.sealer(binding, now).await?))
    }
}

fn sealed(done: EndedMany, sealer: &Sealer) -> Result<BulkEnded, GatewayError> {
    let place = done.next.as_ref().map(Place::of);
    Ok(BulkEnded {
        count: done.count,
        session_ids: done.ended,
        cursor: place.map(|place| sealer.seal(&place)).transpose()?,
    })
}

impl Place {
    fn of(position: &EndPosition) -> Self {
        let moment = position.moment;
        let shards = position.shards.iter();
        let shards = shards.map(|(shard, at)| (*shard, at.millis() - moment.millis()));
        Self {
            moment,
            last: position.last,
            shard: position.shard,
            shards: shards.collect(),
        }
    }
}

impl From<Place> for EndPosition {
    fn from(place: Place) -> Self {
        let Place {
            moment,
            last,
            shard,
            shards,
        } = place;
        let at = |distance: i64| Timestamp::from_millis(moment.millis().saturating_add(distance));
        let shards = shards.into_iter();
        Self {
            moment,
            last,
            shard,
            shards: shards
                .map(|(shard, distance)| (shard, at(distance)))
                .collect(),
        }
    }
}
