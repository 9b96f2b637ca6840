//! The feed: the streams of all shards, merged by time. A page reads a few entries of each, then more of those that
//! have more; its cursor is an exact place in every stream.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use super::link::Effect;
use super::places::{self, Place, STREAMS};
use super::reply::{Args, Reply};
use super::{ABREAST, Inner, RedisStore, events, scripts};
use crate::model::Timestamp;
use crate::model::event::{Event, EventType, Fact};
use crate::model::page::{PageLimit, RECORDS_PER_PAGE};
use crate::store::{EventFeed, EventPage, FeedPlace, Listener, OpError, Part, Refusal, StoreError};

/// How far apart the clocks of masters may be. Before the present by this much a quiet stream gets no more events.
const SKEW: Duration = Duration::from_secs(15 * 60);
/// From an event on, other streams are read from this much before it.
const MARGIN: Duration = Duration::from_secs(10);

/// Where a page begins.
enum Origin {
    Start,
    After(usize, Place),
    At(Vec<Place>),
}

/// A stream as far as a page has read it.
struct Source {
    stream: usize,
    /// Nothing at or before it is of interest.
    place: Place,
    entries: Vec<(Place, Option<Fact>)>,
    /// Whether more may follow the entries.
    open: bool,
    now: Timestamp,
    /// The newest event that is no longer told of.
    over: Option<Place>,
    newest: Option<Place>,
}

#[async_trait]
impl EventFeed for RedisStore {
    async fn events(
        &self,
        from: &FeedPlace,
        types: &[EventType],
        limit: PageLimit,
    ) -> Result<EventPage, OpError> {
        let origin = match from {
            FeedPlace::Start => Origin::Start,
            FeedPlace::AfterEvent(id) => {
                let (stream, place) = places::place_of(id).ok_or(Refusal::CursorInvalid)?;
                Origin::After(stream, place)
            }
            FeedPlace::At(cursor) => {
                Origin::At(places::decode(cursor).ok_or(Refusal::CursorInvalid)?)
            }
        };
        let sources = self.inner.open_feed(&origin, types, limit).await?;
        Ok(page(sources, types, limit))
    }

    fn listen(&self, listener: Arc<dyn Listener>) {
        self.inner.listeners.add(listener);
    }

    fn heard_until(&self, _part: Part) -> Option<Instant> {
        None
    }
}

impl Origin {
    fn place(&self, stream: usize) -> Place {
        match self {
            Self::Start => Place::default(),
            Self::After(own, place) if *own == stream => *place,
            Self::After(_, place) => Place {
                millis: place.millis.saturating_sub(millis(MARGIN)),
                number: 0,
            },
            Self::At(places) => places.get(stream).copied().unwrap_or_default(),
        }
    }

    /// Whether the page may begin here, as far as one stream can tell.
    fn check(&self, source: &Source, kept: Duration) -> Result<(), Refusal> {
        let gone = |place: Place| source.over.is_some_and(|over| place < over);
        let expired = match self {
            Self::Start => false,
            Self::After(own, place) if *own == source.stream => {
                let kept_since = source.now.minus(kept).sort_key();
                let known = source.newest.is_some_and(|newest| *place <= newest);
                if !known && place.millis > kept_since {
                    return Err(Refusal::CursorInvalid);
                }
                !known || gone(*place)
            }
            Self::After(own, place) => source
                .over
                .is_some_and(|over| (over, source.stream) > (*place, *own)),
            // A stream is dropped when it was quiet for twice as long as events are kept.
            Self::At(_) if source.newest.is_none() => {
                let dropped = source.now.minus(2 * kept);
                source.place.millis < dropped.sort_key()
            }
            Self::At(_) => gone(source.place),
        };
        if expired {
            Err(Refusal::CursorExpired)
        } else {
            Ok(())
        }
    }
}

impl Inner {
    /// Reads as many entries as a page needs and may look at.
    async fn open_feed(
        &self,
        origin: &Origin,
        types: &[EventType],
        limit: PageLimit,
    ) -> Result<Vec<Source>, OpError> {
        let each = RECORDS_PER_PAGE / STREAMS;
        let reads = (0..STREAMS).map(|stream| self.read(stream, origin.place(stream), each));
        let sources: Vec<Source> = stream::iter(reads).buffered(ABREAST).try_collect().await?;
        let mut sources = sources;
        for source in &mut sources {
            origin.check(source, self.settings.event_retention)?;
            source.forget_what_is_over();
        }
        loop {
            let looked_at: usize = sources.iter().map(|source| source.entries.len()).sum();
            let room = RECORDS_PER_PAGE.saturating_sub(looked_at);
            let open = sources.iter().filter(|source| source.open).count();
            if open == 0 || room < open || wanted(&sources, types) >= limit.get() {
                return Ok(sources);
            }
            for source in sources.iter_mut().filter(|source| source.open) {
                let more = self.read(source.stream, source.last(), room / open).await?;
                source.entries.extend(more.entries);
                source.open = more.open;
            }
        }
    }

    async fn read(&self, stream: usize, place: Place, most: usize) -> Result<Source, StoreError> {
        let from = (place != Place::default()).then_some(place);
        let args = Args::new().maybe(from).show(most);
        let slot = places::slot(stream);
        let effect = Effect::Repeatable;
        let mut reply = self.run(slot, &scripts::FEED, args, effect).await?;
        reply.text()?;
        let now = reply.moment()?;
        let (over, newest) = (reply.text()?.parse().ok(), reply.text()?.parse().ok());
        let entries = entries(reply.list()?)?;
        Ok(Source {
            stream,
            place,
            open: entries.len() == most,
            entries,
            now,
            over,
            newest,
        })
    }
}

fn entries(mut list: Reply) -> Result<Vec<(Place, Option<Fact>)>, StoreError> {
    let mut entries = Vec::new();
    while !list.is_empty() {
        let mut entry = list.list()?;
        let place = entry.text()?.parse().unwrap_or_default();
        entries.push((place, events::decode(entry.fields()?)));
    }
    Ok(entries)
}

impl Source {
    fn last(&self) -> Place {
        self.entries.last().map_or(self.place, |(place, _)| *place)
    }

    fn forget_what_is_over(&mut self) {
        if let Some(over) = self.over {
            self.place = self.place.max(over);
            self.entries.retain(|(place, _)| *place > over);
        }
    }

    /// The place after everything was read to its end: time has passed in which nothing happened.
    fn settle(&mut self) {
        let quiet = self.now.minus(SKEW).sort_key();
        let quiet = Place {
            millis: quiet,
            number: 0,
        };
        self.place = self.place.max(quiet);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn is_wanted(fact: &Fact, types: &[EventType]) -> bool {
    types.is_empty() || types.contains(&fact.change.event_type())
}

/// Up to where all streams are read: what comes later waits for the next page.
fn horizon(sources: &[Source]) -> Option<(Place, usize)> {
    let open = sources.iter().filter(|source| source.open);
    open.map(|source| (source.last(), source.stream)).min()
}

fn within(horizon: Option<(Place, usize)>, key: (Place, usize)) -> bool {
    horizon.is_none_or(|horizon| key <= horizon)
}

/// How many events the page has so far.
fn wanted(sources: &[Source], types: &[EventType]) -> usize {
    let horizon = horizon(sources);
    let entries = sources.iter().flat_map(|source| {
        source
            .entries
            .iter()
            .map(move |(place, fact)| ((*place, source.stream), fact))
    });
    entries
        .filter(|(key, _)| within(horizon, *key))
        .filter(|(_, fact)| fact.as_ref().is_some_and(|fact| is_wanted(fact, types)))
        .count()
}

fn page(mut sources: Vec<Source>, types: &[EventType], limit: PageLimit) -> EventPage {
    let horizon = horizon(&sources);
    let mut waiting: Vec<((Place, usize), Option<Fact>)> = Vec::new();
    for source in &mut sources {
        let entries = std::mem::take(&mut source.entries).into_iter();
        waiting.extend(entries.map(|(place, fact)| ((place, source.stream), fact)));
    }
    waiting.sort_by_key(|(key, _)| *key);
    let mut left = waiting.into_iter().peekable();
    let mut events = Vec::new();
    while events.len() < limit.get()
        && let Some(((place, stream), fact)) = left.next_if(|(key, _)| within(horizon, *key))
    {
        if let Some(source) = sources.get_mut(stream) {
            source.place = place;
        }
        if let Some(fact) = fact.filter(|fact| is_wanted(fact, types))
            && let Some(id) = places::event_id(stream, place)
        {
            events.push(Event { id, fact });
        }
    }
    let caught_up = left.peek().is_none() && horizon.is_none();
    let unread: Vec<usize> = left.map(|((_, stream), _)| stream).collect();
    for source in &mut sources {
        if !source.open && !unread.contains(&source.stream) {
            source.settle();
        }
    }
    let places: Vec<Place> = sources.iter().map(|source| source.place).collect();
    EventPage {
        events,
        next: places::encode(&places),
        caught_up,
    }
}
