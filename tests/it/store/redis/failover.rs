//! What a failover that forgets cannot take back: nodes apply again what was acknowledged.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use session_gateway::clock::{Clock, SettableClock};
use session_gateway::model::event::Event;
use session_gateway::model::id::SessionId;
use session_gateway::model::permission::{Permissions, Scope};
use session_gateway::model::service::{ServiceName, ServiceUpdate};
use session_gateway::model::session::{EndReason, Ended};
use session_gateway::model::token::CredentialHash;
use session_gateway::store::redis::{Deadlines, RedisSettings, RedisStore, RedisUrl};
use session_gateway::store::{
    EndAll, FeedPlace, LimitPer, Lookup, NewService, NewSession, Overflow, Part, SessionLimit,
    Stores, Touch,
};

use super::super::backend::{
    Backend, HOUR, MINUTE, SETTINGS, START, access, draft, limit, login_id, presented, service,
    target,
};
use super::super::listeners::{Notebook, heard_now};
use crate::support::redis::{
    FaultProxy, Mode, RedisCluster, RedisSentinels, RedisServer, ServerOptions, eventually,
};

/// Streams of the feed: one a shard, and that of the services.
const STREAMS: usize = 257;

/// Within which a failover is over and done with; generous, as the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(60);

async fn open_at(url: &str, clock: Option<Arc<dyn Clock>>) -> Stores {
    let second = Duration::from_secs(1);
    let settings = RedisSettings {
        url: RedisUrl::parse(url).unwrap(),
        ca_file: None,
        deadlines: Deadlines {
            wait: second,
            command: second,
            connect: second,
        },
        wait_replicas: 0,
        prefix: "sgw".to_owned(),
        idle_after: SETTINGS.idle_after,
        tombstone_retention: SETTINGS.tombstone_retention,
        event_retention: SETTINGS.event_retention,
        touch_interval: SETTINGS.touch_interval,
        sweep_grace: 24 * HOUR,
        test_clock: clock,
    };
    RedisStore::open(settings).await.unwrap()
}

async fn open(url: &str) -> Stores {
    open_at(url, None).await
}

/// A node whose clock stands.
async fn node(url: &str, clock: &Arc<SettableClock>) -> Backend {
    let own: Arc<dyn Clock> = Arc::<SettableClock>::clone(clock);
    Backend::over(open_at(url, Some(own)).await, Arc::clone(clock))
}

fn clock() -> Arc<SettableClock> {
    Arc::new(SettableClock::at(START))
}

/// How a session stands; nothing while that cannot be told.
async fn seen(stores: &Stores, session_id: SessionId) -> Option<Lookup<()>> {
    let found = stores.sessions.find(session_id, &Scope::All).await;
    Some(match found.ok()? {
        Lookup::Live(_) => Lookup::Live(Box::new(())),
        Lookup::Ended(tombstone) => Lookup::Ended(tombstone),
        Lookup::Unknown => Lookup::Unknown,
    })
}

async fn ended(stores: &Stores, session_id: SessionId) -> Option<Ended> {
    match seen(stores, session_id).await {
        Some(Lookup::Ended(tombstone)) => Some(tombstone.ended),
        Some(Lookup::Live(_) | Lookup::Unknown) | None => None,
    }
}

async fn is_live(stores: &Stores, session_id: SessionId) -> bool {
    matches!(seen(stores, session_id).await, Some(Lookup::Live(_)))
}

async fn feed(stores: &Stores, from: FeedPlace) -> (Vec<Event>, FeedPlace) {
    let mut events = Vec::new();
    let mut place = from;
    loop {
        let page = stores.events.events(&place, &[], limit(1_000)).await;
        let page = page.unwrap();
        events.extend(page.events);
        place = FeedPlace::At(page.next);
        if page.caught_up {
            return (events, place);
        }
    }
}

async fn register(stores: &Stores, id: &str) {
    let new = NewService {
        service_id: service(id),
        service_name: ServiceName::parse(id).unwrap(),
        permissions: Permissions::default(),
        secret: CredentialHash::of(id.as_bytes()),
        mark: None,
    };
    let admin = service("admin");
    stores.services.register(new, &admin).await.unwrap();
}

/// Whether a service is enabled; nothing if it is not there, or cannot be told of.
async fn enabled(stores: &Stores, id: &str) -> Option<bool> {
    let found = stores.services.find_service(&service(id)).await;
    Some(found.ok()??.service.enabled)
}

async fn disable(stores: &Stores, id: &str) {
    let update = ServiceUpdate {
        enabled: Some(false),
        ..ServiceUpdate::default()
    };
    let (id, admin) = (service(id), service("admin"));
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_snapshot_revives_nothing() {
    let mut server = forgetful(None).await;
    let clock = clock();
    let one = node(&server.url(), &clock).await;
    let two = node(&server.url(), &clock).await;
    let logged_out = draft("alice");
    let kept = draft("alice");
    for new in [&logged_out, &kept] {
        one.create(new.clone()).await;
    }
    let all = [one.open("bob").await, one.open("bob").await];
    let evicted = one.create(limited("carol")).await.session.session_id;
    let expiring = NewSession {
        idle_timeout: MINUTE,
        ..draft("dave")
    };
    one.create(expiring.clone()).await;
    for id in ["removed", "disabled", "untouched"] {
        register(&one.stores, id).await;
    }
    server.ask::<()>("SAVE").await;

    one.advance(2 * MINUTE);
    one.end(logged_out.session_id).await;
    let which = EndAll {
        login_id: login_id("bob"),
        except: None,
        device: None,
        reason: EndReason::KickedOut,
    };
    let sessions = &one.stores.sessions;
    assert_eq!(sessions.end_all(which, &access()).await.unwrap().len(), 2);
    assert_eq!(one.create(limited("carol")).await.evicted, [evicted]);
    one.sweep().await;
    let services = &one.stores.services;
    let (removed, admin) = (service("removed"), service("admin"));
    services.remove_service(&removed, &admin).await.unwrap();
    disable(&one.stores, "disabled").await;
    register(&one.stores, "new").await;
    let gone = [
        logged_out.session_id,
        all[0].session_id,
        all[1].session_id,
        evicted,
        expiring.session_id,
    ];
    let mut before = Vec::new();
    for session_id in gone {
        before.push(one.ended(session_id).await);
    }
    one.advance(MINUTE);
    restart_from_snapshot(&mut server).await;

    for node in [&one, &two] {
        for (session_id, before) in gone.into_iter().zip(&before) {
            eventually(DEADLINE, || async {
                ended(&node.stores, session_id).await.as_ref() == Some(before)
            })
            .await;
        }
        eventually(DEADLINE, || async {
            enabled(&node.stores, "removed").await.is_none()
                && enabled(&node.stores, "disabled").await == Some(false)
                && enabled(&node.stores, "new").await == Some(true)
        })
        .await;
        assert!(is_live(&node.stores, kept.session_id).await);
        assert_eq!(enabled(&node.stores, "untouched").await, Some(true));
        let token = presented(&logged_out);
        let refused = node.stores.sessions.find_by_token(&token, Touch::Yes);
        assert!(matches!(refused.await, Ok(Lookup::Ended(_))));
    }
    let (events, _) = feed(&two.stores, FeedPlace::Start).await;
    for (session_id, before) in gone.into_iter().zip(&before) {
        let told = events.iter().filter(|event| {
            event.fact.session_id == Some(session_id) && event.fact.at == before.at
        });
        assert_eq!(told.count(), 1, "{session_id}");
    }
}

/// The replica hears nothing of its master any more, and cannot come back to it.
async fn cut_off(replica: &RedisServer, master: &RedisServer) {
    for setting in ["masteruser nobody", "masterauth nothing"] {
        replica.ask::<()>(&format!("CONFIG SET {setting}")).await;
    }
    master.ask::<i64>("CLIENT KILL TYPE replica").await;
    eventually(DEADLINE, || async {
        replica.info("master_link_status").await == "down"
            && master.info("connected_slaves").await == "0"
    })
    .await;
}

/// Writes a session that the replica has too.
async fn open_replicated(stores: &Stores, master: &RedisServer, login: &str) -> NewSession {
    let new = draft(login);
    stores.sessions.create(new.clone()).await.unwrap();
    eventually(DEADLINE, || async {
        let behind = master.info("slave0").await;
        behind.contains(&format!(
            "offset={}",
            master.info("master_repl_offset").await
        ))
    })
    .await;
    new
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_takes_over_revives_nothing() {
    let mut all = RedisSentinels::start("watch").await;
    let url = format!(
        "redis+sentinel://{}/main?sentinel_password=watch",
        all.hosts()
    );
    let (one, two) = (open(&url).await, open(&url).await);
    let master = all.master().await.unwrap();
    let gone = open_replicated(&one, &all.servers[master], "alice").await;
    let kept = open_replicated(&one, &all.servers[master], "alice").await;
    cut_off(&all.servers[1 - master], &all.servers[master]).await;
    let done = one
        .sessions
        .end(target(gone.session_id), EndReason::KickedOut);
    done.await.unwrap();
    let before = ended(&one, gone.session_id).await.unwrap();
    // Whoever ended it is not there any more: the other node has heard of it.
    heard_now(&two, Part::of_login(&gone.login_id)).await;
    drop(one);
    all.servers[master].kill();
    let three = open(&url);
    eventually(DEADLINE, || async {
        ended(&two, gone.session_id).await.as_ref() == Some(&before)
    })
    .await;
    let three = three.await;
    assert_eq!(ended(&three, gone.session_id).await, Some(before));
    assert!(is_live(&three, kept.session_id).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_of_a_cluster_revives_nothing() {
    let mut cluster = RedisCluster::start().await;
    let url = format!("redis+cluster://{}", cluster.hosts());
    let stores = open(&url).await;
    let slot = slot_of(&cluster, "alice").await;
    let master = cluster.master_of(slot).await;
    let replica = replica_of(&cluster, master).await;
    let gone = open_replicated(&stores, &cluster.servers[master], "alice").await;
    let kept = open_replicated(&stores, &cluster.servers[master], "alice").await;
    cut_off(&cluster.servers[replica], &cluster.servers[master]).await;
    let done = stores
        .sessions
        .end(target(gone.session_id), EndReason::Logout);
    done.await.unwrap();
    let before = ended(&stores, gone.session_id).await.unwrap();
    cluster.servers[master].kill();
    eventually(DEADLINE, || async {
        cluster.master_of(slot).await == replica
            && ended(&stores, gone.session_id).await.as_ref() == Some(&before)
    })
    .await;
    assert!(is_live(&stores, kept.session_id).await);
    heard_now(&stores, Part::of_login(&gone.login_id)).await;
}

async fn slot_of(cluster: &RedisCluster, login: &str) -> u16 {
    let shard = login_id(login).shard();
    let asked = format!("CLUSTER KEYSLOT {{{shard:02x}}}");
    cluster.servers[0].ask(&asked).await
}

async fn replica_of(cluster: &RedisCluster, master: usize) -> usize {
    let port = cluster.servers[master].port.to_string();
    for (index, server) in cluster.servers.iter().enumerate() {
        if server.info("master_port").await == port {
            return index;
        }
    }
    panic!("it has no replica");
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
    let part = Part::of_login(&login_id("alice"));
    assert_eq!(b.stores.events.heard_until(part), None);
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
    let notebook = Notebook::of(&b.stores).await;
    assert_eq!(notebook.told(Part::of_session(gone)), []);
    // What happened before is read beside all else, stream by stream.
    eventually(DEADLINE, || async { reads(&server).await >= STREAMS }).await;
    restart_from_snapshot(&mut server).await;
    eventually(DEADLINE, || async {
        ended(&b.stores, gone).await.as_ref() == Some(&before)
    })
    .await;
}

/// How many ranges of streams the server was asked for.
async fn reads(server: &RedisServer) -> usize {
    let calls = server.info("cmdstat_xrange").await;
    let calls = calls
        .strip_prefix("calls=")
        .and_then(|rest| rest.split_once(','));
    calls.map_or(0, |(calls, _)| calls.parse().unwrap())
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
    let (events, place) = feed(&one.stores, FeedPlace::Start).await;
    assert_eq!(events.len(), 2);
    restart_from_snapshot(&mut server).await;
    // The clock of the new master is behind.
    let behind = clock();
    let two = node(&server.url(), &behind).await;
    two.advance(5 * MINUTE);
    two.put(early, "kept", "1").await;
    let (all, _) = feed(&two.stores, FeedPlace::Start).await;
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
async fn a_dead_channel_proves_nothing_and_loses_nothing() {
    let server = RedisServer::start().await;
    let proxy = FaultProxy::before(server.port).await;
    let far = open(&format!("redis://127.0.0.1:{}", proxy.port)).await;
    let near = open(&server.url()).await;
    let new = draft("alice");
    let part = Part::of_login(&new.login_id);
    near.sessions.create(new.clone()).await.unwrap();
    let notebook = Notebook::of(&far).await;
    proxy.set(Mode::BlackHole);
    let cut = tokio::time::Instant::now();
    let ended = near.sessions.end(target(new.session_id), EndReason::Logout);
    ended.await.unwrap();
    eventually(DEADLINE, || async {
        let until = far.events.heard_until(part);
        assert!(until.is_none_or(|until| until <= cut), "it cannot know");
        until.is_none()
    })
    .await;
    assert!(notebook.gaps().contains(&part));
    assert_eq!(notebook.told(part), []);
    proxy.set(Mode::Pass);
    heard_now(&far, part).await;
    let told = notebook.told(part);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].fact.session_id, Some(new.session_id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_takes_no_writes_proves_nothing() {
    let server = RedisServer::start().await;
    let stores = open(&server.url()).await;
    heard_now(&stores, Part::Services).await;
    server.ask::<()>("CONFIG SET min-replicas-to-write 1").await;
    let refused = tokio::time::Instant::now();
    let second = Duration::from_secs(1);
    eventually(DEADLINE, || async {
        let until = stores.events.heard_until(Part::Services);
        assert!(until.is_none_or(|until| until <= refused), "it cannot know");
        refused.elapsed() > second
    })
    .await;
    server.ask::<()>("CONFIG SET min-replicas-to-write 0").await;
    heard_now(&stores, Part::Services).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_is_closed_again_and_again_loses_nothing() {
    let server = RedisServer::start().await;
    let (listening, writing) = (open(&server.url()).await, open(&server.url()).await);
    let notebook = Notebook::of(&listening).await;
    let part = Part::of_login(&login_id("alice"));
    for number in 0..200 {
        let new = draft("alice");
        writing.sessions.create(new.clone()).await.unwrap();
        let ended = writing
            .sessions
            .end(target(new.session_id), EndReason::Logout);
        ended.await.unwrap();
        if number % 20 == 0 {
            server.ask::<i64>("CLIENT KILL TYPE pubsub").await;
        }
    }
    heard_now(&listening, part).await;
    let (feed, _) = feed(&writing, FeedPlace::Start).await;
    assert_eq!(feed.len(), 400);
    let mut known = BTreeSet::new();
    let mut told = notebook.told(part);
    told.retain(|event| known.insert(event.id.as_str().to_owned()));
    assert_eq!(told, feed);
    assert!(notebook.gaps().contains(&part));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_move_take_nothing_with_them() {
    let cluster = RedisCluster::start().await;
    let url = format!("redis+cluster://{}", cluster.hosts());
    let (listening, writing) = (open(&url).await, open(&url).await);
    let notebook = Notebook::of(&listening).await;
    let (from, to) = (cluster.master_of(0).await, cluster.master_of(16_383).await);
    let mut moving = cluster.reshard(from, to, 1_000);
    let mut opened = BTreeSet::new();
    let mut rounds = 0;
    while moving.try_wait().unwrap().is_none() || rounds < 2 {
        for number in 0..256 {
            let new = draft(&format!("login {number}"));
            let part = Part::of_login(&new.login_id);
            // What is refused while a slot moves may have been done all the same.
            if writing.sessions.create(new.clone()).await.is_ok() {
                opened.insert((part, new.session_id));
            }
        }
        rounds += 1;
    }
    assert!(moving.wait().unwrap().success());
    for part in opened
        .iter()
        .map(|(part, _)| *part)
        .collect::<BTreeSet<_>>()
    {
        heard_now(&listening, part).await;
    }
    let told = |part: Part, session_id| {
        let told = notebook.told(part);
        told.iter()
            .any(|event| event.fact.session_id == Some(session_id))
    };
    for (part, session_id) in opened {
        assert!(told(part, session_id), "{part:?}");
    }
}
