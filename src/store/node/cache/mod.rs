//! The node-local cache: copies of what was found, which answer *live*.
//!
//! Every *no* comes from the engine. A copy is good while all of this holds:
//! - the engine, judging it by its clock, still calls it live;
//! - every change that was acknowledged up to [`CacheSettings::max_staleness`] ago has been heard of
//!   ([`EventFeed::watermark`]), so that an ending is never later here than that;
//! - no change of it was heard of, or made here, since before it was read (`generations`).
//!
//! Memory is bounded; what is used least goes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::request::Touch;
use crate::model::service::ServiceRecord;
use crate::model::token::PresentedToken;
use crate::rules::entry::Lookup;
use crate::store::{CacheStats, EventFeed, Partition, Partitions, SessionStore, Verified};

mod entries;
mod generations;
mod hits;

use entries::{Begun, Entries};
use generations::Generation;

/// How far copies are trusted, and how many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSettings {
    /// How old an answer may be.
    pub max_staleness: Duration,
    /// How much memory copies of sessions may take.
    pub max_bytes: u64,
}

/// Copies of this node, and what tells that changes are heard of.
#[derive(Debug)]
pub struct Cache {
    entries: Arc<Entries>,
    feed: Arc<dyn EventFeed>,
    max_staleness: Duration,
}

impl Cache {
    /// A cache that listens to this feed.
    #[must_use]
    pub fn over(feed: &Arc<dyn EventFeed>, settings: CacheSettings) -> Self {
        let entries = Arc::new(Entries::new(settings.max_bytes, feed.partitions()));
        feed.listen(Arc::<Entries>::clone(&entries) as _);
        Self {
            entries,
            feed: Arc::clone(feed),
            max_staleness: settings.max_staleness,
        }
    }

    /// What was proven since then is fresh enough.
    pub(super) fn oldest_proof(&self) -> Option<Instant> {
        Instant::now().checked_sub(self.max_staleness)
    }

    /// How often copies had the answer, and how many there are.
    pub(super) fn stats(&self) -> CacheStats {
        self.entries.stats()
    }

    /// What a copy tells of the session behind a token, if there is a good one.
    pub(super) fn session(
        &self,
        engine: &dyn SessionStore,
        token: &PresentedToken,
        touch: Touch,
    ) -> Option<Verified> {
        let known = self.judge_session(engine, token, touch);
        self.entries.asked_of_sessions.count(known.is_some());
        known
    }

    fn judge_session(
        &self,
        engine: &dyn SessionStore,
        token: &PresentedToken,
        touch: Touch,
    ) -> Option<Verified> {
        let session_id = self.known_session(token)?;
        // The proof is asked for before the copy: a change that it vouches for has ended the copy by then. The other way
        // round one could be heard, and proven, between the two.
        if !self.is_proven(self.partitions().of_session(session_id)) {
            return None;
        }
        let entry = self.entries.session(session_id)?;
        // Uses on other nodes are not told: only this very use makes the times of an older copy right.
        let tells = match touch {
            Touch::Yes => true,
            Touch::No | Touch::Look => self.is_recent(entry.read_at),
        };
        let record = &entry.found.record;
        if !tells || record.token.hash != token.hash || record.is_unused() {
            return None;
        }
        engine.revalidate(&entry.found, touch)
    }

    /// To be called before a token is looked for.
    pub(super) fn begin_session(&self, token: &PresentedToken) -> Option<(SessionId, Begun)> {
        let session_id = self.known_session(token)?;
        Some((session_id, self.entries.begin_session(session_id)))
    }

    /// Keeps what was found, if it is what was looked for.
    pub(super) fn keep_session(
        &self,
        token: &PresentedToken,
        begun: Option<(SessionId, Begun)>,
        found: &Lookup<Verified>,
    ) {
        let Lookup::Live(live) = found else {
            return;
        };
        let session_id = live.record.session.session_id;
        if token.session_id.is_none() {
            self.entries.note_holder(&token.hash, session_id);
        }
        // It may have been overtaken while it was read: its generation tells when it is looked at, so nothing is asked
        // here, where a change could still slip in between the question and the insertion.
        if let Some((_, begun)) = begun.filter(|(known, _)| *known == session_id) {
            self.entries.keep_session(Verified::clone(live), begun);
        }
    }

    fn known_session(&self, token: &PresentedToken) -> Option<SessionId> {
        token
            .session_id
            .or_else(|| self.entries.holder(&token.hash))
    }

    pub(super) fn invalidate_token(&self, token: &PresentedToken) {
        if let Some(session_id) = self.known_session(token) {
            self.entries.invalidate_session(session_id);
        }
    }

    pub(super) fn invalidate_sessions(&self, session_ids: &[SessionId]) {
        for session_id in session_ids {
            self.entries.invalidate_session(*session_id);
        }
    }

    /// Any session of this login may have changed.
    pub(super) fn invalidate_login(&self, login_id: &LoginId) {
        let partition = self.partitions().of_login(login_id);
        self.entries.invalidate_partition(partition);
    }

    pub(super) fn invalidate_all(&self) {
        for partition in self.partitions().all() {
            self.entries.invalidate_partition(partition);
        }
    }

    /// The copy of a service, if there is a good one.
    pub(super) fn service(&self, service_id: &ServiceId) -> Option<Arc<ServiceRecord>> {
        let proven = self.is_proven(self.partitions().of_services());
        let known = proven.then(|| self.entries.service(service_id)).flatten();
        self.entries.asked_of_services.count(known.is_some());
        known
    }

    /// To be called before a service is looked for.
    pub(super) fn begin_service(&self) -> Generation {
        self.entries.begin_services()
    }

    pub(super) fn keep_service(&self, record: &ServiceRecord, begun: Generation) {
        self.entries.keep_service(record.clone(), begun);
    }

    pub(super) fn invalidate_services(&self) {
        self.entries.invalidate_services();
    }

    fn partitions(&self) -> Partitions {
        self.entries.partitions()
    }

    /// Whether every change in this partition that is older than the bound has been heard of.
    fn is_proven(&self, partition: Partition) -> bool {
        let heard = self.feed.watermark(partition);
        heard.is_some_and(|until| self.is_recent(until))
    }

    fn is_recent(&self, moment: Instant) -> bool {
        moment.elapsed() <= self.max_staleness
    }
}
