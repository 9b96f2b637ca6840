//! A server that starts again from an old snapshot: nodes apply again what was acknowledged.

use serde_json::json;
use session_gateway::model::event::{EventType, FeedStart};
use session_gateway::model::id::SessionId;
use session_gateway::model::limit::{LimitPer, Overflow, SessionLimit};
use session_gateway::model::request::Touch;
use session_gateway::model::service::{Manager, ServiceUpdate};
use session_gateway::model::session::{EndDetail, EndReason, Ended};
use session_gateway::rules::ban::NewBan;
use session_gateway::rules::create::NewSession;
use session_gateway::rules::end::EndAll;
use session_gateway::rules::entry::Lookup;
use session_gateway::store::{Partitions, Stores};

use super::super::backend::{Backend, MINUTE, access, draft, login_id, presented, service};
use super::super::endings::Endings;
use super::super::listeners::{all_heard_now, heard_now, register};
use super::super::rotation;
use super::super::stats::Diary;
use super::node::{DEADLINE, clock, ended, feed, is_live, node, settled};
use crate::support::redis::{RedisServer, ServerOptions, eventually};
use crate::support::{Launch, open};

/// Whether a service is enabled, if it is there; nothing while that cannot be told.
async fn enabled(stores: &Stores, id: &str) -> Option<Option<bool>> {
    let found = stores.services.find_service(&service(id)).await;
    Some(found.ok()?.map(|record| record.service.enabled))
}

async fn disable(stores: &Stores, id: &str) {
    let update = ServiceUpdate {
        enabled: Some(false),
        ..ServiceUpdate::default()
    };
    let (id, admin) = (service(id), Manager::admin());
    let updated = stores.services.update_service(&id, update, &admin);
    updated.await.unwrap();
}

/// A server that keeps nothing but the snapshot that was asked for.
async fn forgetful(users: Option<String>) -> RedisServer {
    RedisServer::start_with(ServerOptions {
        lines: vec!["appendonly no".to_owned()],
        login: users
            .is_some()
            .then(|| ("operator".to_owned(), "operator".to_owned())),
        users,
        ..ServerOptions::default()
    })
    .await
}

async fn restart_from_snapshot(server: &mut RedisServer) {
    server.kill();
    server.run().await;
}

fn limited(login: &str) -> NewSession {
    NewSession {
        limit: Some(SessionLimit {
            max: 1,
            per: LimitPer::Login,
            overflow: Overflow::EvictOldest,
        }),
        ..draft(login)
    }
}

/// Sessions that are to end, each in its own way, and one that stays.
struct Lives {
    logged_out: NewSession,
    put_out: [SessionId; 2],
    evicted: SessionId,
    expiring: SessionId,
    kept: SessionId,
}

impl Lives {
    async fn begin(b: &Backend) -> Self {
        let logged_out = draft("alice");
        b.create(logged_out.clone()).await;
        let expiring = NewSession {
            idle_timeout: MINUTE,
            ..draft("dave")
        };
        Self {
            logged_out,
            put_out: [b.open("bob").await, b.open("bob").await].map(|opened| opened.session_id),
            evicted: b.create(limited("carol")).await.session.session_id,
            expiring: b.create(expiring).await.session.session_id,
            kept: b.open("alice").await.session_id,
        }
    }

    /// How each of them ended.
    async fn end(&self, b: &Backend) -> Vec<(SessionId, Ended)> {
        b.advance(2 * MINUTE);
        b.end(self.logged_out.session_id).await;
        let which = EndAll {
            login_id: login_id("bob"),
            except: None,
            device: None,
            reason: EndReason::KickedOut,
            detail: None,
        };
        let put_out = b.stores.sessions.end_login(which, &access()).await;
        assert_eq!(put_out.unwrap().len(), 2);
        assert_eq!(b.create(limited("carol")).await.evicted, [self.evicted]);
        b.sweep().await;
        let [first, second] = self.put_out;
        let gone = [
            self.logged_out.session_id,
            first,
            second,
            self.evicted,
            self.expiring,
        ];
        let mut endings = Vec::new();
        for session_id in gone {
            endings.push((session_id, b.ended(session_id).await));
        }
        endings
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_snapshot_revives_no_session() {
    let mut server = forgetful(None).await;
    let clock = clock();
    let one = node(&server.url(), &clock).await;
    let two = node(&server.url(), &clock).await;
    let lives = Lives::begin(&one).await;
    server.ask::<()>("SAVE").await;
    let endings = lives.end(&one).await;
    one.advance(MINUTE);
    let diaries = [Diary::of(&one.stores).await, Diary::of(&two.stores).await];
    restart_from_snapshot(&mut server).await;
    for node in [&one.stores, &two.stores] {
        for (session_id, before) in &endings {
            eventually(DEADLINE, || async {
                ended(node, *session_id).await.as_ref() == Some(before)
            })
            .await;
        }
        assert!(is_live(node, lives.kept).await);
        let token = presented(&lives.logged_out);
        let refused = node.sessions.find_by_token(&token, Touch::Yes).await;
        assert!(matches!(refused, Ok(Lookup::Ended(_))));
    }
    let (events, _) = feed(&two.stores, FeedStart::Start).await;
    for (session_id, before) in endings {
        let told = events.iter().filter(|event| {
            event.fact.session_id == Some(session_id) && event.fact.at == before.at
        });
        assert_eq!(told.count(), 1, "{session_id}");
    }
    // They were counted when they ended first.
    for diary in diaries {
        assert_eq!(diary.outcomes().await, []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_snapshot_gives_no_service_back_what_it_lost() {
    let mut server = forgetful(None).await;
    let clock = clock();
    let one = node(&server.url(), &clock).await;
    let two = node(&server.url(), &clock).await;
    for id in ["removed", "disabled", "untouched"] {
        register(&one.stores, id).await;
    }
    server.ask::<()>("SAVE").await;
    one.advance(MINUTE);
    let (removed, admin) = (service("removed"), Manager::admin());
    let services = &one.stores.services;
    services.remove_service(&removed, &admin).await.unwrap();
    disable(&one.stores, "disabled").await;
    register(&one.stores, "new").await;
    restart_from_snapshot(&mut server).await;
    for node in [&one.stores, &two.stores] {
        eventually(DEADLINE, || async {
            enabled(node, "removed").await == Some(None)
                && enabled(node, "disabled").await == Some(Some(false))
                && enabled(node, "new").await == Some(Some(true))
        })
        .await;
        assert_eq!(enabled(node, "untouched").await, Some(Some(true)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hears_nothing_knows_what_it_has_done_itself() {
    let shipped = include_str!("../../../../deploy/redis/users.acl");
    let deaf = shipped.replace(" +subscribe", "");
    assert_ne!(deaf, shipped);
    let operator = "user operator on >operator ~* &* +@all\n";
    let mut server = forgetful(Some(format!("{deaf}{operator}"))).await;
    let user = "session-gateway:change-me@";
    let url = server
        .url()
        .replace("127.0.0.1", &format!("{user}127.0.0.1"));
    let clock = clock();
    let b = node(&url, &clock).await;
    let gone = b.open("alice").await.session_id;
    let kept = b.open("alice").await.session_id;
    server.ask::<()>("SAVE").await;
    b.end(gone).await;
    let before = b.ended(gone).await;
    restart_from_snapshot(&mut server).await;
    eventually(DEADLINE, || async {
        ended(&b.stores, gone).await.as_ref() == Some(&before)
    })
    .await;
    assert!(is_live(&b.stores, kept).await);
    let part = Partitions::Shards.of_login(&login_id("alice"));
    assert_eq!(b.stores.events.watermark(part), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_starts_knows_what_was_done_before() {
    let mut server = forgetful(None).await;
    let clock = clock();
    let gone = {
        let b = node(&server.url(), &clock).await;
        let gone = b.open("alice").await.session_id;
        server.ask::<()>("SAVE").await;
        b.end(gone).await;
        gone
    };
    server.ask::<()>("CONFIG RESETSTAT").await;
    let b = node(&server.url(), &clock).await;
    let before = b.ended(gone).await;
    settled(&b.stores, &server).await;
    restart_from_snapshot(&mut server).await;
    eventually(DEADLINE, || async {
        ended(&b.stores, gone).await.as_ref() == Some(&before)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_from_before_a_failover_misses_nothing_after_it() {
    let mut server = forgetful(None).await;
    let ahead = clock();
    let one = node(&server.url(), &ahead).await;
    let early = one.open("alice").await.session_id;
    server.ask::<()>("SAVE").await;
    one.advance(10 * MINUTE);
    one.put(early, "lost", "1").await;
    let (events, place) = feed(&one.stores, FeedStart::Start).await;
    assert_eq!(events.len(), 2);
    restart_from_snapshot(&mut server).await;
    // The clock of the new master is behind.
    let behind = clock();
    let two = node(&server.url(), &behind).await;
    two.advance(5 * MINUTE);
    two.put(early, "kept", "1").await;
    let (all, _) = feed(&two.stores, FeedStart::Start).await;
    eventually(DEADLINE, || async {
        one.stores.sessions.check().await.is_ok()
    })
    .await;
    let (after, _) = feed(&one.stores, place).await;
    let missed: Vec<_> = all.iter().filter(|event| !events.contains(event)).collect();
    assert_eq!(missed.len(), 1);
    assert!(missed.iter().all(|event| after.contains(event)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_tells_what_was_applied_again() {
    let mut server = forgetful(None).await;
    let launch = Launch::new()
        .unset("SGW_STORE")
        .set("SGW_STORE", &server.url());
    let gateway = launch.start().await;
    let admin = gateway.admin();
    let opened = open(&admin, json!({"login_id": "alice"})).await;
    server.ask::<()>("SAVE").await;
    // On a busy machine a deadline may pass.
    eventually(DEADLINE, || async {
        admin.delete(opened.path()).await.status != 503
    })
    .await;
    restart_from_snapshot(&mut server).await;
    let line = gateway.wait_for_stderr("what it took back").await;
    assert!(line.contains("sessions=1"), "{line}");
    eventually(DEADLINE, || async {
        let verify = admin.post("/v1/tokens/verify");
        let answer = verify.json(&json!({"token": opened.token})).await;
        answer.status == 200 && answer.json()["active"] == json!(false)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_snapshot_takes_back_no_rotation() {
    let mut server = forgetful(None).await;
    let b = node(&server.url(), &clock()).await;
    let (session_id, first) = rotation::opened(&b).await;
    server.ask::<()>("SAVE").await;
    rotation::rotate(&b, &first, 1).await.unwrap();
    let second = rotation::token(session_id, 1);
    b.advance(rotation::GRACE);
    rotation::rotate(&b, &second, 2).await.unwrap();
    restart_from_snapshot(&mut server).await;
    let sessions = &b.stores.sessions;
    let found = async |token| sessions.find_by_token(&token, Touch::No).await;
    eventually(DEADLINE, || async {
        matches!(
            found(rotation::token(session_id, 2)).await,
            Ok(Lookup::Live(_))
        )
    })
    .await;
    assert!(matches!(found(second).await, Ok(Lookup::Live(_))));
    assert_eq!(found(first).await.unwrap(), Lookup::Unknown);
    let story = b.types(session_id).await;
    let rotated = EventType::SessionRotated;
    assert_eq!(story, [EventType::SessionCreated, rotated, rotated]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_is_made_again_also_when_its_node_is_gone() {
    let mut server = forgetful(None).await;
    let clock = clock();
    let (one, two) = (
        node(&server.url(), &clock).await,
        node(&server.url(), &clock).await,
    );
    let (session_id, first) = rotation::opened(&one).await;
    all_heard_now(&two.stores).await;
    server.ask::<()>("SAVE").await;
    rotation::rotate(&one, &first, 1).await.unwrap();
    heard_now(&two.stores, Partitions::Shards.of_session(session_id)).await;
    drop(one);
    restart_from_snapshot(&mut server).await;
    let sessions = &two.stores.sessions;
    let successor = rotation::token(session_id, 1);
    eventually(DEADLINE, || async {
        let found = sessions.find_by_token(&successor, Touch::No).await;
        matches!(found, Ok(Lookup::Live(_)))
    })
    .await;
    let story = two.types(session_id).await;
    assert_eq!(story.last(), Some(&EventType::SessionRotated));
}

/// Whether a login is banned; nothing while that cannot be told.
async fn is_banned(stores: &Stores, login: &str) -> Option<bool> {
    let found = stores.sessions.find_ban(&login_id(login)).await;
    Some(found.ok()?.is_some())
}

async fn ban(stores: &Stores, login: &str) {
    let new = NewBan {
        login_id: login_id(login),
        until: None,
        reason: EndDetail::parse("spam").unwrap(),
    };
    let banned = stores.sessions.ban(new, &service("web")).await;
    banned.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_snapshot_neither_lifts_a_ban_nor_brings_one_back() {
    let mut server = forgetful(None).await;
    let clock = clock();
    let one = node(&server.url(), &clock).await;
    let two = node(&server.url(), &clock).await;
    ban(&one.stores, "lifted").await;
    let session = one.open("banned").await;
    server.ask::<()>("SAVE").await;
    one.advance(MINUTE);
    ban(&one.stores, "banned").await;
    let before = one.ended(session.session_id).await;
    let (lifted, web) = (login_id("lifted"), service("web"));
    one.stores.sessions.unban(&lifted, &web).await.unwrap();
    restart_from_snapshot(&mut server).await;
    for node in [&one.stores, &two.stores] {
        eventually(DEADLINE, || async {
            is_banned(node, "banned").await == Some(true)
                && is_banned(node, "lifted").await == Some(false)
                && ended(node, session.session_id).await.is_some()
        })
        .await;
        let found = ended(node, session.session_id).await.unwrap();
        assert_eq!(
            (found.reason, found.detail),
            (before.reason, before.detail.clone())
        );
    }
}
