//! Which of the tokens of one request counts. An app may send tokens of its own beside that of the gateway, and a browser
//! cookies that are long over: what is unknown or over does not count beside one that lives.

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::{Deadlines, Identity, NotAllowed};
use crate::model::forward_auth::{Denial, TokenOutcome, TokenPlace};
use crate::model::request::{Consistency, Touch};
use crate::model::token::PresentedToken;
use crate::rules::entry::Lookup;
use crate::store::{StoreError, Stores, Verified};

/// A text where a token may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Where it stands.
    pub place: TokenPlace,
    /// What can be looked for; nothing if it has the form of no token.
    pub token: Option<PresentedToken>,
}

/// The candidates of one request, in the order in which they count, and what is known of them so far.
#[derive(Debug)]
pub(super) struct Candidates(Vec<Judged>);

#[derive(Debug)]
struct Judged {
    candidate: Candidate,
    outcome: TokenOutcome,
}

/// What the store tells of a candidate; nothing of what has the form of no token.
type Found = Result<Option<Lookup<Verified>>, StoreError>;

impl Candidates {
    pub(super) fn of(candidates: Vec<Candidate>) -> Self {
        let not_judged = |candidate| Judged {
            candidate,
            outcome: TokenOutcome::NotReached,
        };
        Self(candidates.into_iter().map(not_judged).collect())
    }

    /// Where each stands, and what became of it.
    pub(super) fn outcomes(&self) -> Vec<(TokenPlace, TokenOutcome)> {
        let outcome = |judged: &Judged| (judged.candidate.place, judged.outcome);
        self.0.iter().map(outcome).collect()
    }

    /// The session that counts: the first that lives, if no other is that of another login. What the store does not tell
    /// of one behind it changes nothing; one before it might have been the first. Only the session that counts is used.
    pub(super) async fn find(
        &mut self,
        stores: &Stores,
        touch: Touch,
        deadlines: Deadlines,
    ) -> Result<Identity, NotAllowed> {
        let with_form = self.0.iter().filter(|one| one.candidate.token.is_some());
        let several = with_form.count() > 1;
        // Which of several counts shows when all are found, so none is used before.
        let (first_touch, until) = if several {
            (Touch::Look, deadlines.of_several)
        } else {
            (touch, deadlines.of_decision)
        };
        let looks = self.0.iter_mut();
        let all = join_all(looks.map(|one| one.look(stores, first_touch, until))).await;
        check_logins(&all)?;
        let mut denial = Denial::TokenMalformed;
        for (one, mut found) in self.0.iter_mut().zip(all) {
            if matches!(found, Ok(Some(Lookup::Live(_)))) && first_touch != touch {
                found = one.look(stores, touch, deadlines.of_decision).await;
            }
            match (found?, &denial) {
                (Some(Lookup::Live(found)), _) => {
                    one.outcome = TokenOutcome::Counts;
                    return Ok(Identity(found));
                }
                (None, _) | (_, Denial::Ended(_)) => {}
                (Some(Lookup::Ended(tombstone)), _) => denial = Denial::Ended(tombstone.ended),
                (Some(Lookup::Unknown), _) => denial = Denial::TokenUnknown,
            }
        }
        Err(denial.into())
    }
}

impl Judged {
    async fn look(&mut self, stores: &Stores, touch: Touch, until: Instant) -> Found {
        let Some(token) = self.candidate.token else {
            self.outcome = TokenOutcome::Malformed;
            return Ok(None);
        };
        // Browsers send `no-cache` with every reload: what this node knows must do.
        let find = stores.find_by_token(&token, touch, Consistency::Bounded);
        let found = timeout_at(until, find).await;
        let found = found.unwrap_or(Err(StoreError::TimedOut));
        self.outcome = match &found {
            Ok(Lookup::Live(_)) => TokenOutcome::Lives,
            Ok(Lookup::Ended(_)) => TokenOutcome::Ended,
            Ok(Lookup::Unknown) => TokenOutcome::Unknown,
            Err(_unknown) => TokenOutcome::Undecided,
        };
        found.map(Some)
    }
}

fn check_logins(all: &[Found]) -> Result<(), Denial> {
    let mut login_ids = all.iter().filter_map(|found| match found {
        Ok(Some(Lookup::Live(found))) => Some(&found.record.session.login_id),
        Ok(Some(Lookup::Ended(_) | Lookup::Unknown) | None) | Err(_) => None,
    });
    let first = login_ids.next();
    if login_ids.all(|other| Some(other) == first) {
        Ok(())
    } else {
        Err(Denial::TokenAmbiguous)
    }
}
