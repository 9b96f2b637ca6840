//! Endings that somebody asks for.

use session_gateway::model::event::{Change, EventType};
use session_gateway::model::request::Access;
use session_gateway::model::session::{EndReason, SessionState};
use session_gateway::rules::create::NewSession;
use session_gateway::rules::end::{EndAll, EndOutcome};
use session_gateway::rules::entry::Lookup;

use super::backend::{
    Backend, SECOND, access, device, draft, draft_with_token, login_id, opened_by, presented,
    service,
};
use super::endings::Endings;

contract! {
    an_end_is_final_and_told_of_once,
    a_session_may_be_ended_by_its_token,
    revoking_an_unknown_token_does_nothing,
    all_sessions_of_a_login_end,
    one_session_may_stay,
    only_one_kind_of_device_may_end,
    only_sessions_in_sight_end,
    hundreds_of_sessions_end_too,
}

pub(super) fn everything(login: &str) -> EndAll {
    EndAll {
        login_id: login_id(login),
        except: None,
        device: None,
        reason: EndReason::KickedOut,
        detail: None,
    }
}

async fn an_end_is_final_and_told_of_once(b: &Backend) {
    let session = b.open("alice").await;
    b.advance(SECOND);
    let EndOutcome::Now(closed) = b.end(session.session_id).await else {
        panic!("it was live");
    };
    assert_eq!((closed.state, closed.version), (SessionState::Closed, 2));
    let ended = b.ended(session.session_id).await;
    assert_eq!((ended.at, &ended.by), (b.now(), &Some(service("web"))));
    b.advance(SECOND);
    let EndOutcome::Before(tombstone) = b.end(session.session_id).await else {
        panic!("it was over");
    };
    assert_eq!(tombstone.ended, ended);
    let told = Change::SessionEnded {
        reason: EndReason::Logout,
        by: Some(service("web")),
        detail: None,
    };
    let story = b.story(session.session_id).await;
    assert_eq!(story, [Change::SessionCreated { device: None }, told]);
}

async fn a_session_may_be_ended_by_its_token(b: &Backend) {
    for new in [draft("alice"), draft_with_token("alice", "brought along")] {
        b.create(new.clone()).await;
        for _ in 0..2 {
            let revoked = b.stores.sessions.revoke(&presented(&new), &access()).await;
            revoked.unwrap();
        }
        assert_eq!(b.ended(new.session_id).await.reason, EndReason::Logout);
        assert_eq!(b.types(new.session_id).await.len(), 2);
    }
}

async fn revoking_an_unknown_token_does_nothing(b: &Backend) {
    let alice = draft("alice");
    b.create(alice.clone()).await;
    let mut wrong = presented(&draft("bob"));
    b.stores.sessions.revoke(&wrong, &access()).await.unwrap();
    wrong.session_id = Some(alice.session_id);
    b.stores.sessions.revoke(&wrong, &access()).await.unwrap();
    b.live(alice.session_id).await;
}

async fn all_sessions_of_a_login_end(b: &Backend) {
    let bystander = b.open("bob").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(b.open("alice").await.session_id);
    }
    let sessions = &b.stores.sessions;
    let mut ended = sessions
        .end_login(everything("alice"), &access())
        .await
        .unwrap();
    ended.sort();
    assert_eq!(ended, ids);
    for session_id in ids {
        assert_eq!(b.ended(session_id).await.reason, EndReason::KickedOut);
    }
    b.live(bystander.session_id).await;
    let again = sessions.end_login(everything("alice"), &access()).await;
    assert_eq!(again.unwrap(), []);
    b.live(b.open("alice").await.session_id).await;
}

async fn one_session_may_stay(b: &Backend) {
    let (kept, gone) = (b.open("alice").await, b.open("alice").await);
    let which = EndAll {
        except: Some(kept.session_id),
        ..everything("alice")
    };
    let ended = b.stores.sessions.end_login(which, &access()).await.unwrap();
    assert_eq!(ended, [gone.session_id]);
    b.live(kept.session_id).await;
}

async fn only_one_kind_of_device_may_end(b: &Backend) {
    let web = NewSession {
        device: Some(device("web")),
        ..draft("alice")
    };
    let kept = b.open("alice").await;
    b.create(web.clone()).await;
    let which = EndAll {
        device: Some(device("web")),
        ..everything("alice")
    };
    let ended = b.stores.sessions.end_login(which, &access()).await.unwrap();
    assert_eq!(ended, [web.session_id]);
    b.live(kept.session_id).await;
}

async fn only_sessions_in_sight_end(b: &Backend) {
    let own = NewSession {
        service_id: service("mobile"),
        ..draft("alice")
    };
    let kept = b.open("alice").await;
    b.create(own.clone()).await;
    let narrow = Access {
        service_id: service("mobile"),
        scope: opened_by("mobile"),
    };
    let ended = b
        .stores
        .sessions
        .end_login(everything("alice"), &narrow)
        .await;
    assert_eq!(ended.unwrap(), [own.session_id]);
    b.live(kept.session_id).await;
}

async fn hundreds_of_sessions_end_too(b: &Backend) {
    b.create_all((0..450).map(|_| draft("alice"))).await;
    let ended = b
        .stores
        .sessions
        .end_login(everything("alice"), &access())
        .await;
    assert_eq!(ended.unwrap().len(), 450);
    assert_eq!(b.count().await, 0);
    let feed = b.feed().await;
    let types = feed.iter().map(|event| event.fact.change.event_type());
    let ended = types.filter(|kind| *kind == EventType::SessionEnded);
    assert_eq!(ended.count(), 450);
    let Lookup::Ended(_) = b.find(feed[0].fact.session_id.unwrap()).await else {
        panic!("the first should have ended");
    };
}
