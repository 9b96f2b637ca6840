//! Followers of the feed: everything once, in order, from exact positions, whatever a follower misses meanwhile.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use session_gateway::model::event::{Event, EventId, EventType, FeedStart};
use session_gateway::model::page::PageLimit;
use session_gateway::model::request::Consistency;
use session_gateway::rules::refusal::Refusal;
use session_gateway::store::node::Handle;
use session_gateway::store::node::follow::{
    FollowError, Follower, FollowerPlace, Followers, Placed,
};
use session_gateway::store::{
    EventFeed, FeedPage, Listener, OpError, Origin, Partition, Partitions,
};
use tokio::time::Instant;

use super::backend::{Backend, SECOND, SETTINGS, draft, limit, refusal};

contract! {
    a_follower_is_told_what_was_and_what_happens,
    every_position_of_a_follower_is_exact,
    a_position_moves_past_each_event_once,
    a_follower_that_was_too_slow_reads_on,
    a_follower_whose_position_is_no_longer_kept_is_told_so,
    what_was_not_asked_for_moves_the_position_too,
    a_follower_that_leaves_makes_room_for_another,
}

const PATIENCE: Duration = Duration::from_millis(200);
/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(60);

fn followers(b: &Backend) -> Followers {
    Followers::new(b.stores.events.clone(), 2)
}

async fn follow(b: &Backend, types: &[EventType]) -> Follower {
    let begun = followers(b)
        .follow(&FeedStart::Start, types.to_vec(), FollowerPlace::Any)
        .await;
    begun.unwrap()
}

/// So many events; the deadlines of the store may pass on a busy machine.
async fn take(follower: &mut Follower, count: usize) -> Vec<Placed> {
    let mut taken = Vec::new();
    let start = Instant::now();
    while taken.len() < count {
        assert!(start.elapsed() < DEADLINE, "{taken:?}");
        match follower.next(PATIENCE).await {
            Ok(step) => taken.extend(step),
            Err(OpError::Store(_)) => {}
            Err(OpError::Refused(refusal)) => panic!("{refusal}"),
        }
    }
    taken
}

fn events(placed: &[Placed]) -> Vec<Event> {
    placed.iter().map(|placed| placed.event.clone()).collect()
}

async fn a_follower_is_told_what_was_and_what_happens(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    let mut follower = follow(b, &[]).await;
    assert_eq!(events(&take(&mut follower, 1).await), b.feed().await);
    b.put(session_id, "a", "1").await;
    b.end(session_id).await;
    b.open("bob").await;
    let told = events(&take(&mut follower, 3).await);
    let feed = b.feed().await;
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|event| feed[1..].contains(event)));
    let ids: HashSet<_> = told.iter().map(|event| event.id.clone()).collect();
    assert_eq!(ids.len(), 3);
    assert!(follower.next(PATIENCE).await.unwrap().is_empty());
}

async fn every_position_of_a_follower_is_exact(b: &Backend) {
    for login in ["alice", "bob", "carol"] {
        b.open(login).await;
    }
    let mut follower = follow(b, &[]).await;
    let mut told = take(&mut follower, 3).await;
    for login in ["alice", "dave"] {
        b.open(login).await;
        told.extend(take(&mut follower, 1).await);
    }
    let all: HashSet<EventId> = told.iter().map(|placed| placed.event.id.clone()).collect();
    let mut before = HashSet::new();
    for Placed { event, position } in told {
        before.insert(event.id);
        let position = FeedStart::At(position);
        let rest = b
            .stores
            .events
            .events(&position, &[], limit(50), Consistency::Now);
        let rest: Vec<_> = rest.await.unwrap().events;
        assert_eq!(rest.len(), all.len() - before.len());
        assert!(rest.iter().all(|event| !before.contains(&event.id)));
    }
}

async fn a_position_moves_past_each_event_once(b: &Backend) {
    for login in ["alice", "bob"] {
        b.open(login).await;
    }
    let feed = &b.stores.events;
    let read = async |from: &FeedStart| {
        let page = feed.events(from, &[], limit(9), Consistency::Now);
        page.await.unwrap()
    };
    let page = read(&FeedStart::Start).await;
    let mut progress = page.start;
    for event in &page.events {
        assert!(progress.pass(&event.id));
        assert!(!progress.pass(&event.id));
    }
    assert!(!progress.pass(&EventId::parse("never").unwrap()));
    let after = FeedStart::At(progress.cursor());
    assert_eq!(read(&after).await.events, []);
    let mut end = page.next;
    assert!(page.events.iter().all(|event| !end.pass(&event.id)));
}

async fn a_follower_that_was_too_slow_reads_on(b: &Backend) {
    const MANY: usize = 1_500;
    let mut follower = follow(b, &[]).await;
    b.create_all((0..MANY).map(|number| draft(&format!("login {number}"))))
        .await;
    let told = take(&mut follower, MANY).await;
    let ids: HashSet<EventId> = told.into_iter().map(|placed| placed.event.id).collect();
    assert_eq!(ids.len(), MANY);
}

async fn a_follower_whose_position_is_no_longer_kept_is_told_so(b: &Backend) {
    let followers = followers(b);
    b.open("alice").await;
    let mut first = follow(b, &[]).await;
    let position = take(&mut first, 1).await.remove(0).position;
    b.open("alice").await;
    b.advance(SETTINGS.event_retention + SECOND);
    b.sweep().await;
    let gone = followers
        .follow(&FeedStart::At(position), Vec::new(), FollowerPlace::Any)
        .await;
    match gone.unwrap_err() {
        FollowError::Feed(error) => assert_eq!(refusal::<()>(Err(error)), Refusal::CursorExpired),
        FollowError::Full => panic!("there is room"),
    }
}

async fn what_was_not_asked_for_moves_the_position_too(b: &Backend) {
    let mut follower = follow(b, &[EventType::SessionEnded]).await;
    while follower
        .next(PATIENCE)
        .await
        .is_ok_and(|step| !step.is_empty())
    {}
    follower.has_moved();
    let session_id = b.open("alice").await.session_id;
    while !follower.has_moved() {
        assert!(follower.next(PATIENCE).await.unwrap().is_empty());
    }
    let position = FeedStart::At(follower.position());
    let rest = b
        .stores
        .events
        .events(&position, &[], limit(9), Consistency::Now)
        .await
        .unwrap();
    assert_eq!(rest.events, []);
    b.end(session_id).await;
    let told = take(&mut follower, 1).await;
    assert_eq!(told[0].event.fact.session_id, Some(session_id));
}

async fn a_follower_that_leaves_makes_room_for_another(b: &Backend) {
    let followers = followers(b);
    let begin = || followers.follow(&FeedStart::Start, Vec::new(), FollowerPlace::Any);
    let one = begin().await.unwrap();
    let _two = begin().await.unwrap();
    assert!(matches!(begin().await, Err(FollowError::Full)));
    drop(one);
    begin().await.unwrap();
}

/// A feed whose listeners are told only what the test tells them.
#[derive(Debug)]
struct Silent {
    feed: Handle<dyn EventFeed>,
    listeners: Mutex<Vec<Arc<dyn Listener>>>,
}

#[async_trait]
impl EventFeed for Silent {
    async fn events(
        &self,
        from: &FeedStart,
        types: &[EventType],
        limit: PageLimit,
        _heard: Option<Instant>,
    ) -> Result<FeedPage, OpError> {
        let events = self.feed.events(from, types, limit, Consistency::Now);
        events.await
    }

    fn partitions(&self) -> Partitions {
        self.feed.partitions()
    }

    fn listen(&self, listener: Arc<dyn Listener>) {
        self.listeners.lock().unwrap().push(listener);
    }

    fn watermark(&self, partition: Partition) -> Option<Instant> {
        self.feed.watermark(partition)
    }
}

#[tokio::test]
async fn what_went_unheard_is_read_before_anything_after_it_is_told() {
    let b = Backend::in_memory();
    let silent = Arc::new(Silent {
        feed: b.stores.events.clone(),
        listeners: Mutex::default(),
    });
    let followers = Followers::new(Handle::new(Arc::<Silent>::clone(&silent)), 1);
    let begun = followers
        .follow(&FeedStart::Start, Vec::new(), FollowerPlace::Any)
        .await;
    let mut follower = begun.unwrap();
    let session_id = b.open("alice").await.session_id;
    b.end(session_id).await;
    assert!(follower.next(PATIENCE).await.unwrap().is_empty());
    let feed = b.feed().await;
    for listener in silent.listeners.lock().unwrap().iter() {
        listener.gap(silent.partitions().of_session(session_id));
        listener.event(&feed[1], Origin::default());
    }
    assert_eq!(events(&take(&mut follower, 2).await), feed);
}
