//! Pages, counts, summaries.

use session_gateway::model::filter::SessionFilter;
use session_gateway::model::id::SessionId;
use session_gateway::model::page::{Cursor, RECORDS_PER_PAGE};
use session_gateway::model::permission::Scope;
use session_gateway::model::session::{ConnectionId, SessionState};
use session_gateway::rules::create::NewSession;
use session_gateway::rules::refusal::Refusal;

use super::backend::{
    Backend, IDLE, MINUTE, SECOND, device, draft, limit, login_id, opened_by, presented, refusal,
    service,
};

contract! {
    pages_go_from_the_newest_to_the_oldest,
    a_list_visits_each_session_once_while_it_changes,
    filters_hold_together,
    a_filter_that_matches_little_gives_short_pages,
    a_foreign_cursor_is_refused,
    a_login_is_summed_up,
    counts_are_exact,
}

async fn walk(b: &Backend, filter: &SessionFilter, items: usize) -> Vec<SessionId> {
    let mut ids = Vec::new();
    let mut cursor = None;
    loop {
        let list = b
            .stores
            .sessions
            .list(filter, &Scope::All, limit(items), cursor.as_ref())
            .await;
        let page = list.unwrap();
        assert!(page.items.len() <= items);
        ids.extend(page.items.into_iter().map(|session| session.session_id));
        cursor = page.next;
        if cursor.is_none() {
            return ids;
        }
    }
}

fn of_login(login: &str) -> SessionFilter {
    SessionFilter {
        login_id: Some(login_id(login)),
        ..SessionFilter::default()
    }
}

async fn pages_go_from_the_newest_to_the_oldest(b: &Backend) {
    let (mut all, mut alices) = (Vec::new(), Vec::new());
    for number in 0..7 {
        let login = if number % 2 == 0 { "alice" } else { "bob" };
        let session_id = b.open(login).await.session_id;
        all.insert(0, session_id);
        if login == "alice" {
            alices.insert(0, session_id);
        }
    }
    for items in [1, 2, 3, 7, 100] {
        assert_eq!(walk(b, &SessionFilter::default(), items).await, all);
        assert_eq!(walk(b, &of_login("alice"), items).await, alices);
    }
    assert_eq!(walk(b, &of_login("nobody"), 1).await, []);
}

async fn a_list_visits_each_session_once_while_it_changes(b: &Backend) {
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.insert(0, b.open("alice").await.session_id);
    }
    let filter = SessionFilter::default();
    let sessions = &b.stores.sessions;
    let first = sessions
        .list(&filter, &Scope::All, limit(2), None)
        .await
        .unwrap();
    b.open("alice").await;
    b.end(first.items[1].session_id).await;
    b.end(ids[3]).await;
    let rest = sessions
        .list(&filter, &Scope::All, limit(10), first.next.as_ref())
        .await;
    let rest: Vec<_> = rest.unwrap().items;
    let rest: Vec<_> = rest.iter().map(|session| session.session_id).collect();
    assert_eq!(rest, [ids[2], ids[4], ids[5]]);
}

async fn filters_hold_together(b: &Backend) {
    let connected = NewSession {
        device: Some(device("ios")),
        connection_id: Some(ConnectionId::parse("c-1").unwrap()),
        client_ip: Some("203.0.113.7".parse().unwrap()),
        service_id: service("mobile"),
        ..draft("alice")
    };
    b.open("alice").await;
    b.advance(SECOND);
    let between = b.now();
    b.advance(SECOND);
    b.create(connected.clone()).await;
    b.advance(SECOND);
    let all = SessionFilter {
        login_id: Some(login_id("alice")),
        service_id: Some(service("mobile")),
        device: Some(device("ios")),
        state: Some(SessionState::Active),
        connection_id: connected.connection_id.clone(),
        client_ip: connected.client_ip,
        created_after: Some(between),
        created_before: Some(b.now()),
        active_after: Some(between),
        active_before: Some(b.now()),
    };
    assert_eq!(walk(b, &all, 10).await, [connected.session_id]);
    let other = SessionFilter {
        device: Some(device("web")),
        ..all.clone()
    };
    assert_eq!(walk(b, &other, 10).await, []);
    let scope = opened_by("mobile");
    let own = b
        .stores
        .sessions
        .list(&of_login("alice"), &scope, limit(9), None)
        .await;
    assert_eq!(own.unwrap().items.len(), 1);
    b.advance(10 * MINUTE);
    assert_eq!(walk(b, &all, 10).await, []);
    let idle = SessionFilter {
        state: Some(SessionState::Idle),
        ..all
    };
    assert_eq!(walk(b, &idle, 10).await, [connected.session_id]);
}

async fn a_filter_that_matches_little_gives_short_pages(b: &Backend) {
    let needle = b.open("needle").await.session_id;
    let hay = (0..=RECORDS_PER_PAGE).map(|_| draft("hay"));
    b.create_all(hay).await;
    let filter = SessionFilter {
        created_before: Some(b.now().plus(SECOND)),
        service_id: Some(service("nobody")),
        ..SessionFilter::default()
    };
    let list = b
        .stores
        .sessions
        .list(&filter, &Scope::All, limit(1), None)
        .await;
    let page = list.unwrap();
    assert!(page.items.is_empty() && page.next.is_some());
    assert_eq!(walk(b, &of_login("needle"), 1).await, [needle]);
    assert_eq!(walk(b, &filter, 1).await, []);
}

async fn a_foreign_cursor_is_refused(b: &Backend) {
    b.open("alice").await;
    for place in [&b""[..], b"s", b"s123", b"x0123456789abcdef", &[b's'; 18]] {
        let cursor = Cursor::new(place.to_vec());
        let filter = SessionFilter::default();
        let list = b
            .stores
            .sessions
            .list(&filter, &Scope::All, limit(1), Some(&cursor))
            .await;
        assert_eq!(refusal(list), Refusal::CursorInvalid);
    }
}

async fn a_login_is_summed_up(b: &Backend) {
    let sessions = &b.stores.sessions;
    let nobody = sessions.login(&login_id("nobody")).await.unwrap();
    assert_eq!((nobody.session_count, nobody.online), (0, false));
    assert_eq!((nobody.devices, nobody.last_active_at), (vec![], None));
    for kind in ["web", "ios", "web"] {
        let new = NewSession {
            device: Some(device(kind)),
            ..draft("alice")
        };
        b.create(new).await;
        b.advance(MINUTE);
    }
    let plain = draft("alice");
    b.create(plain.clone()).await;
    b.advance(MINUTE);
    b.verified(&presented(&plain)).await;
    let alice = sessions.login(&login_id("alice")).await.unwrap();
    assert_eq!(alice.session_count, 4);
    assert_eq!(alice.devices, [device("ios"), device("web")]);
    assert_eq!(alice.last_active_at, Some(b.now()));
    b.end(plain.session_id).await;
    b.advance(IDLE - 3 * MINUTE);
    let alice = sessions.login(&login_id("alice")).await.unwrap();
    assert_eq!(alice.session_count, 1);
    assert_eq!(alice.devices, [device("web")]);
}

async fn counts_are_exact(b: &Backend) {
    let sessions = &b.stores.sessions;
    let used = draft("alice");
    b.create(used.clone()).await;
    for _ in 0..4 {
        b.open("alice").await;
        b.open("bob").await;
    }
    assert_eq!(b.count().await, 9);
    b.advance(IDLE - MINUTE);
    b.verified(&presented(&used)).await;
    b.open("bob").await;
    b.advance(MINUTE);
    assert_eq!(b.count().await, 2);
    assert_eq!(sessions.count(Some(&login_id("alice"))).await.unwrap(), 1);
    b.sweep().await;
    assert_eq!(b.count().await, 2);
}
