//! Writes to a live session: changes, refreshes, heartbeats. Each tells its one event, or none if it only lengthens the
//! life.

use std::time::Duration;

use super::operation::{FirstRun, OperationRecord};
use super::plan::{Decision, Plan, Write};
use super::refusal::Refusal;
use super::target::TargetFacts;
use super::terms::Terms;
use crate::model::attribute::{AttributeName, AttributeValue};
use crate::model::event::Change;
use crate::model::record::{Applied, SessionChange, SessionRecord, Unchangeable};
use crate::model::request::Target;
use crate::model::session::{ConnectionStats, Session};

/// A session was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The session after it; one that ended, as it was last, `closed`.
    pub session: Session,
    /// Whether it added an attribute that was not there.
    pub inserted: bool,
}

/// Makes one change: the version grows by exactly 1, or nothing happens.
#[must_use]
pub fn change(
    facts: TargetFacts,
    target: &Target,
    change: SessionChange,
    terms: &Terms,
) -> Decision<Result<Changed, Refusal>> {
    let counter = match &change {
        SessionChange::IncrementAttribute(name, _) => Some(name.clone()),
        SessionChange::MergeAttributes(_)
        | SessionChange::PutAttribute(..)
        | SessionChange::RemoveAttribute(_)
        | SessionChange::Update(_) => None,
    };
    write(facts, target, terms, |record| {
        let applied = record.apply(change, terms.now)?;
        let made = counter.and_then(|name| {
            let value = record.session.attributes.get(&name)?.clone();
            Some((name, value))
        });
        Ok(Done {
            inserted: applied.inserted,
            told: Some(applied),
            made,
        })
    })
}

/// Moves the idle expiry to `ttl` (or the idle timeout) from now. Only a shorter life is told.
#[must_use]
pub fn refresh(
    facts: TargetFacts,
    target: &Target,
    ttl: Option<Duration>,
    terms: &Terms,
) -> Decision<Result<Changed, Refusal>> {
    write(facts, target, terms, |record| {
        let before = record.session.expires_at;
        record.refresh(terms.now, ttl);
        let shorter = record.session.expires_at < before;
        Ok(Done::to_field("expires_at", shorter))
    })
}

/// Takes a sign of life. Only a new state is told.
#[must_use]
pub fn heartbeat(
    facts: TargetFacts,
    target: &Target,
    stats: Option<ConnectionStats>,
    terms: &Terms,
) -> Decision<Result<Changed, Refusal>> {
    write(facts, target, terms, |record| {
        let changed = record.heartbeat(terms.now, stats);
        Ok(Done::to_field("state", changed))
    })
}

struct Done {
    inserted: bool,
    /// None if nobody needs to know.
    told: Option<Applied>,
    made: Option<(AttributeName, AttributeValue)>,
}

impl Done {
    fn to_field(name: &str, told: bool) -> Self {
        let applied = || Applied {
            inserted: false,
            attributes: Vec::new(),
            fields: vec![name.to_owned()],
        };
        Self {
            inserted: false,
            told: told.then(applied),
            made: None,
        }
    }
}

fn write(
    facts: TargetFacts,
    target: &Target,
    terms: &Terms,
    work: impl FnOnce(&mut SessionRecord) -> Result<Done, Unchangeable>,
) -> Decision<Result<Changed, Refusal>> {
    Decision::make(|plan| {
        if let Some(first) = repeated(plan, facts.first_run, target, terms)? {
            return Ok(first);
        }
        let mut record = plan.reach(facts.session, target, terms)?;
        let done = work(&mut record)?;
        if let Some(applied) = done.told {
            let change = Change::SessionChanged {
                version: record.session.version,
                attributes: applied.attributes,
                fields: applied.fields,
                by: target.access.service_id.clone(),
            };
            plan.tell(&record.session, terms.now, change);
        }
        let session = terms.shown(record.clone());
        plan.writes.push(Write::Save(Box::new(record)));
        let operation = OperationRecord::Written {
            session_id: session.session_id,
            inserted: done.inserted,
            made: done.made,
        };
        plan.keep(target.operation_id, operation, terms);
        Ok(Changed {
            session,
            inserted: done.inserted,
        })
    })
}

/// The session as it is, if the operation was made before; with the value that an increment made then.
fn repeated(
    plan: &mut Plan,
    first_run: Option<FirstRun>,
    target: &Target,
    terms: &Terms,
) -> Result<Option<Changed>, Refusal> {
    let Some(first) = first_run.filter(|first| !first.operation.is_over(terms.now)) else {
        return Ok(None);
    };
    let OperationRecord::Written { inserted, made, .. } = first.operation.value else {
        return Ok(None);
    };
    let record = plan.live(first.session, &target.access.scope, terms)?;
    let mut session = terms.shown(record);
    if let Some((name, value)) = made {
        session.attributes.set(name, value);
    }
    Ok(Some(Changed { session, inserted }))
}
