//! Writes to a live session: changes, refreshes, heartbeats. A script makes each whole; only the merging of nested
//! objects is computed here, and made if nobody has changed the attribute meanwhile.

use std::time::Duration;

use super::super::args::Args;
use super::super::fields::stats_text;
use super::super::keys::slot_of;
use super::super::link::{Effect, Script};
use super::super::record::SESSION;
use super::super::reply::Reply;
use super::super::scripts;
use super::Sessions;
use super::plan::Plan;
use super::verify::{live, tombstone};
use crate::model::attribute::{AttributeLimit, AttributeName, AttributeValue, Attributes};
use crate::model::record::{SessionChange, Unchangeable};
use crate::model::session::ConnectionStats;
use crate::store::{Changed, Lookup, OpError, Precondition, Refusal, StoreError, Target};

/// How often a merge is computed again because somebody else changed the attribute.
const ATTEMPTS: usize = 1_000;

impl Sessions {
    /// What every write to a session starts with.
    pub(super) fn target_args(&self, target: &Target) -> Args {
        let versions = match &target.precondition {
            Precondition::None => String::new(),
            Precondition::Versions(versions) => versions
                .iter()
                .fold(",".to_owned(), |list, version| format!("{list}{version},")),
        };
        Args::new()
            .bytes(target.session_id.as_bytes())
            .maybe(self.activity.used(target.session_id))
            .maybe(scope(&target.access.scope))
            .text(&versions)
            .bytes(target.mark.as_ref().map_or(&[][..], |mark| &mark.0))
            .show(&target.access.service_id)
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
            let args = Plan::of(&change, held.as_ref()).into_args(self.target_args(&target));
            if let Some(changed) = self.write(&target, &scripts::CHANGE, args).await? {
                return Ok(changed);
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
        let args = self.target_args(&target);
        let args = args.maybe(ttl.map(|ttl| ttl.as_millis()));
        self.prolong(&target, &scripts::REFRESH, args).await
    }

    pub(super) async fn heartbeat(
        &self,
        target: Target,
        stats: Option<ConnectionStats>,
    ) -> Result<Changed, OpError> {
        let args = self.target_args(&target);
        let args = args.maybe(stats.as_ref().map(stats_text));
        self.prolong(&target, &scripts::HEARTBEAT, args).await
    }

    async fn prolong(
        &self,
        target: &Target,
        script: &Script,
        args: Args,
    ) -> Result<Changed, OpError> {
        let changed = self.write(target, script, args).await?;
        Ok(changed.ok_or(StoreError::Overloaded)?)
    }

    /// Runs a script that writes to a session; `None` if it must be prepared again.
    async fn write(
        &self,
        target: &Target,
        script: &Script,
        args: Args,
    ) -> Result<Option<Changed>, OpError> {
        let session_id = target.session_id;
        let effect = match target.mark {
            Some(_) => Effect::Repeatable,
            None => Effect::Once,
        };
        let mut reply = self
            .client
            .run(slot_of(session_id), script, args, effect)
            .await?;
        let word = reply.text()?;
        match word.as_str() {
            "done" | "again" => Ok(Some(self.changed(target, &mut reply, word == "again")?)),
            "stale" => Ok(None),
            "missing" => Err(Refusal::from(Unchangeable::AttributeMissing).into()),
            "not_a_number" => Err(Refusal::from(Unchangeable::NotANumber).into()),
            "limit" => Err(Refusal::from(Unchangeable::Limit(limit(&mut reply)?)).into()),
            word => Err(refused(target, word, reply)),
        }
    }

    fn changed(
        &self,
        target: &Target,
        reply: &mut Reply,
        again: bool,
    ) -> Result<Changed, StoreError> {
        let (now, mut record) = live(target.session_id, reply)?;
        self.activity.touches.overlay(&mut record);
        let mut session = self.shown(record, now);
        let inserted = reply.number()? == 1;
        if again && let Some((name, value)) = made(reply)? {
            session.attributes.set(name, value);
        }
        Ok(Changed { session, inserted })
    }
}

/// The attribute that an increment wrote when it was made first.
fn made(reply: &mut Reply) -> Result<Option<(AttributeName, AttributeValue)>, StoreError> {
    let (name, value) = (reply.text()?, reply.bytes()?);
    let name = AttributeName::parse(&name).ok();
    Ok(name.zip(AttributeValue::parse(&value).ok()))
}

fn limit(reply: &mut Reply) -> Result<AttributeLimit, StoreError> {
    Ok(match reply.text()?.as_str() {
        "count" => AttributeLimit::Count,
        "value" => AttributeLimit::Value,
        _ => AttributeLimit::Total,
    })
}

/// What stands against a write, for the words that all scripts on one session know.
pub(super) fn refused(target: &Target, word: &str, mut reply: Reply) -> OpError {
    let refusal = match word {
        "unknown" => Refusal::SessionUnknown,
        "version" => Refusal::VersionConflict,
        "ended" => match tombstone(target.session_id, &mut reply) {
            Ok(tombstone) => Refusal::SessionEnded(tombstone),
            Err(error) => return error.into(),
        },
        word => return reply.unexpected(SESSION, word).into(),
    };
    refusal.into()
}

/// How scripts see a scope: nothing is everything.
pub(super) fn scope(
    scope: &crate::model::permission::Scope,
) -> Option<&crate::model::id::ServiceId> {
    use crate::model::permission::Scope;
    match scope {
        Scope::All => None,
        Scope::OpenedBy(service_id) => Some(service_id),
    }
}
