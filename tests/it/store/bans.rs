//! Bans: who is banned opens no session, and has none.

use std::sync::Arc;

use session_gateway::clock::SettableClock;
use session_gateway::model::Timestamp;
use session_gateway::model::event::{Change, Event, Fact};
use session_gateway::model::id::SessionId;
use session_gateway::model::limit::{LimitPer, Overflow, SessionLimit};
use session_gateway::model::login::Ban;
use session_gateway::model::session::{EndDetail, EndReason};
use session_gateway::rules::ban::NewBan;
use session_gateway::rules::create::NewSession;
use session_gateway::rules::end::EndAll;
use session_gateway::rules::entry::Lookup;
use session_gateway::rules::refusal::Refusal;
use session_gateway::store::OpError;
use tokio::task::JoinSet;

use super::backend::{
    Backend, HOUR, MILLISECOND, MINUTE, START, access, draft, draft_with_token, ended_refusal,
    login_id, merge, open_dir, operation_id, presented, refusal, service, target,
};
use super::endings::Endings;

contract! {
    a_ban_ends_what_lives_and_refuses_what_is_new,
    a_ban_runs_out_to_the_millisecond,
    a_ban_without_an_end_lasts_until_it_is_lifted,
    a_ban_takes_the_place_of_another,
    the_summary_tells_until_when,
    bans_are_told_of,
    a_refused_token_stays_free,
    a_repeated_create_finds_its_session_ended,
    a_ban_evicts_nobody_for_what_it_refuses,
    nothing_that_was_opened_before_the_answer_lives_after_it,
    a_ban_reaches_hundreds_of_sessions,
    endings_tell_what_was_said_about_them,
    a_ban_that_was_rewritten_does_not_end_with_the_first,
    what_a_ban_has_marked_has_ended_before_that_is_written,
    what_a_ban_has_marked_stays_ended_when_it_is_lifted,
}

fn new(login: &str, until: Option<Timestamp>) -> NewBan {
    NewBan {
        login_id: login_id(login),
        until,
        reason: detail("spam"),
    }
}

fn detail(text: &str) -> EndDetail {
    EndDetail::parse(text).unwrap()
}

async fn ban(b: &Backend, login: &str, until: Option<Timestamp>) -> Ban {
    let sessions = &b.stores.sessions;
    let banned = sessions.ban(new(login, until), &service("web")).await;
    banned.unwrap().ban
}

async fn held(b: &Backend, login: &str) -> Option<Ban> {
    let found = b.stores.sessions.find_ban(&login_id(login)).await;
    found.unwrap()
}

async fn lift(b: &Backend, login: &str) -> Result<(), OpError> {
    let sessions = &b.stores.sessions;
    sessions.unban(&login_id(login), &service("web")).await
}

async fn is_refused(b: &Backend, login: &str) {
    assert_eq!(b.refused(draft(login)).await, Refusal::LoginBanned);
}

async fn a_ban_ends_what_lives_and_refuses_what_is_new(b: &Backend) {
    let (first, second) = (b.open("alice").await, b.open("alice").await);
    let bystander = b.open("bob").await;
    let sessions = &b.stores.sessions;
    let banned = sessions.ban(new("alice", None), &service("web")).await;
    let banned = banned.unwrap();
    assert_eq!(banned.count, 2);
    let expected = Ban {
        login_id: login_id("alice"),
        until: None,
        reason: detail("spam"),
        at: b.now(),
        by: service("web"),
    };
    assert_eq!(banned.ban, expected);
    assert_eq!(held(b, "alice").await, Some(expected));
    for session_id in [first.session_id, second.session_id] {
        let ended = b.ended(session_id).await;
        assert_eq!(ended.reason, EndReason::Banned);
        assert_eq!(ended.by, Some(service("web")));
        assert_eq!(ended.detail, Some(detail("spam")));
    }
    is_refused(b, "alice").await;
    b.live(bystander.session_id).await;
    b.open("bob").await;
    assert_eq!(b.count().await, 2);
}

async fn a_ban_runs_out_to_the_millisecond(b: &Backend) {
    ban(b, "alice", Some(b.now().plus(HOUR))).await;
    b.advance(HOUR - MILLISECOND);
    is_refused(b, "alice").await;
    assert!(held(b, "alice").await.is_some());
    b.advance(MILLISECOND);
    assert_eq!(held(b, "alice").await, None);
    assert_eq!(refusal(lift(b, "alice").await), Refusal::BanUnknown);
    b.open("alice").await;
    b.sweep().await;
    b.open("alice").await;
}

async fn a_ban_without_an_end_lasts_until_it_is_lifted(b: &Backend) {
    ban(b, "alice", None).await;
    b.advance(HOUR * 24 * 365);
    b.sweep().await;
    is_refused(b, "alice").await;
    lift(b, "alice").await.unwrap();
    assert_eq!(held(b, "alice").await, None);
    assert_eq!(refusal(lift(b, "alice").await), Refusal::BanUnknown);
    b.open("alice").await;
}

async fn a_ban_takes_the_place_of_another(b: &Backend) {
    ban(b, "alice", None).await;
    let until = b.now().plus(MINUTE);
    ban(b, "alice", Some(until)).await;
    assert_eq!(held(b, "alice").await.unwrap().until, Some(until));
    b.advance(MINUTE);
    b.open("alice").await;
}

async fn a_ban_that_was_rewritten_does_not_end_with_the_first(b: &Backend) {
    ban(b, "alice", Some(b.now().plus(MINUTE))).await;
    ban(b, "alice", Some(b.now().plus(HOUR))).await;
    ban(b, "bob", Some(b.now().plus(MINUTE))).await;
    ban(b, "bob", None).await;
    b.advance(MINUTE);
    b.sweep().await;
    is_refused(b, "alice").await;
    is_refused(b, "bob").await;
}

async fn the_summary_tells_until_when(b: &Backend) {
    let banned_until = async |login: &str| {
        let summary = b.stores.sessions.login(&login_id(login)).await;
        summary.unwrap().banned_until
    };
    assert_eq!(banned_until("alice").await, None);
    let until = b.now().plus(HOUR);
    ban(b, "alice", Some(until)).await;
    ban(b, "bob", None).await;
    assert_eq!(banned_until("alice").await, Some(until));
    let shown = banned_until("bob").await.unwrap().to_string();
    assert_eq!(shown, "9999-12-31T23:59:59.999Z");
    b.advance(HOUR);
    assert_eq!(banned_until("alice").await, None);
}

async fn bans_are_told_of(b: &Backend) {
    let until = Some(b.now().plus(HOUR));
    ban(b, "alice", until).await;
    lift(b, "alice").await.unwrap();
    let fact = |change| Fact {
        at: b.now(),
        session_id: None,
        login_id: Some(login_id("alice")),
        service_id: service("web"),
        change,
    };
    let by = service("web");
    let banned = Change::LoginBanned {
        until,
        reason: detail("spam"),
        by: by.clone(),
    };
    let told: Vec<_> = b.feed().await.into_iter().map(|event| event.fact).collect();
    assert_eq!(told, [fact(banned), fact(Change::LoginUnbanned { by })]);
}

async fn a_refused_token_stays_free(b: &Backend) {
    ban(b, "alice", None).await;
    let token = "a token that a banned login brings";
    let refused = b.refused(draft_with_token("alice", token)).await;
    assert_eq!(refused, Refusal::LoginBanned);
    let other = draft_with_token("bob", token);
    b.create(other.clone()).await;
    b.verified(&presented(&other)).await;
}

async fn a_repeated_create_finds_its_session_ended(b: &Backend) {
    let marked = NewSession {
        operation_id: Some(operation_id(1)),
        ..draft("alice")
    };
    b.create(marked.clone()).await;
    ban(b, "alice", None).await;
    let Refusal::SessionEnded(tombstone) = b.refused(marked).await else {
        panic!("the session of the first attempt has ended");
    };
    assert_eq!(tombstone.ended.reason, EndReason::Banned);
}

async fn a_ban_evicts_nobody_for_what_it_refuses(b: &Backend) {
    ban(b, "alice", Some(b.now().plus(MINUTE))).await;
    let single = NewSession {
        limit: Some(SessionLimit {
            max: 1,
            per: LimitPer::Login,
            overflow: Overflow::EvictOldest,
        }),
        ..draft("alice")
    };
    assert_eq!(b.refused(single.clone()).await, Refusal::LoginBanned);
    b.advance(MINUTE);
    b.create(single).await;
}

async fn nothing_that_was_opened_before_the_answer_lives_after_it(b: &Backend) {
    let mut opens = JoinSet::new();
    for _ in 0..100 {
        let sessions = b.stores.sessions.clone();
        opens.spawn(async move { sessions.create(draft("alice")).await });
    }
    tokio::task::yield_now().await;
    ban(b, "alice", None).await;
    assert_eq!(b.count().await, 0, "right after the answer");
    let mut opened = 0;
    for open in opens.join_all().await {
        match open {
            Ok(created) => {
                opened += 1;
                let ended = b.ended(created.session.session_id).await;
                assert_eq!(ended.reason, EndReason::Banned);
            }
            Err(OpError::Refused(refusal)) => assert_eq!(refusal, Refusal::LoginBanned),
            Err(OpError::Store(error)) => panic!("{error}"),
        }
    }
    assert_eq!(b.count().await, 0, "of {opened} that were opened");
}

async fn a_ban_reaches_hundreds_of_sessions(b: &Backend) {
    b.create_all((0..450).map(|_| draft("alice"))).await;
    let sessions = &b.stores.sessions;
    let banned = sessions.ban(new("alice", None), &service("web")).await;
    assert_eq!(banned.unwrap().count, 450);
    assert_eq!(b.count().await, 0);
}

async fn endings_tell_what_was_said_about_them(b: &Backend) {
    let session = b.open("alice").await;
    let which = EndAll {
        login_id: login_id("alice"),
        except: None,
        device: None,
        reason: EndReason::KickedOut,
        detail: Some(detail("müde")),
    };
    b.stores.sessions.end_login(which, &access()).await.unwrap();
    let ended = b.ended(session.session_id).await;
    assert_eq!(ended.detail, Some(detail("müde")));
    let told = Change::SessionEnded {
        reason: EndReason::KickedOut,
        by: Some(service("web")),
        detail: Some(detail("müde")),
    };
    assert_eq!(b.story(session.session_id).await.last(), Some(&told));
}

/// Bans a login and marks its sessions, without ending them; tells how many.
async fn mark(b: &Backend, login: &str) -> u64 {
    let engine = b.stores.sessions.clone().into_engine();
    let put = engine.put_ban(new(login, None), &service("web")).await;
    let (ban, mut count, mut last) = (put.unwrap(), 0, None);
    loop {
        let marked = engine.mark_banned(&ban, last).await.unwrap();
        count += marked.count;
        last = marked.last;
        if last.is_none() {
            return count;
        }
    }
}

/// Each has ended by the ban, with one event.
async fn assert_told_once(b: &Backend, ids: &[SessionId]) {
    let banned = Change::SessionEnded {
        reason: EndReason::Banned,
        by: Some(service("web")),
        detail: Some(detail("spam")),
    };
    let mut told = Vec::new();
    for Event { fact, .. } in b.feed().await {
        if fact.change == banned {
            told.extend(fact.session_id);
        }
    }
    told.sort_unstable();
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    assert_eq!(told, ids);
    for session_id in ids {
        assert_eq!(b.ended(session_id).await.reason, EndReason::Banned);
    }
}

async fn what_a_ban_has_marked_has_ended_before_that_is_written(b: &Backend) {
    let with_token = draft_with_token("alice", "a-token-of-the-caller-0123456789abcdef");
    let token = presented(&with_token);
    let mut ids = vec![b.create(with_token).await.session.session_id];
    for _ in 0..250 {
        ids.push(b.open("alice").await.session_id);
    }
    let bystander = b.open("bob").await;
    assert_eq!(mark(b, "alice").await, 251);
    assert_eq!(b.count().await, 1);
    let sessions = &b.stores.sessions;
    let login = sessions.login(&login_id("alice")).await.unwrap();
    assert_eq!(login.session_count, 0);
    assert!(matches!(b.verify(&token).await, Lookup::Ended(_)));
    for session_id in &ids {
        let ended = b.ended(*session_id).await;
        assert_eq!(ended.reason, EndReason::Banned);
        assert_eq!(ended.by, Some(service("web")));
        assert_eq!(ended.detail, Some(detail("spam")));
    }
    assert_told_once(b, &[]).await;
    // Whoever meets one writes its end; the sweep meets the rest.
    let changed = sessions.change(target(ids[0]), merge(&[("a", "1")])).await;
    assert_eq!(ended_refusal(changed).reason, EndReason::Banned);
    assert_told_once(b, &ids[..1]).await;
    b.sweep().await;
    assert_told_once(b, &ids).await;
    b.live(bystander.session_id).await;
}

async fn what_a_ban_has_marked_stays_ended_when_it_is_lifted(b: &Backend) {
    let before = b.open("alice").await;
    assert_eq!(mark(b, "alice").await, 1);
    lift(b, "alice").await.unwrap();
    let after = b.open("alice").await;
    assert_eq!(b.count().await, 1);
    b.sweep().await;
    assert_told_once(b, &[before.session_id]).await;
    b.live(after.session_id).await;
}

#[tokio::test]
async fn what_a_ban_had_not_come_to_has_ended_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SettableClock::at(START));
    let b = Backend::over(open_dir(dir.path(), &clock), Arc::clone(&clock));
    let session_id = b.open("alice").await.session_id;
    let engine = b.stores.sessions.clone().into_engine();
    let put = engine.put_ban(new("alice", None), &service("web")).await;
    put.unwrap();
    b.live(session_id).await;
    drop(engine);
    b.close().await;
    let b = Backend::over(open_dir(dir.path(), &clock), clock);
    assert_eq!(b.ended(session_id).await.reason, EndReason::Banned);
    assert_eq!(b.count().await, 0);
    b.sweep().await;
    assert_told_once(&b, &[session_id]).await;
}
