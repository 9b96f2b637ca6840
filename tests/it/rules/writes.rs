//! Live sessions are verified, written to and given new tokens.

use session_gateway::model::record::SessionChange;
use session_gateway::model::request::{Target, Touch};
use session_gateway::model::rotation::Successor;
use session_gateway::model::session::EndReason;
use session_gateway::model::session_token::{SealedToken, TokenStatus};
use session_gateway::rules::change::{self, Changed};
use session_gateway::rules::entry::Lookup;
use session_gateway::rules::refusal::Refusal;
use session_gateway::rules::rotate::{self, Rotated, TokenRotation};
use session_gateway::rules::verify;

use super::{History, seconds};

impl History<'_> {
    pub(super) fn verify(&mut self) {
        let Some((session_id, hash)) = self.known() else {
            return;
        };
        let terms = self.world.terms();
        let live = self.world.live(session_id);
        let good = live.filter(|record| record.token_status(&hash, terms.now).is_good());
        let found = verify::verify(self.world.entry(session_id), &hash, &terms);
        match &found {
            Lookup::Live(record) => assert_eq!(Some(&**record), good.as_ref()),
            Lookup::Ended(_) | Lookup::Unknown => assert_eq!(good, None),
        }
        if self.random.bool() {
            if good.is_some() {
                self.world.uses.insert(session_id, terms.now);
            }
            return;
        }
        let entry = self.world.entry(session_id);
        let decision = verify::verify_and_write(entry, &hash, Touch::Yes, &terms);
        let (touched, effects) = self.world.decide(decision);
        assert_eq!(effects.changed == 1, good.is_some());
        if let (Lookup::Live(touched), Lookup::Live(found)) = (&touched, &found) {
            assert!(touched.session.expires_at >= found.session.expires_at);
            assert_eq!(touched.session.version, found.session.version);
        } else {
            assert_eq!(touched, found);
        }
    }

    pub(super) fn write(&mut self) {
        let Some(target) = self.target() else { return };
        let before = self.world.live(target.session_id);
        let (outcome, grows) = self.written(&target);
        match (outcome, before) {
            (Ok(changed), Some(before)) => {
                let version = before.session.version;
                assert!(target.precondition.allows(version));
                assert!(before.is_within(&target.access.scope));
                let growth = changed.session.version - version;
                assert!(growth <= 1 && grows.is_none_or(|grows| growth == u64::from(grows)));
                if target.operation_id.is_some() {
                    self.write_again(&target, &changed);
                }
            }
            (Err(Refusal::SessionEnded(_) | Refusal::SessionUnknown), None)
            | (Err(Refusal::Unchangeable(_)), Some(_)) => {}
            (Err(Refusal::SessionUnknown), Some(before)) => {
                assert!(!before.is_within(&target.access.scope));
            }
            (Err(Refusal::VersionConflict), Some(before)) => {
                assert!(!target.precondition.allows(before.session.version));
            }
            other => panic!("{other:?}"),
        }
    }

    /// Any of the writes to a live session, and whether its version must grow.
    fn written(&mut self, target: &Target) -> (Result<Changed, Refusal>, Option<bool>) {
        let terms = self.world.terms();
        let facts = self.world.target_facts(target);
        let name = self.words.name.clone();
        let (decision, grows) = match self.random.u8(0..6) {
            0 => {
                let ttl = self
                    .random
                    .bool()
                    .then(|| seconds(self.random.u64(1..4_000)));
                (change::refresh(facts, target, ttl, &terms), Some(false))
            }
            1 => (change::heartbeat(facts, target, None, &terms), None),
            other => {
                let value = self.random.choice(&self.words.values).unwrap().clone();
                let asked = match other {
                    2 => SessionChange::RemoveAttribute(name),
                    3 => SessionChange::IncrementAttribute(name, 1),
                    _ => SessionChange::PutAttribute(name, value),
                };
                (change::change(facts, target, asked, &terms), Some(true))
            }
        };
        let (outcome, effects) = self.world.decide(decision);
        assert_eq!(effects.changed == 1, outcome.is_ok());
        assert!(outcome.is_ok() || effects.is_only_expiry());
        (outcome, grows)
    }

    fn write_again(&mut self, target: &Target, first: &Changed) {
        let terms = self.world.terms();
        let facts = self.world.target_facts(target);
        let again = change::heartbeat(facts, target, None, &terms);
        let (again, effects) = self.world.decide(again);
        assert!(effects.is_only_expiry());
        assert_eq!(again.as_ref(), Ok(first));
    }

    pub(super) fn rotate(&mut self) {
        let Some((session_id, presented)) = self.known() else {
            return;
        };
        let successor = self.hash();
        let rotation = TokenRotation {
            session_id,
            presented,
            successor: Successor {
                hash: successor,
                sealed: SealedToken(successor.as_bytes().to_vec()),
            },
            grace: seconds(self.random.choice([0, 30]).unwrap()),
            access: self.access(),
        };
        let terms = self.world.terms();
        let entry = self.world.entry(session_id);
        let before = self.world.live(session_id);
        let is_lost = before.as_ref().is_some_and(|record| {
            let previous = record.rotation.as_ref().map(|last| last.former.previous);
            record.is_unused() && previous == Some(presented)
        });
        let decision = rotate::rotate(entry, rotation.clone(), &terms);
        let (outcome, effects) = self.world.decide(decision);
        let now = self.world.live(session_id);
        match outcome {
            Ok(Rotated::Now(_)) => {
                assert_eq!(effects.changed, 1);
                let now = now.unwrap();
                assert!(now.token.hash == successor && now.is_unused());
                let before = before.unwrap().token.hash;
                assert!(before == presented || is_lost);
                if is_lost {
                    let lost = now.token_status(&before, terms.now);
                    assert_eq!(lost, TokenStatus::Reused);
                }
                self.tokens.push((session_id, successor));
                let again = rotate::rotate(self.world.entry(session_id), rotation, &terms);
                let (again, effects) = self.world.decide(again);
                assert!(matches!(again, Ok(Rotated::Now(_))) && effects.is_only_expiry());
            }
            Ok(Rotated::Before(_, sealed)) => {
                assert_eq!(sealed.0, now.unwrap().token.hash.as_bytes());
                assert!(effects.is_only_expiry());
            }
            Err(Refusal::SessionEnded(tombstone)) => {
                assert_eq!(now, None);
                let reused = usize::from(tombstone.ended.reason == EndReason::TokenReuse);
                assert!(reused == 0 || !is_lost || effects.ended_by_somebody == 0);
                assert!(effects.ended_by_somebody <= reused && effects.changed == 0);
            }
            Err(refusal) => {
                assert_eq!(refusal, Refusal::TokenUnknown);
                assert!(effects.is_only_expiry());
            }
        }
    }
}
