//! What a store should do, as plainly as it can be said: one map, every expiry a matter of the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use session_gateway::model::Timestamp;
use session_gateway::model::id::SessionId;
use session_gateway::model::limit::{LimitPer, Overflow, SessionLimit};
use session_gateway::model::session::{Device, EndReason};
use session_gateway::model::token::CredentialHash;
use session_gateway::rules::create::NewSession;

use crate::store::backend::SETTINGS;

mod logins;

pub(crate) use logins::{BannedUntil, Turn};

/// What a reader is told of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum View {
    Live {
        version: u64,
        active: bool,
        attributes: BTreeMap<String, String>,
        last_active_at: Timestamp,
        expires_at: Timestamp,
    },
    Ended(EndReason, Timestamp),
    Unknown,
}

/// What the feed tells of a session or a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Created,
    Changed(u64, Vec<String>),
    Rotated,
    Ended(EndReason, Timestamp),
    Banned(Option<Timestamp>),
    Unbanned,
}

/// Why a write is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum No {
    Ended,
    Unknown,
    Unchangeable,
    TokenInUse,
    TokenUnknown,
    LimitReached,
    LoginBanned,
    NotBanned,
}

#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) new: NewSession,
    pub(crate) story: Vec<Told>,
    /// The tokens that rotations made, and until when the one before each was good.
    turned: Vec<(CredentialHash, Timestamp)>,
    /// The token before all of those.
    first: CredentialHash,
    /// Whether nobody has shown the last one.
    pub(crate) unused: bool,
    version: u64,
    active: bool,
    attributes: BTreeMap<String, String>,
    created_at: Timestamp,
    last_active_at: Timestamp,
    idle_until: Timestamp,
    until: Timestamp,
    ended: Option<(EndReason, Timestamp)>,
}

#[derive(Debug, Default)]
pub(crate) struct Reference {
    pub(crate) sessions: Vec<Known>,
    /// What happened to each login.
    pub(crate) stories: BTreeMap<String, Vec<Told>>,
    bans: BTreeMap<String, Option<Timestamp>>,
}

impl Known {
    fn open(new: NewSession, now: Timestamp) -> Self {
        Self {
            story: vec![Told::Created],
            turned: Vec::new(),
            first: new.token.hash,
            unused: false,
            version: 1,
            active: new.state == session_gateway::model::session::SessionState::Active,
            attributes: BTreeMap::new(),
            created_at: now,
            last_active_at: now,
            idle_until: now.plus(new.idle_timeout),
            until: now.plus(new.max_age),
            ended: None,
            new,
        }
    }

    fn expires_at(&self) -> Timestamp {
        self.idle_until.min(self.until)
    }

    fn end(&mut self, reason: EndReason, at: Timestamp) {
        self.ended = Some((reason, at));
        self.story.push(Told::Ended(reason, at));
    }

    fn live(&self) -> bool {
        self.ended.is_none()
    }

    /// Whether anything is told of it; its token is in use as long.
    fn told(&self, now: Timestamp) -> bool {
        self.ended
            .is_none_or(|(_, at)| now < at.plus(SETTINGS.tombstone_retention))
    }

    pub(crate) fn touch(&mut self, now: Timestamp) {
        self.last_active_at = now;
        self.idle_until = self.idle_until.max(now.plus(self.new.idle_timeout));
    }

    pub(crate) fn view(&self, now: Timestamp) -> View {
        match self.ended {
            Some((reason, at)) if self.told(now) => View::Ended(reason, at),
            Some(_) => View::Unknown,
            None => View::Live {
                version: self.version,
                active: self.active,
                attributes: self.attributes.clone(),
                last_active_at: self.last_active_at,
                expires_at: self.expires_at(),
            },
        }
    }

    fn change(&mut self, now: Timestamp, name: &str) {
        self.touch(now);
        self.version += 1;
        let told = Told::Changed(self.version, vec![name.to_owned()]);
        self.story.push(told);
    }

    pub(crate) fn put(&mut self, now: Timestamp, name: &str, json: &str) {
        self.attributes.insert(name.to_owned(), json.to_owned());
        self.change(now, name);
    }

    pub(crate) fn remove(&mut self, now: Timestamp, name: &str) -> Result<(), No> {
        self.attributes.remove(name).ok_or(No::Unchangeable)?;
        self.change(now, name);
        Ok(())
    }

    pub(crate) fn increment(&mut self, now: Timestamp, name: &str, by: i64) -> Result<(), No> {
        let old = self.attributes.get(name).map_or("0", String::as_str);
        let old: i64 = old.parse().or(Err(No::Unchangeable))?;
        let new = old.checked_add(by).ok_or(No::Unchangeable)?;
        self.put(now, name, &new.to_string());
        Ok(())
    }

    pub(crate) fn refresh(&mut self, now: Timestamp, ttl: Option<Duration>) {
        let before = self.expires_at();
        self.last_active_at = now;
        self.idle_until = now
            .plus(ttl.unwrap_or(self.new.idle_timeout))
            .min(self.until);
        if self.expires_at() < before {
            let fields = vec!["expires_at".to_owned()];
            self.story.push(Told::Changed(self.version, fields));
        }
    }

    pub(crate) fn heartbeat(&mut self, now: Timestamp) {
        self.touch(now);
        if !self.active {
            self.active = true;
            self.version += 1;
            let fields = vec!["state".to_owned()];
            self.story.push(Told::Changed(self.version, fields));
        }
    }
}

impl Reference {
    /// Ends what is over by now.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        for known in self.sessions.iter_mut().filter(|known| known.live()) {
            let at = known.expires_at();
            if at <= now {
                let reason = if known.until <= known.idle_until {
                    EndReason::MaxAge
                } else {
                    EndReason::IdleTimeout
                };
                known.end(reason, at);
            }
        }
    }

    /// The session that a token leads to: the last that was opened with it.
    pub(crate) fn by_token(&mut self, new: &NewSession) -> Option<&mut Known> {
        let same = |known: &&mut Known| known.new.token == new.token;
        self.sessions.iter_mut().rev().find(same)
    }

    pub(crate) fn live(&mut self, session_id: SessionId, now: Timestamp) -> Result<&mut Known, No> {
        let found = |known: &&mut Known| known.new.session_id == session_id;
        match self.sessions.iter_mut().find(found) {
            Some(known) if known.live() => Ok(known),
            Some(known) if known.told(now) => Err(No::Ended),
            Some(_) | None => Err(No::Unknown),
        }
    }

    pub(crate) fn create(&mut self, new: NewSession, now: Timestamp) -> Result<Vec<SessionId>, No> {
        if self.by_token(&new).is_some_and(|known| known.told(now)) {
            return Err(No::TokenInUse);
        }
        if self.ban_of(new.login_id.as_str(), now).is_some() {
            return Err(No::LoginBanned);
        }
        let mut evicted = Vec::new();
        if let Some(limit) = new.limit {
            evicted = self.over(&new, limit)?;
        }
        for session_id in &evicted {
            if let Ok(known) = self.live(*session_id, now) {
                known.end(EndReason::Replaced, now);
            }
        }
        self.sessions.push(Known::open(new, now));
        Ok(evicted)
    }

    fn over(&self, new: &NewSession, limit: SessionLimit) -> Result<Vec<SessionId>, No> {
        let counts = |known: &&Known| {
            let same_device = known.new.device == new.device;
            known.live()
                && known.new.login_id == new.login_id
                && (limit.per == LimitPer::Login || same_device)
        };
        let mut counted: Vec<_> = self.sessions.iter().filter(counts).collect();
        if counted.len() < limit.max {
            return Ok(Vec::new());
        }
        counted.sort_by_key(|known| match limit.overflow {
            Overflow::EvictLeastActive => (known.last_active_at, known.new.session_id),
            Overflow::EvictOldest | Overflow::Refuse => (known.created_at, known.new.session_id),
        });
        if limit.overflow == Overflow::Refuse {
            return Err(No::LimitReached);
        }
        let most = counted.len() + 1 - limit.max;
        Ok(counted[..most]
            .iter()
            .map(|known| known.new.session_id)
            .collect())
    }

    pub(crate) fn end(&mut self, session_id: SessionId, now: Timestamp) -> Result<bool, No> {
        match self.live(session_id, now) {
            Ok(known) => {
                known.end(EndReason::Logout, now);
                Ok(true)
            }
            Err(No::Ended) => Ok(false),
            Err(no) => Err(no),
        }
    }

    pub(crate) fn end_all(
        &mut self,
        which: &session_gateway::rules::end::EndAll,
        now: Timestamp,
    ) -> BTreeSet<SessionId> {
        let wanted = |known: &&mut Known| {
            known.live()
                && known.new.login_id == which.login_id
                && which.except != Some(known.new.session_id)
                && (which.device.is_none() || which.device == known.new.device)
        };
        let ended = self.sessions.iter_mut().filter(wanted).map(|known| {
            known.end(which.reason, now);
            known.new.session_id
        });
        ended.collect()
    }

    /// The live sessions of a login or of all, newest first.
    pub(crate) fn listed(&self, login: Option<&str>) -> Vec<&Known> {
        let wanted = |known: &&Known| {
            known.live() && login.is_none_or(|login| known.new.login_id.as_str() == login)
        };
        let mut listed: Vec<_> = self.sessions.iter().filter(wanted).collect();
        listed.sort_by_key(|known| std::cmp::Reverse(known.new.session_id));
        listed
    }

    pub(crate) fn devices(&self, login: &str) -> Vec<Device> {
        let listed = self.listed(Some(login));
        let devices: BTreeSet<_> = listed.iter().filter_map(|k| k.new.device.clone()).collect();
        devices.into_iter().collect()
    }

    pub(crate) fn last_active_at(&self, login: &str) -> Option<Timestamp> {
        let listed = self.listed(Some(login));
        listed.iter().map(|known| known.last_active_at).max()
    }
}
