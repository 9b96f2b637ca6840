//! Sessions, together with their attributes and the index of their login: what must change together.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::{OpError, StoreError};
use crate::model::Timestamp;
use crate::model::filter::SessionFilter;
use crate::model::health::StoreHealth;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::login::Ban;
use crate::model::page::{Cursor, Page, PageLimit};
use crate::model::permission::Scope;
use crate::model::record::SessionRecord;
use crate::model::request::{Target, Touch};
use crate::model::session::{Life, Session, SessionState};
use crate::model::token::PresentedToken;
use crate::rules::ban::NewBan;
use crate::rules::change::Changed;
use crate::rules::create::{Created, NewSession};
use crate::rules::end::EndBatch;
use crate::rules::entry::Lookup;
use crate::rules::rotate::{Rotated, TokenRotation};
use crate::rules::write::SessionWrite;

/// A live session behind a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Its record as it was read; copies of it are shared.
    pub record: Arc<SessionRecord>,
    /// Its life, with every use of it counted, this one too.
    pub life: Life,
    /// Its state, as shown.
    pub state: SessionState,
    /// Until when the stored record lets it live: later than the moment of the answer. A touch that is still to be written
    /// may move it.
    pub stored_until: Timestamp,
}

impl Verified {
    /// The session, as shown.
    #[must_use]
    pub fn into_session(self) -> Session {
        let mut session = Arc::unwrap_or_clone(self.record).session;
        session.state = self.state;
        session.live(self.life);
        session
    }
}

/// A ban was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Banned {
    /// The ban.
    pub ban: Ban,
    /// How many sessions have ended for it.
    pub count: u64,
}

/// What is done of an ending of many, for now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndedMany {
    /// How many sessions ended.
    pub count: u64,
    /// The first of them, at most [`EndedMany::NAMED`].
    pub ended: Vec<SessionId>,
    /// Where it goes on; none if nothing is left.
    pub next: Option<EndPosition>,
}

impl EndedMany {
    /// The most sessions that are named.
    pub const NAMED: usize = 1_000;
}

/// Where an ending of many goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndPosition {
    /// What was opened after this moment lives on.
    pub moment: Timestamp,
    /// The session that was looked at last.
    pub last: Option<SessionId>,
    /// The shard that is walked, if each is walked by itself.
    pub shard: u8,
    /// Those that follow, the next one last, each with its moment.
    pub shards: Vec<(u8, Timestamp)>,
}

impl EndPosition {
    /// Before all that was opened until a moment, where nothing is walked by shards.
    #[must_use]
    pub fn before_all(moment: Timestamp) -> Self {
        Self {
            moment,
            last: None,
            shard: 0,
            shards: Vec::new(),
        }
    }

    /// After a session, where nothing is walked by shards.
    pub(super) fn after(last: SessionId, moment: Timestamp) -> Self {
        Self {
            moment,
            last: Some(last),
            shard: 0,
            shards: Vec::new(),
        }
    }
}

/// One step of an ending of many.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndedBatch {
    /// The sessions that it ended.
    pub ended: Vec<SessionId>,
    /// Where the next step begins; none after the last.
    pub next: Option<EndPosition>,
}

/// One step of marking sessions as ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MarkedBatch {
    /// How many sessions it marked.
    pub count: u64,
    /// The session that was looked at last, if more may follow.
    pub last: Option<SessionId>,
}

/// Sessions, together with their attributes and the index of their login: what must change together.
#[async_trait]
pub trait SessionStore: Debug + Send + Sync {
    /// The present moment by the store's clock, which judges every expiry.
    fn now(&self) -> Timestamp;

    /// How the store is, if it can be read and written right now.
    async fn check(&self) -> Result<StoreHealth, StoreError>;

    /// Opens a session if its id and token are unused, its login is not banned and the limit allows it, ending others to
    /// make room if the limit says so. Under any number of parallel creates the limit is exact; expired sessions do not
    /// count.
    async fn create(&self, new: NewSession) -> Result<Created, OpError>;

    /// Looks for a session by its id. Outside `scope` it is unknown.
    async fn find(
        &self,
        session_id: SessionId,
        scope: &Scope,
    ) -> Result<Lookup<Session>, StoreError>;

    /// Looks for the session behind a token, its present one or the previous one within its grace; with [`Touch::Yes`]
    /// this counts as use. The use itself may be written a little later, unless the stored life of the session is short.
    async fn find_by_token(
        &self,
        token: &PresentedToken,
        touch: Touch,
    ) -> Result<Lookup<Verified>, StoreError>;

    /// Judges a session again that was found before, by what is known here: the store's clock, and uses that are
    /// noted. With [`Touch::Yes`] this counts as use. `None`: only the store can tell.
    fn revalidate(&self, found: &Verified, touch: Touch) -> Option<Verified>;

    /// Makes one write to a session, merged with all others. Its version grows by exactly 1, or not at all if the write
    /// only lengthens or shortens its life, or is refused. One that ends leaves its tombstone; that it has ended is a
    /// refusal to any write, whatever version was expected.
    async fn write(&self, target: Target, write: SessionWrite) -> Result<Changed, OpError>;

    /// Where a token leads, whether it is good or not: that never changes.
    async fn session_of(&self, token: &PresentedToken) -> Result<Option<SessionId>, StoreError>;

    /// Puts a successor in the place of a session's token. Under any number of parallel calls it is one successor, which
    /// all of them get until the grace is over. After that, a token that is one of the session's last ends it as
    /// `token_reuse`, and the refusal tells so. The same successor for the same token is the same call.
    async fn rotate(&self, rotation: TokenRotation) -> Result<Rotated, OpError>;

    /// Does one step of an ending of many: of those that match, it ends the next in order, no more than `most` and 200, and
    /// looks at a bounded number of records, so it holds up nobody. The first step, which begins nowhere, fixes the moment:
    /// what was opened later lives on. A session is judged in the step that ends it. An engine that others can hold up
    /// tries a step again for a few seconds; what an attempt has ended whose answer was lost is told by the next.
    async fn end_batch(
        &self,
        batch: &EndBatch,
        from: Option<EndPosition>,
        most: usize,
    ) -> Result<EndedBatch, StoreError>;

    /// Does one step of marking the sessions of a login that were there when it was banned, from the one after `after` on:
    /// they have ended for whoever asks from now on, though the one event of each end is still to come: whoever meets a
    /// session, or else the sweep, writes its end. A step looks at no more than 200 records, and holds up nobody.
    async fn mark_banned(
        &self,
        ban: &Ban,
        after: Option<SessionId>,
    ) -> Result<MarkedBatch, StoreError>;

    /// Writes the ban of a login in place of any it has. From this moment on creates are refused; its sessions live on.
    async fn put_ban(&self, new: NewBan, by: &ServiceId) -> Result<Ban, StoreError>;

    /// The ban of a login that is in force.
    async fn find_ban(&self, login_id: &LoginId) -> Result<Option<Ban>, StoreError>;

    /// Lifts the ban of a login that is in force.
    async fn unban(&self, login_id: &LoginId, by: &ServiceId) -> Result<(), OpError>;

    /// One page of live sessions, newest first by id. A page has no more bytes, and looks at no more records and bytes, than
    /// [`PageRoom`](crate::model::page::PageRoom) says, so it may be short and not the last. What is read before the page
    /// ends has a bound, too.
    async fn list(
        &self,
        filter: &SessionFilter,
        scope: &Scope,
        limit: PageLimit,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Session>, OpError>;

    /// The exact number of live sessions, of one login or of all: all that the index tells of, without those that are over
    /// and not yet swept. No other record is looked at.
    async fn count(&self, login_id: Option<&LoginId>) -> Result<u64, StoreError>;

    /// How many sessions the index of a login tells of: at least as many as live.
    async fn index_size(&self, login_id: &LoginId) -> Result<u64, StoreError>;

    /// Does one bounded step of cleaning: ends what is expired at this moment, each session once on whatever node,
    /// and removes tombstones, events, operation ids and idempotency records that have been kept long enough. Tells
    /// whether more is due.
    async fn sweep(&self) -> Result<bool, StoreError>;
}
