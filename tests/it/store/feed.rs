//! The feed: every change, in order, with positions that stay exact.

use session_gateway::model::event::{Change, EventId, EventType, FeedStart};
use session_gateway::model::page::Cursor;
use session_gateway::model::request::Consistency;
use session_gateway::rules::refusal::Refusal;
use session_gateway::store::{FeedPage, OpError};

use super::backend::{Backend, SECOND, SETTINGS, device, draft, limit, login_id, refusal, service};
use session_gateway::rules::create::NewSession;

contract! {
    an_event_tells_what_happened_to_whom,
    pages_join_without_gap_or_repetition,
    types_narrow_the_feed,
    an_event_is_a_position_too,
    what_was_kept_long_enough_goes,
    a_position_that_never_was_is_refused,
}

async fn read(b: &Backend, from: &FeedStart, items: usize) -> Result<FeedPage, OpError> {
    b.stores
        .events
        .events(from, &[], limit(items), Consistency::Now)
        .await
}

async fn an_event_tells_what_happened_to_whom(b: &Backend) {
    let new = NewSession {
        device: Some(device("web")),
        ..draft("alice")
    };
    b.create(new.clone()).await;
    let page = read(b, &FeedStart::Start, 10).await.unwrap();
    assert!(page.caught_up);
    let fact = &page.events[0].fact;
    assert_eq!(fact.at, b.now());
    assert_eq!(fact.session_id, Some(new.session_id));
    assert_eq!(fact.login_id, Some(login_id("alice")));
    assert_eq!(fact.service_id, service("api"));
    let created = Change::SessionCreated {
        device: Some(device("web")),
    };
    assert_eq!(fact.change, created);
}

async fn pages_join_without_gap_or_repetition(b: &Backend) {
    let empty = read(b, &FeedStart::Start, 10).await.unwrap();
    assert!(empty.events.is_empty() && empty.caught_up);
    let session_id = b.open("alice").await.session_id;
    for number in 0..9 {
        b.put(session_id, "a", &number.to_string()).await;
    }
    let whole = b.feed().await;
    assert_eq!(whole.len(), 10);
    let mut position = FeedStart::At(empty.next.cursor());
    let mut joined = Vec::new();
    loop {
        let page = read(b, &position, 3).await.unwrap();
        joined.extend(page.events);
        position = FeedStart::At(page.next.cursor());
        if page.caught_up {
            break;
        }
    }
    assert_eq!(joined, whole);
    let nothing = read(b, &position, 3).await.unwrap();
    assert!(nothing.events.is_empty() && nothing.caught_up);
    b.end(session_id).await;
    let more = read(b, &FeedStart::At(nothing.next.cursor()), 3)
        .await
        .unwrap();
    assert_eq!(more.events.len(), 1);
}

async fn types_narrow_the_feed(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    b.put(session_id, "a", "1").await;
    b.end(session_id).await;
    b.open("bob").await;
    let types = [EventType::SessionEnded];
    let feed = &b.stores.events;
    let page = feed
        .events(&FeedStart::Start, &types, limit(9), Consistency::Now)
        .await
        .unwrap();
    assert_eq!(page.events.len(), 1);
    assert!(page.caught_up);
    let after = FeedStart::At(page.next.cursor());
    assert_eq!(read(b, &after, 9).await.unwrap().events, []);
}

async fn an_event_is_a_position_too(b: &Backend) {
    for login in ["alice", "bob", "carol"] {
        b.open(login).await;
    }
    let feed = b.feed().await;
    let position = FeedStart::AfterEvent(feed[0].id.clone());
    let page = read(b, &position, 9).await.unwrap();
    assert!(page.events.ends_with(&feed[1..]));
    let end = FeedStart::AfterEvent(feed[2].id.clone());
    assert!(read(b, &end, 9).await.unwrap().caught_up);
}

async fn what_was_kept_long_enough_goes(b: &Backend) {
    b.open("alice").await;
    b.open("bob").await;
    let first = read(b, &FeedStart::Start, 1).await.unwrap();
    let event = FeedStart::AfterEvent(first.events[0].id.clone());
    let cursor = FeedStart::At(first.next.cursor());
    let end = FeedStart::At(read(b, &FeedStart::Start, 9).await.unwrap().next.cursor());
    b.advance(SETTINGS.event_retention - SECOND);
    b.sweep().await;
    assert_eq!(read(b, &cursor, 9).await.unwrap().events.len(), 3);
    b.advance(SECOND);
    b.sweep().await;
    for position in [&event, &cursor] {
        let refused = refusal(read(b, position, 9).await);
        assert_eq!(refused, Refusal::CursorExpired);
    }
    let left = read(b, &end, 9).await.unwrap().events;
    let types: Vec<_> = left
        .iter()
        .map(|event| event.fact.change.event_type())
        .collect();
    assert_eq!(types, [EventType::SessionEnded; 2]);
    b.advance(SETTINGS.event_retention);
    b.sweep().await;
    let position = FeedStart::At(read(b, &FeedStart::Start, 9).await.unwrap().next.cursor());
    let id = b.open("carol").await.session_id;
    let after = read(b, &position, 9).await.unwrap().events;
    assert_eq!(after[0].fact.session_id, Some(id));
    assert!(!left.iter().any(|event| event.id == after[0].id));
}

async fn a_position_that_never_was_is_refused(b: &Backend) {
    b.open("alice").await;
    let text = |text: &str| FeedStart::AfterEvent(EventId::parse(text).unwrap());
    let bytes = |bytes: &[u8]| FeedStart::At(Cursor::new(bytes.to_vec()));
    for position in [
        text("never"),
        text("ffffffffffffffff"),
        bytes(b""),
        bytes(b"e12345678"),
        bytes(b"s0123456789abcdef"),
    ] {
        let refused = refusal(read(b, &position, 9).await);
        assert_eq!(refused, Refusal::CursorInvalid, "{position:?}");
    }
}
