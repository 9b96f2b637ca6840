//! What is told of a session to who asks by its id or by a token of it.

use super::entry::{Lookup, SessionEntry};
use super::plan::{Decision, Write};
use super::terms::Terms;
use crate::model::Timestamp;
use crate::model::permission::Scope;
use crate::model::record::SessionRecord;
use crate::model::request::Touch;
use crate::model::session::Session;
use crate::model::token::CredentialHash;

/// The moments at which time alone changes what is told of a session, or of a token of it. A store whose clock is not
/// exact enough to tell whether such a moment has come cannot answer.
#[must_use]
pub fn boundaries(
    entry: &SessionEntry,
    hash: Option<&CredentialHash>,
    terms: &Terms,
) -> [Option<Timestamp>; 3] {
    match entry {
        SessionEntry::Record(record) => {
            let expires_at = record.session.expires_at;
            [
                Some(expires_at),
                Some(expires_at.plus(terms.tombstone_retention)),
                hash.and_then(|hash| record.token_status_until(hash)),
            ]
        }
        SessionEntry::Tombstone(kept) => [
            Some(kept.until),
            hash.and_then(|hash| kept.value.token_status_until(hash)),
            None,
        ],
        SessionEntry::Missing => [None; 3],
    }
}

/// Looks for a session by its id, whoever opened it.
#[must_use]
pub fn look_up(entry: SessionEntry, terms: &Terms) -> Lookup<SessionRecord> {
    entry.told(terms)
}

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

/// The same, and the uses of it that are known go into the record, and that its token was shown; with [`Touch::Yes`] this
/// counts as use, too.
#[must_use]
pub fn verify_and_write(
    entry: SessionEntry,
    hash: &CredentialHash,
    touch: Touch,
    terms: &Terms,
) -> Decision<Lookup<SessionRecord>> {
    Decision::make(|plan| {
        let mut found = behind(plan.settle(entry, terms).settled(terms.now), hash, terms);
        if let Lookup::Live(record) = &mut found {
            if touch != Touch::Look {
                record.note_use(hash);
            }
            if touch == Touch::Yes {
                record.touch(terms.now);
            }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::id::{LoginId, ServiceId, SessionId};
    use crate::model::rotation::Successor;
    use crate::model::session::{EndReason, Ended, SessionState};
    use crate::model::session_token::{SealedToken, StoredToken, TokenOrigin};
    use crate::rules::create::NewSession;
    use crate::rules::entry::Ending;

    const START: Timestamp = Timestamp::from_millis(1_769_846_400_000);
    const GRACE: Duration = Duration::from_millis(20);

    fn terms(now: Timestamp) -> Terms {
        Terms {
            now,
            idle_after: Duration::from_millis(40),
            tombstone_retention: Duration::from_millis(50),
        }
    }

    fn token(number: u8) -> CredentialHash {
        CredentialHash::of(&[number])
    }

    /// A session whose token was rotated twice.
    fn record() -> SessionRecord {
        let login_id = LoginId::parse("ada").unwrap();
        let service_id = ServiceId::parse("shop").unwrap();
        let new = NewSession {
            session_id: SessionId::new(START, &login_id, [1; 10]),
            token: StoredToken {
                hash: token(0),
                origin: TokenOrigin::Gateway,
            },
            login_id,
            service_id,
            registration: None,
            state: SessionState::Active,
            idle_timeout: Duration::from_millis(100),
            max_age: Duration::from_millis(400),
            limit: None,
            limit_scope: Scope::All,
            attributes: [].into_iter().collect(),
            device: None,
            device_id: None,
            connection_id: None,
            client_ip: None,
            client_port: None,
            user_agent: None,
            server_addr: None,
            operation_id: None,
        };
        let mut record = new.open(START);
        for number in 0..2 {
            let successor = Successor {
                hash: token(number + 1),
                sealed: SealedToken(vec![number]),
            };
            let at = START.plus(Duration::from_millis(10 * u64::from(number)));
            record.rotate(&token(number), successor, GRACE, at);
        }
        record
    }

    #[test]
    fn what_is_told_changes_at_its_boundaries_only() {
        let record = record();
        let by = record.session.service_id.clone();
        let ended = Ended::by_service(EndReason::Logout, START.plus(GRACE), by);
        let ending = Ending::of(&record, ended, &terms(START));
        let entries = [
            SessionEntry::Record(Box::new(record)),
            SessionEntry::Tombstone(Box::new(ending.tombstone)),
            SessionEntry::Missing,
        ];
        for (entry, number) in entries
            .iter()
            .flat_map(|entry| (0..4).map(move |n| (entry, n)))
        {
            let hash = token(number);
            let told = |now| verify(entry.clone(), &hash, &terms(now));
            let mut changes = 0;
            for millis in 1..1_000 {
                let now = START.plus(Duration::from_millis(millis));
                let before = now.minus(Duration::from_millis(1));
                if told(now) != told(before) {
                    changes += 1;
                    let boundaries = boundaries(entry, Some(&hash), &terms(now));
                    assert!(
                        boundaries.contains(&Some(now)),
                        "{entry:?} {number} {now:?}"
                    );
                }
            }
            let expected = match (entry, number) {
                (SessionEntry::Missing, _) | (_, 0 | 3) => 0,
                (SessionEntry::Record(_), 2) => 2,
                (SessionEntry::Record(_) | SessionEntry::Tombstone(_), _) => 1,
            };
            assert_eq!(changes, expected, "{entry:?} {number}");
        }
    }
}
