//! One follower: what of the feed it has told, and how it comes to the next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::hub::{Hub, Told};
use super::missing::Missing;
use super::{Followers, Handle};
use crate::model::event::{Event, EventId, EventType, FeedStart};
use crate::model::page::{Cursor, PageLimit};
use crate::store::position::Position;
use crate::store::{EventFeed, FeedPage, FeedPosition, OpError, Partition, StoreError};

/// Events that one read takes; they are all that a follower holds.
const PAGE: usize = 500;
/// Events that are told at once.
const STEP: usize = 50;
/// A partition that the store was sure of longer ago than this is read from the feed, this often.
const UNHEARD: Duration = Duration::from_secs(5);
/// Between two looks whether it is sure.
const LOOK: Duration = Duration::from_secs(1);
/// How long a read waits for its turn.
const TURN: Duration = Duration::from_secs(10);
/// How often the feed is read although nothing is missing: the position of a follower that hears nothing grows old.
const SETTLE: Duration = Duration::from_secs(5 * 60);

/// An event, and the exact position after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The event.
    pub event: Event,
    /// Where to go on after it.
    pub position: Cursor,
}

/// Follows the feed. Dropping it makes room for another.
#[derive(Debug)]
pub struct Follower {
    feed: Handle<dyn EventFeed>,
    types: Vec<EventType>,
    /// Everything up to here was told.
    position: FeedPosition,
    /// What was read and is to be told before anything else.
    page: VecDeque<Event>,
    /// What the page looked at and the position is not yet past.
    passed: VecDeque<(Partition, Position)>,
    /// The position after the page.
    after_page: Option<FeedPosition>,
    missing: Missing,
    read_at: Instant,
    looked_at: Instant,
    told: Receiver<Told>,
    /// Whether the position has moved past what was not asked for.
    moved: bool,
    reads: Arc<Semaphore>,
    /// Keeps the sender of `told` alive.
    _hub: Arc<Hub>,
    _slot: OwnedSemaphorePermit,
}

impl Follower {
    /// Listens first and reads then, so that nothing comes in between.
    pub(super) async fn begin(
        followers: &Followers,
        from: &FeedStart,
        types: Vec<EventType>,
        slot: OwnedSemaphorePermit,
    ) -> Result<Self, OpError> {
        let told = followers.hub.listen();
        let page = read(&followers.feed, &followers.reads, from, &types).await?;
        let mut follower = Self {
            feed: followers.feed.clone(),
            types,
            position: page.start.clone(),
            page: VecDeque::new(),
            passed: VecDeque::new(),
            after_page: None,
            missing: Missing::default(),
            read_at: Instant::now(),
            looked_at: Instant::now(),
            told,
            moved: false,
            reads: Arc::clone(&followers.reads),
            _hub: Arc::clone(&followers.hub),
            _slot: slot,
        };
        follower.take_page(page);
        Ok(follower)
    }

    /// The next events: at once if there are any, else those that happen within `patience`, else none.
    ///
    /// # Errors
    /// A refusal is the end: the position is no longer kept. After a [`StoreError`] nothing is
    /// lost; the next call goes on, and reads again only after a pause.
    pub async fn next(&mut self, patience: Duration) -> Result<Vec<Placed>, OpError> {
        self.look_around();
        if self.after_page.is_none() && self.missing.is_due() {
            let from = FeedStart::At(self.position.exact());
            match read(&self.feed, &self.reads, &from, &self.types).await {
                Ok(page) => self.take_page(page),
                Err(error) => {
                    self.missing.failed();
                    return Err(error);
                }
            }
        }
        if let Some(after) = self.after_page.take() {
            return Ok(self.step(after));
        }
        Ok(self.hear(Instant::now() + patience).await)
    }

    /// The position up to which everything was told.
    #[must_use]
    pub fn position(&self) -> Cursor {
        self.position.cursor()
    }

    /// Whether that position lies after the last event that [`Self::next`] returned. Tells it once.
    pub fn has_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    fn take_page(&mut self, page: FeedPage) {
        self.read_at = Instant::now();
        self.missing.found(page.caught_up);
        self.position = page.start;
        self.page = page.events.into();
        self.passed = page.passed;
        self.after_page = Some(page.next);
    }

    /// Moves past an event of the page, and what the page looked at before it.
    fn pass(&mut self, event: &EventId) {
        let located = self.feed.partitions().locate(event);
        while let Some((partition, position)) = self.passed.pop_front() {
            self.position.pass_at(partition, position);
            if located == Some((partition, position)) {
                break;
            }
        }
        self.position.pass(event);
        self.position.told_before(event);
    }

    /// Some events of the page; the last one's position is that after the page.
    fn step(&mut self, after: FeedPosition) -> Vec<Placed> {
        let most = self.page.len().min(STEP);
        let events: Vec<Event> = self.page.drain(..most).collect();
        let mut step: Vec<Placed> = Vec::with_capacity(events.len());
        for event in events {
            self.pass(&event.id);
            let position = self.position.cursor();
            step.push(Placed { event, position });
        }
        if !self.page.is_empty() {
            self.after_page = Some(after);
            return step;
        }
        self.position = after;
        self.moved = step.is_empty();
        if let Some(last) = step.last_mut() {
            last.position = self.position.cursor();
        }
        step
    }

    /// Waits for what is told, and takes it together with what waits behind it.
    async fn hear(&mut self, until: Instant) -> Vec<Placed> {
        let until = self.missing.due().map_or(until, |due| due.min(until));
        let mut step = Vec::new();
        match timeout_at(until, self.told.recv()).await {
            Ok(Ok(told)) => self.take(told, &mut step),
            Ok(Err(RecvError::Lagged(_) | RecvError::Closed)) => self.missing.note_all(),
            Err(_nothing_came) => return step,
        }
        while step.len() < STEP {
            match self.told.try_recv() {
                Ok(told) => self.take(told, &mut step),
                Err(TryRecvError::Lagged(_)) => self.missing.note_all(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        step
    }

    fn take(&mut self, told: Told, step: &mut Vec<Placed>) {
        let event = match told {
            Told::Event(event) => event,
            Told::Gap(partition) => return self.missing.note(partition),
        };
        if self
            .missing
            .has(self.feed.partitions().of_fact(&event.fact))
            || !self.position.pass(&event.id)
        {
            return;
        }
        if self.missing.is_empty() {
            self.position.heard(&event);
        }
        let kind = event.fact.change.event_type();
        if !self.types.is_empty() && !self.types.contains(&kind) {
            self.moved = true;
            return;
        }
        self.moved = false;
        step.push(Placed {
            event: Event::clone(&event),
            position: self.position.cursor(),
        });
    }

    /// Reads the feed also when nobody can say that all was told, or when nothing was for long.
    fn look_around(&mut self) {
        if self.looked_at.elapsed() < LOOK {
            return;
        }
        self.looked_at = Instant::now();
        let since = self.read_at.elapsed();
        if since > SETTLE || since > UNHEARD && !self.all_is_heard() {
            self.missing.look_now();
        }
    }

    fn all_is_heard(&self) -> bool {
        self.feed.partitions().all().all(|partition| {
            let heard = self.feed.watermark(partition);
            heard.is_some_and(|until| until.elapsed() < UNHEARD)
        })
    }
}

async fn read(
    feed: &Handle<dyn EventFeed>,
    reads: &Semaphore,
    from: &FeedStart,
    types: &[EventType],
) -> Result<FeedPage, OpError> {
    let turn = timeout(TURN, reads.acquire()).await;
    let _turn = turn.map_err(|_elapsed| StoreError::Overloaded)?;
    let limit = PageLimit::new(PAGE).unwrap_or_default();
    // What happened since then is told to who listens.
    let heard = Instant::now().checked_sub(LOOK);
    feed.events_heard(from, types, limit, heard).await
}
