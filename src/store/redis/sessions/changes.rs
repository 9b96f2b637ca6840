//! Writes to a live session: changes, refreshes, heartbeats. A script makes each whole; only the merging of nested
//! objects is computed here, and made if nobody has changed the attribute meanwhile.

use std::time::Duration;

use super::super::call::{List, call, table};
use super::super::connections::Effect;
use super::super::fields::stats_text;
use super::super::keys::slot_of;
use super::super::record::SESSION;
use super::super::reply::Reply;
use super::Sessions;
use super::answers::{live, refusal};
use super::steps::{Step, Steps};
use crate::model::Timestamp;
use crate::model::attribute::{AttributeLimit, AttributeName, AttributeValue, Attributes};
use crate::model::id::{ServiceId, SessionId};
use crate::model::permission::{Opener, Scope};
use crate::model::record::{SessionChange, SessionRecord, Unchangeable};
use crate::model::request::{OperationId, Precondition, Target};
use crate::model::session::ConnectionStats;
use crate::rules::change::Changed;
use crate::rules::entry::Lookup;
use crate::rules::refusal::Refusal;
use crate::store::{OpError, StoreError};

/// How often a merge is computed again because somebody else changed the attribute.
const ATTEMPTS: usize = 1_000;

table! {
    /// What every write to a session starts with.
    struct WriteTarget<'a> {
        id: SessionId,
        used: Option<Timestamp>,
        scope: Option<String>,
        versions: Option<String>,
        operation_id: Option<OperationId>,
        by: &'a ServiceId,
    }
}

call! {
    struct ChangeSession<'a>: "change.lua", "", [SHARD, SESSION, TARGET] {
        target: WriteTarget<'a>,
        attributes: String,
        fields: String,
        steps: List<Step>,
    }
    SESSION, replicated: false, effect: self.target.effect();
    (self, reply) -> Result<Option<Written>, Refusal> {
        "done" | "again" => Ok(Some(written(self.target.id, reply)?)),
        "stale" => Ok(None),
        "missing" => Err(Unchangeable::AttributeMissing.into()),
        "not_a_number" => Err(Unchangeable::NotANumber.into()),
        "limit" => Err(Unchangeable::Limit(limit(reply)?).into()),
        word @ ("unknown" | "version" | "ended") => Err(refusal(self.target.id, word, reply)?),
    }
}

call! {
    struct Refresh<'a>: "refresh.lua", "", [SHARD, SESSION, TARGET] {
        target: WriteTarget<'a>,
        ttl: Option<Duration>,
    }
    SESSION, replicated: false, effect: self.target.effect();
    (self, reply) -> Result<Written, Refusal> {
        "done" | "again" => Ok(written(self.target.id, reply)?),
        word @ ("unknown" | "version" | "ended") => Err(refusal(self.target.id, word, reply)?),
    }
}

call! {
    struct Heartbeat<'a>: "heartbeat.lua", "", [SHARD, SESSION, TARGET] {
        target: WriteTarget<'a>,
        stats: Option<String>,
    }
    SESSION, replicated: false, effect: self.target.effect();
    (self, reply) -> Result<Written, Refusal> {
        "done" | "again" => Ok(written(self.target.id, reply)?),
        word @ ("unknown" | "version" | "ended") => Err(refusal(self.target.id, word, reply)?),
    }
}

struct Written {
    now: Timestamp,
    record: SessionRecord,
    inserted: bool,
    /// The attribute that an increment wrote when it was made first.
    made: Option<(AttributeName, AttributeValue)>,
}

impl WriteTarget<'_> {
    fn effect(&self) -> Effect {
        match self.operation_id {
            Some(_) => Effect::Repeatable,
            None => Effect::Once,
        }
    }
}

impl Sessions {
    pub(super) fn target<'a>(&self, target: &'a Target) -> WriteTarget<'a> {
        let list = |versions: &Vec<u64>| {
            let versions = versions.iter();
            versions.fold(",".to_owned(), |list, version| format!("{list}{version},"))
        };
        WriteTarget {
            id: target.session_id,
            used: self.activity.used(target.session_id),
            scope: scope(&target.access.scope),
            versions: match &target.precondition {
                Precondition::None => None,
                Precondition::Versions(versions) => Some(list(versions)),
            },
            operation_id: target.operation_id,
            by: &target.access.service_id,
        }
    }

    pub(super) async fn change(
        &self,
        target: Target,
        change: SessionChange,
    ) -> Result<Changed, OpError> {
        let merges = matches!(&change, SessionChange::MergeAttributes(patch)
            if patch.iter().any(|(_, value)| value.is_object()));
        for _attempt in 0..ATTEMPTS {
            let held = if merges {
                self.held(&target).await?
            } else {
                None
            };
            let steps = Steps::of(&change, held.as_ref());
            let change = ChangeSession {
                target: self.target(&target),
                attributes: steps.attributes(),
                fields: steps.fields(),
                steps: List(steps.all),
            };
            let slot = slot_of(target.session_id);
            if let Some(written) = self.client.call(slot, &change).await?? {
                return Ok(self.changed(written));
            }
        }
        Err(StoreError::Overloaded.into())
    }

    async fn held(&self, target: &Target) -> Result<Option<Attributes>, StoreError> {
        Ok(match self.look_up(target.session_id).await? {
            Lookup::Live(seen) => Some(seen.record.session.attributes),
            Lookup::Ended(_) | Lookup::Unknown => None,
        })
    }

    pub(super) async fn refresh(
        &self,
        target: Target,
        ttl: Option<Duration>,
    ) -> Result<Changed, OpError> {
        let refresh = Refresh {
            target: self.target(&target),
            ttl,
        };
        let slot = slot_of(target.session_id);
        Ok(self.changed(self.client.call(slot, &refresh).await??))
    }

    pub(super) async fn heartbeat(
        &self,
        target: Target,
        stats: Option<ConnectionStats>,
    ) -> Result<Changed, OpError> {
        let heartbeat = Heartbeat {
            target: self.target(&target),
            stats: stats.as_ref().map(stats_text),
        };
        let slot = slot_of(target.session_id);
        Ok(self.changed(self.client.call(slot, &heartbeat).await??))
    }

    fn changed(&self, written: Written) -> Changed {
        let mut record = written.record;
        self.activity.buffer.overlay(&mut record);
        let mut session = self.shown(record, written.now);
        if let Some((name, value)) = written.made {
            session.attributes.set(name, value);
        }
        Changed {
            session,
            inserted: written.inserted,
        }
    }
}

fn written(session_id: SessionId, reply: &mut Reply) -> Result<Written, StoreError> {
    let (now, record) = live(session_id, reply)?;
    let inserted = reply.number()? == 1;
    let name = AttributeName::parse(&reply.text()?).ok();
    let value = AttributeValue::parse(&reply.bytes()?).ok();
    Ok(Written {
        now,
        record,
        inserted,
        made: name.zip(value),
    })
}

fn limit(reply: &mut Reply) -> Result<AttributeLimit, StoreError> {
    Ok(match reply.text()?.as_str() {
        "count" => AttributeLimit::Count,
        "value" => AttributeLimit::Value,
        _ => AttributeLimit::Total,
    })
}

/// How scripts see a scope: nothing is everything.
pub(super) fn scope(scope: &Scope) -> Option<String> {
    match scope {
        Scope::All => None,
        Scope::OpenedBy(Opener {
            service_id,
            registered_at,
        }) => Some(format!("{} {service_id}", registered_at.millis())),
    }
}
