//! What is told of a session to who asks by its id or by a token of it.

use super::entry::{Lookup, SessionEntry};
use super::plan::{Decision, Write};
use super::terms::Terms;
use crate::model::permission::Scope;
use crate::model::record::SessionRecord;
use crate::model::session::Session;
use crate::model::token::CredentialHash;

/// Looks for a session by its id. Outside `scope` it is unknown.
#[must_use]
pub fn find(entry: SessionEntry, scope: &Scope, terms: &Terms) -> Lookup<Session> {
    let found = entry.told(terms).within(scope);
    found.map(|record| terms.shown(record))
}

/// Looks for the session behind a token, which must be its present one or the previous one within its grace.
#[must_use]
pub fn verify(entry: SessionEntry, hash: &CredentialHash, terms: &Terms) -> Lookup<SessionRecord> {
    behind(entry.told(terms), hash, terms)
}

/// The same, and the use that this is goes into the record.
#[must_use]
pub fn verify_and_touch(
    entry: SessionEntry,
    hash: &CredentialHash,
    terms: &Terms,
) -> Decision<Lookup<SessionRecord>> {
    Decision::make(|plan| {
        let mut found = behind(plan.settle(entry, terms).settled(terms.now), hash, terms);
        if let Lookup::Live(record) = &mut found {
            record.touch(terms.now);
            plan.writes.push(Write::Save(record.clone()));
        }
        found
    })
}

fn behind(
    found: Lookup<SessionRecord>,
    hash: &CredentialHash,
    terms: &Terms,
) -> Lookup<SessionRecord> {
    let token_status = match &found {
        Lookup::Live(record) => record.token_status(hash, terms.now),
        Lookup::Ended(tombstone) => tombstone.token_status(hash, terms.now),
        Lookup::Unknown => return found,
    };
    if token_status.is_good() {
        found
    } else {
        Lookup::Unknown
    }
}
