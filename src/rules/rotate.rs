//! A new token in the place of another.

use std::time::Duration;

use super::entry::{Ending, Lookup, SessionEntry};
use super::plan::{Decision, Plan, Write};
use super::refusal::Refusal;
use super::terms::Terms;
use crate::model::event::Change;
use crate::model::id::SessionId;
use crate::model::record::SessionRecord;
use crate::model::request::Access;
use crate::model::rotation::{RotationOutcome, Successor};
use crate::model::session::{EndReason, Ended, Session};
use crate::model::session_token::{SealedToken, TokenStatus};
use crate::model::token::CredentialHash;

/// A token that is to be rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRotation {
    /// Where the token leads.
    pub session_id: SessionId,
    /// Its SHA-256.
    pub presented: CredentialHash,
    /// What takes its place, if it is the present one.
    pub successor: Successor,
    /// How long it stays good then.
    pub grace: Duration,
    /// Who asks.
    pub access: Access,
}

/// The token has a successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotated {
    /// The one of this call.
    Now(Box<Session>),
    /// One that a call before it brought.
    Before(Box<Session>, SealedToken),
}

/// Puts the successor in the place of the token, tells the one that it has, or ends the session whose rotated token is
/// used again.
#[must_use]
pub fn rotate(
    entry: SessionEntry,
    rotation: TokenRotation,
    terms: &Terms,
) -> Decision<Result<Rotated, Refusal>> {
    Decision::make(|plan| {
        let found = plan.settle(entry, terms).settled(terms.now);
        match found.within(&rotation.access.scope) {
            Lookup::Live(record) => exchange(plan, *record, rotation, terms),
            Lookup::Ended(tombstone)
                if tombstone.token_status(&rotation.presented, terms.now) != TokenStatus::Never =>
            {
                Err(Refusal::SessionEnded(tombstone))
            }
            Lookup::Ended(_) | Lookup::Unknown => Err(Refusal::TokenUnknown),
        }
    })
}

fn exchange(
    plan: &mut Plan,
    mut record: SessionRecord,
    rotation: TokenRotation,
    terms: &Terms,
) -> Result<Rotated, Refusal> {
    let by = rotation.access.service_id;
    let exchange = record.rotate(
        &rotation.presented,
        rotation.successor,
        rotation.grace,
        terms.now,
    );
    match exchange {
        RotationOutcome::Done => {
            plan.tell(&record.session, terms.now, Change::SessionRotated { by });
            plan.writes.push(Write::Save(Box::new(record.clone())));
            Ok(Rotated::Now(Box::new(terms.shown(record))))
        }
        RotationOutcome::Again => Ok(Rotated::Now(Box::new(terms.shown(record)))),
        RotationOutcome::Before(sealed) => {
            Ok(Rotated::Before(Box::new(terms.shown(record)), sealed))
        }
        RotationOutcome::Reused => {
            let ended = Ended::by_service(EndReason::TokenReuse, terms.now, by);
            let ending = Ending::of(&record, ended, terms);
            let tombstone = ending.tombstone.value.clone();
            plan.end(ending);
            Err(Refusal::SessionEnded(Box::new(tombstone)))
        }
        RotationOutcome::Unknown => Err(Refusal::TokenUnknown),
    }
}
