//! Rotation of tokens: one successor, a grace for the one before, and an end for a session whose token was copied.

use std::time::Duration;

use session_gateway::model::event::Change;
use session_gateway::model::id::SessionId;
use session_gateway::model::request::{Access, Touch};
use session_gateway::model::rotation::Successor;
use session_gateway::model::session::EndReason;
use session_gateway::model::session_token::SealedToken;
use session_gateway::model::token::{CredentialHash, PresentedToken};
use session_gateway::rules::create::NewSession;
use session_gateway::rules::entry::Lookup;
use session_gateway::rules::refusal::Refusal;
use session_gateway::rules::rotate::{Rotated, TokenRotation};
use session_gateway::store::OpError;

use super::backend::{
    Backend, HOUR, IDLE, MILLISECOND, SECOND, SETTINGS, access, draft, draft_with_token,
    ended_refusal, merge, opened_by, presented, refusal, service, target,
};

contract! {
    a_rotation_brings_a_new_token_and_changes_nothing_else,
    the_previous_token_is_good_until_its_grace_is_over,
    asking_again_within_the_grace_tells_the_same_successor,
    the_same_rotation_is_made_once_whenever_it_is_repeated,
    a_rotated_token_after_its_grace_ends_the_session,
    a_token_rotated_twice_within_its_grace_is_no_reuse,
    only_tokens_of_the_session_are_reuse,
    the_last_eight_tokens_are_known,
    an_ended_session_tells_so_to_all_its_tokens,
    out_of_sight_there_is_no_token,
    a_token_that_was_brought_stays_in_use_until_the_session_is_forgotten,
    an_expired_session_is_not_rotated,
    the_session_may_be_ended_by_its_previous_token,
    after_the_grace_a_successor_that_was_never_used_gives_way_to_another,
    any_use_of_a_successor_makes_the_token_before_it_one_that_was_copied,
    of_two_who_hold_a_copy_the_second_to_act_ends_it,
}

pub(super) const GRACE: Duration = Duration::from_secs(30);

/// The token of this number of a session, as the gateway makes them.
pub(super) fn token(session_id: SessionId, number: u8) -> PresentedToken {
    PresentedToken {
        session_id: Some(session_id),
        hash: CredentialHash::of(&[number; 40]),
    }
}

pub(super) fn rotation(
    session_id: SessionId,
    presented: &PresentedToken,
    number: u8,
) -> TokenRotation {
    TokenRotation {
        session_id,
        presented: presented.hash,
        successor: Successor {
            hash: token(session_id, number).hash,
            sealed: SealedToken(vec![number; 48]),
        },
        grace: GRACE,
        access: access(),
    }
}

pub(super) async fn rotate(
    b: &Backend,
    presented: &PresentedToken,
    number: u8,
) -> Result<Rotated, OpError> {
    let sessions = &b.stores.sessions;
    let session_id = sessions.session_of(presented).await.unwrap();
    let Some(session_id) = session_id else {
        return Err(Refusal::TokenUnknown.into());
    };
    sessions
        .rotate(rotation(session_id, presented, number))
        .await
}

/// A session with its first token.
pub(super) async fn opened(b: &Backend) -> (SessionId, PresentedToken) {
    let new = draft("alice");
    let session = b.create(new.clone()).await.session;
    (session.session_id, presented(&new))
}

#[track_caller]
fn now(rotated: &Result<Rotated, OpError>) {
    assert!(matches!(rotated, Ok(Rotated::Now(_))), "{rotated:?}");
}

#[track_caller]
fn unknown(rotated: Result<Rotated, OpError>) {
    assert_eq!(refusal(rotated), Refusal::TokenUnknown);
}

pub(super) async fn is_good(b: &Backend, token: &PresentedToken) -> bool {
    let sessions = &b.stores.sessions;
    let found = sessions.find_by_token(token, Touch::No).await.unwrap();
    matches!(found, Lookup::Live(_))
}

async fn a_rotation_brings_a_new_token_and_changes_nothing_else(b: &Backend) {
    let (session_id, first) = opened(b).await;
    let before = b.put(session_id, "role", "\"admin\"").await;
    b.advance(SECOND);
    let Ok(Rotated::Now(after)) = rotate(b, &first, 1).await else {
        panic!("the token is good");
    };
    assert_eq!(after.last_active_at, b.now());
    assert_eq!(after.idle_expires_at, b.now().plus(IDLE));
    assert_eq!(after.max_expires_at, before.max_expires_at);
    assert_eq!(
        (after.version, &after.attributes),
        (before.version, &before.attributes)
    );
    assert_eq!(b.live(session_id).await, *after);
    let found = b.verified(&token(session_id, 1)).await;
    assert_eq!(found.record.session.session_id, session_id);
    let story = b.story(session_id).await;
    let by = service("web");
    assert_eq!(story.last(), Some(&Change::SessionRotated { by }));
}

async fn the_previous_token_is_good_until_its_grace_is_over(b: &Backend) {
    let (session_id, first) = opened(b).await;
    now(&rotate(b, &first, 1).await);
    b.advance(GRACE - MILLISECOND);
    let used = b.verified(&first).await;
    assert_eq!(used.life.last_active_at, b.now());
    b.advance(MILLISECOND);
    assert_eq!(b.verify(&first).await, Lookup::Unknown);
    assert!(is_good(b, &token(session_id, 1)).await);
    b.live(session_id).await;
}

async fn asking_again_within_the_grace_tells_the_same_successor(b: &Backend) {
    let (session_id, first) = opened(b).await;
    now(&rotate(b, &first, 1).await);
    b.advance(GRACE - MILLISECOND);
    let Ok(Rotated::Before(session, sealed)) = rotate(b, &first, 2).await else {
        panic!("the grace is not over");
    };
    assert_eq!(
        (session.session_id, sealed),
        (session_id, SealedToken(vec![1; 48]))
    );
    assert!(!is_good(b, &token(session_id, 2)).await);
    assert_eq!(b.story(session_id).await.len(), 2);
}

async fn the_same_rotation_is_made_once_whenever_it_is_repeated(b: &Backend) {
    let (session_id, first) = opened(b).await;
    for _ in 0..2 {
        now(&rotate(b, &first, 1).await);
        b.advance(GRACE * 2);
    }
    assert!(is_good(b, &token(session_id, 1)).await);
    assert_eq!(b.story(session_id).await.len(), 2);
}

async fn a_rotated_token_after_its_grace_ends_the_session(b: &Backend) {
    let (session_id, first) = opened(b).await;
    now(&rotate(b, &first, 1).await);
    assert!(is_good(b, &token(session_id, 1)).await);
    b.advance(GRACE);
    let ended = ended_refusal(rotate(b, &first, 2).await);
    assert_eq!(ended.reason, EndReason::TokenReuse);
    assert_eq!((ended.at, &ended.by), (b.now(), &Some(service("web"))));
    assert_eq!(b.ended(session_id).await, ended);
    assert!(!is_good(b, &token(session_id, 1)).await);
    let told = Change::SessionEnded {
        reason: EndReason::TokenReuse,
        by: Some(service("web")),
        detail: None,
    };
    assert_eq!(b.story(session_id).await.last(), Some(&told));
}

async fn a_token_rotated_twice_within_its_grace_is_no_reuse(b: &Backend) {
    let (session_id, first) = opened(b).await;
    now(&rotate(b, &first, 1).await);
    b.advance(SECOND);
    now(&rotate(b, &token(session_id, 1), 2).await);
    unknown(rotate(b, &first, 3).await);
    assert_eq!(b.verify(&first).await, Lookup::Unknown);
    b.live(session_id).await;
    b.advance(GRACE - SECOND);
    ended_refusal(rotate(b, &first, 3).await);
}

async fn only_tokens_of_the_session_are_reuse(b: &Backend) {
    let (session_id, first) = opened(b).await;
    let (_, of_another) = opened(b).await;
    now(&rotate(b, &first, 1).await);
    b.advance(HOUR / 4);
    unknown(rotate(b, &token(session_id, 9), 2).await);
    let forged = PresentedToken {
        session_id: Some(session_id),
        ..of_another
    };
    unknown(rotate(b, &forged, 2).await);
    unknown(rotate(b, &presented(&draft("nobody")), 2).await);
    unknown(
        rotate(
            b,
            &presented(&draft_with_token("nobody", "never brought")),
            2,
        )
        .await,
    );
    assert!(is_good(b, &token(session_id, 1)).await);
    assert_eq!(b.story(session_id).await.len(), 2);
}

async fn the_last_eight_tokens_are_known(b: &Backend) {
    let (session_id, first) = opened(b).await;
    let mut last = first;
    for number in 1..=9 {
        now(&rotate(b, &last, number).await);
        last = token(session_id, number);
        b.advance(GRACE);
    }
    unknown(rotate(b, &first, 100).await);
    b.live(session_id).await;
    ended_refusal(rotate(b, &token(session_id, 1), 100).await);
    b.ended(session_id).await;
}

async fn an_ended_session_tells_so_to_all_its_tokens(b: &Backend) {
    let (session_id, first) = opened(b).await;
    now(&rotate(b, &first, 1).await);
    now(&rotate(b, &token(session_id, 1), 2).await);
    b.end(session_id).await;
    b.advance(GRACE * 2);
    for token in [first, token(session_id, 1), token(session_id, 2)] {
        let ended = ended_refusal(rotate(b, &token, 3).await);
        assert_eq!(ended.reason, EndReason::Logout);
    }
    unknown(rotate(b, &token(session_id, 3), 4).await);
    assert_eq!(b.verify(&first).await, Lookup::Unknown);
    b.advance(SETTINGS.tombstone_retention);
    unknown(rotate(b, &first, 3).await);
}

async fn out_of_sight_there_is_no_token(b: &Backend) {
    let (session_id, first) = opened(b).await;
    let narrow = |presented, number| TokenRotation {
        access: Access {
            service_id: service("mobile"),
            scope: opened_by("mobile"),
        },
        ..rotation(session_id, presented, number)
    };
    let sessions = &b.stores.sessions;
    unknown(sessions.rotate(narrow(&first, 1)).await);
    now(&rotate(b, &first, 1).await);
    b.advance(GRACE);
    unknown(sessions.rotate(narrow(&first, 2)).await);
    b.live(session_id).await;
    b.end(session_id).await;
    unknown(sessions.rotate(narrow(&first, 2)).await);
}

async fn a_token_that_was_brought_stays_in_use_until_the_session_is_forgotten(b: &Backend) {
    let new = draft_with_token("alice", "brought along");
    let session_id = b.create(new.clone()).await.session.session_id;
    let brought = presented(&new);
    now(&rotate(b, &brought, 1).await);
    b.verified(&brought).await;
    now(&rotate(b, &token(session_id, 1), 2).await);
    let same_token = || draft_with_token("bob", "brought along");
    assert_eq!(b.refused(same_token()).await, Refusal::TokenInUse);
    b.advance(GRACE);
    ended_refusal(rotate(b, &brought, 3).await);
    assert_eq!(b.refused(same_token()).await, Refusal::TokenInUse);
    b.advance(SETTINGS.tombstone_retention);
    b.sweep().await;
    let new: NewSession = same_token();
    b.create(new.clone()).await;
    let found = b.verified(&presented(&new)).await;
    assert_eq!(found.record.session.session_id, new.session_id);
}

async fn an_expired_session_is_not_rotated(b: &Backend) {
    let (session_id, first) = opened(b).await;
    b.advance(IDLE);
    let ended = ended_refusal(rotate(b, &first, 1).await);
    assert_eq!(ended.reason, EndReason::IdleTimeout);
    assert_eq!(b.story(session_id).await.len(), 2);
}

async fn the_session_may_be_ended_by_its_previous_token(b: &Backend) {
    let (session_id, first) = opened(b).await;
    let sessions = &b.stores.sessions;
    now(&rotate(b, &first, 1).await);
    b.advance(GRACE);
    sessions.revoke(&first, &access()).await.unwrap();
    let write = sessions.change(target(session_id), merge(&[("a", "1")]));
    write.await.unwrap();
    now(&rotate(b, &token(session_id, 1), 2).await);
    sessions
        .revoke(&token(session_id, 1), &access())
        .await
        .unwrap();
    assert_eq!(b.ended(session_id).await.reason, EndReason::Logout);
}

async fn after_the_grace_a_successor_that_was_never_used_gives_way_to_another(b: &Backend) {
    for foreign in [false, true] {
        let new = if foreign {
            draft_with_token("alice", "a-token-of-the-caller-0123456789abcdef")
        } else {
            draft("alice")
        };
        let first = presented(&new);
        let session_id = b.create(new).await.session.session_id;
        for number in 1..=12 {
            now(&rotate(b, &first, number).await);
            assert!(is_good(b, &first).await, "for another grace");
            let again = rotate(b, &first, 99).await;
            assert!(matches!(again, Ok(Rotated::Before(_, sealed)) if sealed.0 == [number; 48]));
            b.advance(GRACE);
            assert!(!is_good(b, &first).await);
            for lost in 1..number {
                assert!(!is_good(b, &token(session_id, lost)).await);
            }
        }
        let last = token(session_id, 12);
        assert!(is_good(b, &last).await);
        now(&rotate(b, &last, 13).await);
        b.end(session_id).await;
        b.advance(SETTINGS.tombstone_retention);
        b.sweep().await;
    }
}

async fn any_use_of_a_successor_makes_the_token_before_it_one_that_was_copied(b: &Backend) {
    for touch in [Touch::Yes, Touch::No] {
        let (session_id, first) = opened(b).await;
        now(&rotate(b, &first, 1).await);
        let sessions = &b.stores.sessions;
        let used = sessions.find_by_token(&token(session_id, 1), touch).await;
        assert!(matches!(used, Ok(Lookup::Live(_))));
        b.advance(GRACE);
        let ended = ended_refusal(rotate(b, &first, 2).await);
        assert_eq!(ended.reason, EndReason::TokenReuse);
    }
    // A rotation is a use, too.
    let (session_id, first) = opened(b).await;
    now(&rotate(b, &first, 1).await);
    now(&rotate(b, &token(session_id, 1), 2).await);
    b.advance(GRACE);
    ended_refusal(rotate(b, &first, 3).await);
    // To ask for the session, or to use the token before it, is none.
    let (session_id, first) = opened(b).await;
    now(&rotate(b, &first, 1).await);
    assert!(is_good(b, &first).await);
    b.live(session_id).await;
    b.put(session_id, "a", "1").await;
    // Nor is it to look what a token would come to.
    let sessions = &b.stores.sessions;
    let looked = sessions
        .find_by_token(&token(session_id, 1), Touch::Look)
        .await;
    assert!(matches!(looked, Ok(Lookup::Live(_))));
    b.advance(GRACE);
    now(&rotate(b, &first, 2).await);
}

async fn of_two_who_hold_a_copy_the_second_to_act_ends_it(b: &Backend) {
    let (session_id, first) = opened(b).await;
    now(&rotate(b, &first, 1).await);
    b.advance(GRACE);
    now(&rotate(b, &first, 2).await);
    let ended = ended_refusal(rotate(b, &token(session_id, 1), 3).await);
    assert_eq!(ended.reason, EndReason::TokenReuse);
    assert!(!is_good(b, &token(session_id, 2)).await);
}
