//! One session: opened, read, changed. The first names are those of Spring Session's own tests, put as sentences.

use session_gateway::model::event::Change;
use session_gateway::model::record::{Field, SessionChange, SessionUpdate, Unchangeable};
use session_gateway::model::request::{Access, Target};
use session_gateway::model::session::{ConnectionStats, EndReason, SessionState};
use session_gateway::rules::create::NewSession;
use session_gateway::rules::end::EndOutcome;
use session_gateway::rules::entry::Lookup;
use session_gateway::rules::refusal::Refusal;

use super::backend::{
    Backend, IDLE, MAX_AGE, MINUTE, at_version, attribute, draft, draft_with_token, merge,
    opened_by, presented, refusal, service, target, value,
};

contract! {
    saves,
    save_deleted_session_should_fail,
    concurrent_updates_keep_both_attributes,
    deleting_a_missing_session_does_nothing,
    find_by_id_of_an_unknown_session_finds_nothing,
    an_id_in_use_is_never_taken_over,
    a_token_in_use_is_never_taken_over,
    a_token_leads_only_to_its_own_session,
    each_change_adds_one_to_the_version,
    a_stale_version_changes_nothing,
    a_change_that_cannot_be_made_leaves_no_trace,
    fields_are_kept_cleared_and_set,
    a_heartbeat_makes_a_session_active,
    a_session_without_activity_is_shown_idle,
    sessions_of_other_services_are_out_of_sight,
}

async fn saves(b: &Backend) {
    let new = NewSession {
        attributes: [(attribute("role"), value("\"admin\""))]
            .into_iter()
            .collect(),
        ..draft("alice")
    };
    let now = b.now();
    let session = b.create(new.clone()).await.session;
    assert_eq!(session.version, 1);
    assert_eq!(session.created_at, now);
    assert_eq!(session.last_active_at, now);
    assert_eq!(session.expires_at, now.plus(IDLE));
    assert_eq!(session.max_expires_at, now.plus(MAX_AGE));
    assert_eq!(session.attributes, new.attributes);
    assert_eq!(b.live(session.session_id).await, session);
    assert_eq!(b.count().await, 1);
    let Lookup::Live(verified) = b.verify(&presented(&new)).await else {
        panic!("the token should be good");
    };
    assert_eq!(verified.into_session(), session);
}

async fn save_deleted_session_should_fail(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    b.end(session_id).await;
    let sessions = &b.stores.sessions;
    let write = SessionChange::PutAttribute(attribute("late"), value("1"));
    let changed = sessions.change(target(session_id), write).await;
    let refreshed = sessions.refresh(target(session_id), None).await;
    let beat = sessions.heartbeat(target(session_id), None).await;
    for refused in [changed.map(|done| done.session), refreshed, beat] {
        assert!(matches!(refusal(refused), Refusal::SessionEnded(_)));
    }
    assert_eq!(b.ended(session_id).await.reason, EndReason::Logout);
    assert_eq!(b.count().await, 0);
    assert_eq!(b.types(session_id).await.len(), 2);
}

async fn concurrent_updates_keep_both_attributes(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    let (first, second) = tokio::join!(
        b.put(session_id, "first", "1"),
        b.put(session_id, "second", "2")
    );
    assert_eq!(first.version.max(second.version), 3);
    let session = b.live(session_id).await;
    assert_eq!(
        session.attributes.get(&attribute("first")),
        Some(&value("1"))
    );
    assert_eq!(
        session.attributes.get(&attribute("second")),
        Some(&value("2"))
    );
}

async fn deleting_a_missing_session_does_nothing(b: &Backend) {
    let missing = draft("alice").session_id;
    let ended = b
        .stores
        .sessions
        .end(target(missing), EndReason::Logout)
        .await;
    assert_eq!(refusal(ended), Refusal::SessionUnknown);
    assert_eq!(b.feed().await, []);
}

async fn find_by_id_of_an_unknown_session_finds_nothing(b: &Backend) {
    assert_eq!(b.find(draft("alice").session_id).await, Lookup::Unknown);
    assert_eq!(b.verify(&presented(&draft("alice"))).await, Lookup::Unknown);
    let brought = draft_with_token("alice", "a token that nobody has");
    assert_eq!(b.verify(&presented(&brought)).await, Lookup::Unknown);
}

async fn an_id_in_use_is_never_taken_over(b: &Backend) {
    let first = draft("alice");
    let session = b.create(first.clone()).await.session;
    let second = NewSession {
        session_id: first.session_id,
        ..draft("mallory")
    };
    assert_eq!(b.refused(second.clone()).await, Refusal::TokenInUse);
    assert_eq!(b.live(first.session_id).await, session);
    b.end(first.session_id).await;
    assert_eq!(b.refused(second).await, Refusal::TokenInUse);
    assert_eq!(b.refused(first).await, Refusal::TokenInUse);
}

async fn a_token_in_use_is_never_taken_over(b: &Backend) {
    let first = draft_with_token("alice", "the token of some framework");
    let second = draft_with_token("mallory", "the token of some framework");
    let session_id = b.create(first.clone()).await.session.session_id;
    assert_eq!(b.refused(second.clone()).await, Refusal::TokenInUse);
    b.end(session_id).await;
    assert_eq!(b.refused(second.clone()).await, Refusal::TokenInUse);
    let Lookup::Ended(tombstone) = b.verify(&presented(&second)).await else {
        panic!("the tombstone should be told of");
    };
    assert_eq!(tombstone.session_id, session_id);
    assert_eq!(b.find(second.session_id).await, Lookup::Unknown);
}

async fn a_token_leads_only_to_its_own_session(b: &Backend) {
    let (alice, bob) = (draft("alice"), draft("bob"));
    b.create(alice.clone()).await;
    b.create(bob.clone()).await;
    let mut crossed = presented(&alice);
    crossed.hash = bob.token.hash;
    assert_eq!(b.verify(&crossed).await, Lookup::Unknown);
    let brought = draft_with_token("carol", "a token that carol brought");
    b.create(brought.clone()).await;
    let mut guessed = presented(&brought);
    assert_eq!(
        b.verified(&guessed).await.record.session.session_id,
        brought.session_id
    );
    guessed.session_id = Some(alice.session_id);
    assert_eq!(b.verify(&guessed).await, Lookup::Unknown);
}

async fn each_change_adds_one_to_the_version(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    let sessions = &b.stores.sessions;
    let first = sessions.change(target(session_id), merge(&[("a", "1"), ("b", "2")]));
    let first = first.await.unwrap();
    assert_eq!((first.session.version, first.inserted), (2, false));
    let put = SessionChange::PutAttribute(attribute("c"), value("null"));
    let put = sessions.change(target(session_id), put).await.unwrap();
    assert_eq!((put.session.version, put.inserted), (3, true));
    assert_eq!(b.increment(target(session_id), 5).await.unwrap(), 5);
    let removed = SessionChange::RemoveAttribute(attribute("a"));
    let removed = sessions.change(target(session_id), removed).await.unwrap();
    assert_eq!(removed.session.version, 5);
    assert_eq!(b.live(session_id).await, removed.session);
    let story = b.story(session_id).await;
    assert_eq!(
        story[1],
        Change::SessionChanged {
            version: 2,
            attributes: vec![attribute("a"), attribute("b")],
            fields: vec![],
            by: service("web"),
        }
    );
    assert_eq!(story.len(), 5);
}

async fn a_stale_version_changes_nothing(b: &Backend) {
    let session = b.open("alice").await;
    let session_id = session.session_id;
    let current = b.put(session_id, "a", "1").await;
    let sessions = &b.stores.sessions;
    let stale = || at_version(session_id, session.version);
    let change = sessions.change(stale(), merge(&[("a", "2")])).await;
    assert_eq!(refusal(change), Refusal::VersionConflict);
    let refreshed = sessions.refresh(stale(), None).await;
    assert_eq!(refusal(refreshed), Refusal::VersionConflict);
    let ended = sessions.end(stale(), EndReason::Logout).await;
    assert_eq!(refusal(ended), Refusal::VersionConflict);
    assert_eq!(b.live(session_id).await, current);
    b.end(session_id).await;
    let again = sessions.end(stale(), EndReason::Admin).await.unwrap();
    assert!(matches!(again, EndOutcome::Before(_)));
}

async fn a_change_that_cannot_be_made_leaves_no_trace(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    let before = b.put(session_id, "text", "\"x\"").await;
    b.advance(MINUTE);
    let sessions = &b.stores.sessions;
    for (change, why) in [
        (
            SessionChange::RemoveAttribute(attribute("gone")),
            Unchangeable::AttributeMissing,
        ),
        (
            SessionChange::IncrementAttribute(attribute("text"), 1),
            Unchangeable::NotANumber,
        ),
    ] {
        let refused = refusal(sessions.change(target(session_id), change).await);
        assert_eq!(refused, Refusal::Unchangeable(why));
    }
    assert_eq!(b.live(session_id).await, before);
    assert_eq!(b.types(session_id).await.len(), 2);
}

async fn fields_are_kept_cleared_and_set(b: &Backend) {
    let new = NewSession {
        client_port: Some(443),
        client_ip: Some("2001:db8::1".parse().unwrap()),
        ..draft("alice")
    };
    let session_id = b.create(new).await.session.session_id;
    let update = SessionUpdate {
        state: Some(SessionState::Disconnecting),
        client_port: Field::Clear,
        stats: Field::Set(ConnectionStats {
            packets_sent: u64::MAX,
            ..ConnectionStats::default()
        }),
        ..SessionUpdate::default()
    };
    let change = SessionChange::Update(Box::new(update));
    let sessions = &b.stores.sessions;
    let session = sessions
        .change(target(session_id), change)
        .await
        .unwrap()
        .session;
    assert_eq!(session.client_port, None);
    assert_eq!(session.client_ip, Some("2001:db8::1".parse().unwrap()));
    assert_eq!(session.stats.unwrap().packets_sent, u64::MAX);
    assert_eq!(session.state, SessionState::Disconnecting);
    assert_eq!(b.live(session_id).await, session);
    let Change::SessionChanged { fields, .. } = &b.story(session_id).await[1] else {
        panic!("the change should be told of");
    };
    assert_eq!(fields, &["state", "client_port", "stats"]);
}

async fn a_heartbeat_makes_a_session_active(b: &Backend) {
    let new = NewSession {
        state: SessionState::Connecting,
        ..draft("alice")
    };
    let session_id = b.create(new).await.session.session_id;
    b.advance(MINUTE);
    let sessions = &b.stores.sessions;
    let stats = ConnectionStats {
        rtt_ms: 20,
        ..ConnectionStats::default()
    };
    let beat = sessions
        .heartbeat(target(session_id), Some(stats))
        .await
        .unwrap();
    assert_eq!((beat.state, beat.version), (SessionState::Active, 2));
    assert_eq!(beat.expires_at, b.now().plus(IDLE));
    let again = sessions.heartbeat(target(session_id), None).await.unwrap();
    assert_eq!((again.version, again.stats), (2, Some(stats)));
    let Change::SessionChanged { fields, .. } = &b.story(session_id).await[1] else {
        panic!("the new state should be told of");
    };
    assert_eq!(fields, &["state"]);
    assert_eq!(b.types(session_id).await.len(), 2);
}

async fn a_session_without_activity_is_shown_idle(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    b.advance(5 * MINUTE);
    assert_eq!(b.live(session_id).await.state, SessionState::Idle);
    let woken = b.put(session_id, "a", "1").await;
    assert_eq!(woken.state, SessionState::Active);
}

async fn sessions_of_other_services_are_out_of_sight(b: &Backend) {
    let new = draft("alice");
    let session_id = b.create(new.clone()).await.session.session_id;
    let own = opened_by("stranger");
    let stranger = Target {
        access: Access {
            service_id: service("stranger"),
            scope: own.clone(),
        },
        ..target(session_id)
    };
    let sessions = &b.stores.sessions;
    for _ in ["live", "ended"] {
        let found = sessions.find(session_id, &own).await.unwrap();
        assert_eq!(found, Lookup::Unknown);
        let changed = sessions.change(stranger.clone(), merge(&[])).await;
        assert_eq!(refusal(changed), Refusal::SessionUnknown);
        let ended = sessions.end(stranger.clone(), EndReason::Admin).await;
        assert_eq!(refusal(ended), Refusal::SessionUnknown);
        let revoked = sessions.revoke(&presented(&new), &stranger.access).await;
        revoked.unwrap();
        b.end(session_id).await;
    }
    assert_eq!(b.ended(session_id).await.reason, EndReason::Logout);
}
