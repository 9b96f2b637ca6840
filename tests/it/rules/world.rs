//! What a store keeps, in memory, and what must hold of every plan that is carried out in it.

use std::collections::BTreeMap;
use std::time::Duration;

use session_gateway::model::Timestamp;
use session_gateway::model::event::{Change, Fact};
use session_gateway::model::id::{LoginId, SessionId};
use session_gateway::model::login::Ban;
use session_gateway::model::record::SessionRecord;
use session_gateway::model::request::{OperationId, Target};
use session_gateway::model::session::Tombstone;
use session_gateway::model::session_token::TokenOrigin;
use session_gateway::rules::Kept;
use session_gateway::rules::activity;
use session_gateway::rules::create::{CreateFacts, LoginSessions, NewSession};
use session_gateway::rules::entry::{Ending, SessionEntry};
use session_gateway::rules::operation::{FirstRun, OperationRecord};
use session_gateway::rules::plan::{Decision, Plan, Write};
use session_gateway::rules::target::TargetFacts;
use session_gateway::rules::terms::Terms;

/// How many sessions a plan ended, opened and changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Effects {
    pub(crate) opened: usize,
    pub(crate) changed: usize,
    pub(crate) ended_by_age: usize,
    pub(crate) ended_by_somebody: usize,
    pub(crate) forgotten: usize,
    pub(crate) other: usize,
}

impl Effects {
    /// All that a refused operation may do.
    pub(crate) fn is_only_expiry(self) -> bool {
        let Self {
            opened,
            changed,
            ended_by_somebody,
            other,
            ..
        } = self;
        opened + changed + ended_by_somebody + other == 0
    }
}

#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) now: i64,
    pub(crate) records: BTreeMap<SessionId, SessionRecord>,
    tombstones: BTreeMap<SessionId, Kept<Tombstone>>,
    tokens: BTreeMap<[u8; 32], SessionId>,
    operations: BTreeMap<[u8; 32], Kept<OperationRecord>>,
    bans: BTreeMap<LoginId, Ban>,
    /// Uses that are noted and not yet written.
    pub(crate) uses: BTreeMap<SessionId, Timestamp>,
}

impl World {
    pub(crate) fn at(now: i64) -> Self {
        Self {
            now,
            ..Self::default()
        }
    }

    pub(crate) fn terms(&self) -> Terms {
        Terms {
            now: Timestamp::from_millis(self.now),
            idle_after: Duration::from_secs(300),
            tombstone_retention: Duration::from_secs(3_600),
        }
    }

    /// The record with the uses of it that are noted, as every fact has it.
    fn counted(&self, session_id: SessionId) -> Option<SessionRecord> {
        let mut record = self.records.get(&session_id)?.clone();
        if let Some(at) = self.uses.get(&session_id) {
            activity::count(&mut record, *at);
        }
        Some(record)
    }

    pub(crate) fn entry(&self, session_id: SessionId) -> SessionEntry {
        if let Some(record) = self.counted(session_id) {
            return SessionEntry::Record(Box::new(record));
        }
        match self.tombstones.get(&session_id) {
            Some(kept) => SessionEntry::Tombstone(Box::new(kept.clone())),
            None => SessionEntry::Missing,
        }
    }

    /// The session, if it lives.
    pub(crate) fn live(&self, session_id: SessionId) -> Option<SessionRecord> {
        let now = self.terms().now;
        let counted = self.counted(session_id);
        counted.filter(|record| now < record.session.expires_at)
    }

    pub(crate) fn of_login(&self, login_id: &LoginId) -> Vec<SessionId> {
        let ids = self.records.iter();
        let ids = ids.filter(|(_, record)| record.session.login_id == *login_id);
        ids.map(|(id, _)| *id).collect()
    }

    pub(crate) fn ban(&self, login_id: &LoginId) -> Option<Ban> {
        self.bans.get(login_id).cloned()
    }

    pub(crate) fn session_of(&self, hash: &[u8; 32]) -> Option<SessionId> {
        self.tokens.get(hash).copied()
    }

    fn first_run(&self, operation_id: Option<OperationId>) -> Option<FirstRun> {
        let operation = self.operations.get(&operation_id?.0)?.clone();
        let session = self.entry(operation.value.session_id());
        Some(FirstRun { operation, session })
    }

    pub(crate) fn create_facts(&self, new: &NewSession) -> CreateFacts {
        let brought = new.token.origin == TokenOrigin::Caller;
        let holder = self.session_of(new.token.hash.as_bytes());
        let met = [Some(new.session_id), holder.filter(|_| brought)];
        let mut of_login = self.of_login(&new.login_id);
        of_login.retain(|id| !met.contains(&Some(*id)));
        let oldest = of_login.iter().take(LoginSessions::JUDGED);
        CreateFacts {
            first_run: self.first_run(new.operation_id),
            same_id: self.entry(new.session_id),
            token_holder: match holder.filter(|_| brought) {
                Some(holder) => self.entry(holder),
                None => SessionEntry::Missing,
            },
            ban: self.ban(&new.login_id),
            of_login: LoginSessions {
                oldest: oldest.map(|id| self.entry(*id)).collect(),
                more: of_login.len().saturating_sub(LoginSessions::JUDGED),
            },
        }
    }

    pub(crate) fn target_facts(&self, target: &Target) -> TargetFacts {
        TargetFacts {
            first_run: self.first_run(target.operation_id),
            session: self.entry(target.session_id),
        }
    }

    pub(crate) fn decide<T>(&mut self, decision: Decision<T>) -> (T, Effects) {
        (decision.outcome, self.carry_out(decision.plan))
    }

    pub(crate) fn carry_out(&mut self, plan: Plan) -> Effects {
        let mut effects = Effects::default();
        let mut told = plan.events;
        for write in plan.writes {
            self.write(write, &mut told, &mut effects);
        }
        assert_eq!(told, [], "told and not done");
        effects
    }

    fn write(&mut self, write: Write, told: &mut Vec<Fact>, effects: &mut Effects) {
        match write {
            Write::Open(record) => {
                self.open(*record, told);
                effects.opened += 1;
            }
            Write::Save(record) => {
                self.save(*record, told);
                effects.changed += 1;
            }
            Write::Reschedule(record) => {
                let id = record.session.session_id;
                assert_eq!(self.counted(id).as_ref(), Some(&*record));
                self.records.insert(id, *record);
            }
            Write::End(ending) => {
                if ending.tombstone.value.ended.reason.is_by_age() {
                    effects.ended_by_age += 1;
                } else {
                    effects.ended_by_somebody += 1;
                }
                self.end(*ending, told);
            }
            Write::Forget(kept) => {
                self.forget(&kept);
                effects.forgotten += 1;
            }
            Write::KeepOperation(operation_id, kept) => {
                self.operations.insert(operation_id.0, kept);
                effects.other += 1;
            }
            Write::PutBan(ban) => {
                take(told, |fact| {
                    matches!(fact.change, Change::LoginBanned { .. })
                });
                self.bans.insert(ban.login_id.clone(), ban);
                effects.other += 1;
            }
            Write::DropBan(login_id) => {
                let ban = self.bans.remove(&login_id).expect("a ban that is there");
                if ban.holds(self.terms().now) {
                    take(told, |fact| {
                        matches!(fact.change, Change::LoginUnbanned { .. })
                    });
                }
                effects.other += 1;
            }
        }
    }

    fn open(&mut self, record: SessionRecord, told: &mut Vec<Fact>) {
        let session = &record.session;
        let id = session.session_id;
        assert_eq!(self.entry(id), SessionEntry::Missing, "one that was there");
        assert_eq!(session.version, 1);
        assert_eq!(session.created_at, self.terms().now);
        assert!(session.expires_at <= session.max_expires_at);
        take(told, |fact| {
            fact.session_id == Some(id) && matches!(fact.change, Change::SessionCreated { .. })
        });
        if record.token.origin == TokenOrigin::Caller {
            let before = self.tokens.insert(*record.token.hash.as_bytes(), id);
            assert_eq!(before, None, "the token of another session");
        }
        self.records.insert(id, record);
    }

    fn save(&mut self, record: SessionRecord, told: &mut Vec<Fact>) {
        let id = record.session.session_id;
        let (old, new) = (self.counted(id).expect("a session"), &record.session);
        assert!(old.session.version <= new.version && new.version <= old.session.version + 1);
        assert_eq!(old.session.login_id, new.login_id);
        assert_eq!(old.session.created_at, new.created_at);
        assert_eq!(old.session.max_expires_at, new.max_expires_at);
        assert!(new.expires_at <= new.max_expires_at);
        assert!(new.last_active_at >= old.session.last_active_at);
        if record.token != old.token {
            take(told, |fact| {
                matches!(fact.change, Change::SessionRotated { .. })
            });
        }
        let shortened = new.expires_at < old.session.expires_at;
        if new.version > old.session.version || shortened {
            take(told, |fact| {
                let version = match fact.change {
                    Change::SessionChanged { version, .. } => version,
                    _ => 0,
                };
                fact.session_id == Some(id) && version == new.version
            });
        }
        self.records.insert(id, record);
    }

    fn end(&mut self, ending: Ending, told: &mut Vec<Fact>) {
        let now = self.terms().now;
        let Kept { until, value } = &ending.tombstone;
        let (id, ended) = (value.session_id, &value.ended);
        let record = self.counted(id).expect("a session that had not ended");
        match record.over(now) {
            Some(over) => assert_eq!(*ended, over),
            None => assert!(!ended.reason.is_by_age() && ended.at == now),
        }
        assert_eq!(*until, ended.at.plus(self.terms().tombstone_retention));
        assert_eq!(ending.lived, ended.at.since(record.session.created_at));
        assert_eq!(*value, record.end(ended.clone()));
        take(told, |fact| {
            fact.session_id == Some(id)
                && fact.at == ended.at
                && matches!(&fact.change, Change::SessionEnded { reason, by, .. }
                    if *reason == ended.reason && *by == ended.by)
        });
        self.records.remove(&id);
        self.uses.remove(&id);
        self.tombstones.insert(id, ending.tombstone);
    }

    fn forget(&mut self, kept: &Kept<Tombstone>) {
        assert!(kept.is_over(self.terms().now), "one that is still told of");
        let id = kept.value.session_id;
        assert_eq!(self.tombstones.remove(&id).as_ref(), Some(kept));
        self.tokens.retain(|_, holder| *holder != id);
    }

    /// What must hold whatever happened: a session is live or ended, and tokens lead where they were brought to.
    pub(crate) fn audit(&self) {
        for (id, record) in &self.records {
            assert!(!self.tombstones.contains_key(id));
            let former = record
                .rotation
                .as_ref()
                .and_then(|last| last.former.external);
            let own = record.token.origin == TokenOrigin::Caller;
            let brought = if own { Some(record.token.hash) } else { former };
            if let Some(hash) = brought {
                assert_eq!(self.session_of(hash.as_bytes()), Some(*id));
            }
        }
        let stands = |id| self.records.contains_key(id) || self.tombstones.contains_key(id);
        assert!(self.tokens.values().all(stands));
    }
}

/// Takes the one event that tells of a write.
#[track_caller]
fn take(told: &mut Vec<Fact>, tells: impl Fn(&Fact) -> bool) {
    let before = told.len();
    told.retain(|fact| !tells(fact));
    assert_eq!(told.len() + 1, before, "one event of it");
}
