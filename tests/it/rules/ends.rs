//! Sessions end, logins are banned, and what is over is cleaned away.

use session_gateway::model::filter::SessionFilter;
use session_gateway::model::id::SessionId;
use session_gateway::model::request::{Precondition, Target};
use session_gateway::model::session::EndReason;
use session_gateway::model::token::CredentialHash;
use session_gateway::rules::ban::{self, NewBan};
use session_gateway::rules::end::{self, EndBatch};
use session_gateway::rules::entry::SessionEntry;
use session_gateway::rules::{activity, sweep};

use super::{History, seconds};

impl History<'_> {
    pub(super) fn end(&mut self, token: Option<&CredentialHash>) {
        let Some(target) = self.target() else { return };
        self.end_target(&target, token);
    }

    pub(super) fn revoke(&mut self) {
        let Some((session_id, hash)) = self.known() else {
            return;
        };
        let target = Target {
            session_id,
            access: self.access(),
            precondition: Precondition::None,
            operation_id: None,
        };
        self.end_target(&target, Some(&hash));
    }

    fn end_target(&mut self, target: &Target, token: Option<&CredentialHash>) {
        let terms = self.world.terms();
        let before = self.world.live(target.session_id);
        let facts = self.world.target_facts(target);
        let decision = end::end(facts, target, EndReason::Logout, token, &terms);
        let (outcome, effects) = self.world.decide(decision);
        let ends = before.is_some_and(|record| {
            target.precondition.allows(record.session.version)
                && record.is_within(&target.access.scope)
                && token.is_none_or(|hash| record.token_status(hash, terms.now).is_good())
        });
        assert_eq!(outcome.is_ok(), ends);
        assert_eq!(effects.ended_by_somebody, usize::from(ends));
        assert!(ends || effects.is_only_expiry());
        assert!(!ends || self.world.live(target.session_id).is_none());
    }

    pub(super) fn end_batch(&mut self) {
        let login_id = self.login();
        let batch = EndBatch {
            filter: SessionFilter {
                login_id: Some(login_id.clone()),
                device: self.random.choice(&self.words.devices).unwrap().clone(),
                ..SessionFilter::default()
            },
            except: self.known().map(|known| known.0),
            reason: EndReason::KickedOut,
            detail: Some(self.words.detail.clone()),
            access: self.access(),
        };
        let ids = self.world.of_login(&login_id);
        let wanted = |id: &SessionId| {
            let live = self.world.live(*id);
            live.is_some_and(|record| {
                batch.filter.matches(&record.session, record.session.state)
                    && record.is_within(&batch.access.scope)
                    && batch.except != Some(*id)
            })
        };
        let expected: Vec<_> = ids.iter().copied().filter(wanted).collect();
        let entries: Vec<SessionEntry> = ids.iter().map(|id| self.world.entry(*id)).collect();
        let decision = end::end_batch(entries, &batch, &self.world.terms());
        let (ended, effects) = self.world.decide(decision);
        assert_eq!(ended, expected);
        assert_eq!(effects.ended_by_somebody, ended.len());
    }

    pub(super) fn ban(&mut self) {
        let terms = self.world.terms();
        let until = self.random.bool().then(|| terms.now.plus(seconds(60)));
        let new = NewBan {
            login_id: self.login(),
            until,
            reason: self.words.detail.clone(),
        };
        let by = self.access().service_id;
        let (written, _) = self.world.decide(ban::ban(new, by, &terms));
        let stored = self.world.ban(&written.login_id);
        assert_eq!(stored.as_ref(), Some(&written));
        assert_eq!(
            ban::in_force(stored, &written.login_id, terms.now),
            Some(written)
        );
    }

    pub(super) fn unban(&mut self) {
        let (terms, login_id) = (self.world.terms(), self.login());
        let by = self.access().service_id;
        let stored = self.world.ban(&login_id);
        let held = ban::in_force(stored.clone(), &login_id, terms.now).is_some();
        let (outcome, _) = self
            .world
            .decide(ban::unban(stored, &login_id, &by, &terms));
        assert_eq!(outcome.is_ok(), held);
        assert!(ban::in_force(self.world.ban(&login_id), &login_id, terms.now).is_none());
    }

    /// Uses that were noted are written later. That revives nothing, and is seen by nobody.
    pub(super) fn write_uses(&mut self) {
        for (session_id, at) in std::mem::take(&mut self.world.uses) {
            let Some(stored) = self.world.records.get(&session_id).cloned() else {
                continue;
            };
            self.world.uses.insert(session_id, at);
            let before = self.world.live(session_id);
            self.world.carry_out(activity::write_use(stored, at));
            self.world.uses.remove(&session_id);
            assert_eq!(self.world.live(session_id), before);
        }
    }

    pub(super) fn sweep(&mut self) {
        let terms = self.world.terms();
        for bans in 0..self.words.logins.len() {
            if let Some(ban) = self.world.ban(&self.words.logins[bans]) {
                self.world.carry_out(sweep::sweep_ban(ban, &terms));
            }
        }
        for (session_id, _) in self.tokens.clone() {
            let lives = self.world.live(session_id).is_some();
            let entry = self.world.entry(session_id);
            self.world.carry_out(sweep::sweep(entry, &terms));
            assert_eq!(self.world.live(session_id).is_some(), lives);
            if let SessionEntry::Record(record) = self.world.entry(session_id) {
                assert_eq!(record.over(terms.now), None);
            }
        }
    }
}
