//! Events: what the feed tells of every change. They carry attribute names, never values.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Timestamp;
use super::attribute::AttributeName;
use super::id::{LoginId, ServiceId, SessionId};
use super::page::Cursor;
use super::session::{Device, EndDetail, EndReason};
use super::text::text_type;
use super::words::growing_words;

text_type! {
    /// Names one event. It sorts nowhere and means nothing but itself.
    EventId, word, max = 64, example = "0000000000000a3f"
}

/// One change that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name.
    pub id: EventId,
    /// What happened, when, and to whom.
    pub fact: Fact,
}

/// What an event tells, before the store gives it a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// When it happened, by the store's clock.
    pub at: Timestamp,
    /// The session it happened to, if it was one.
    pub session_id: Option<SessionId>,
    /// Whose session that is.
    pub login_id: Option<LoginId>,
    /// The service that opened the session, that did something to a login, or that was changed.
    pub service_id: ServiceId,
    /// What happened.
    pub change: Change,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A session was opened.
    SessionCreated {
        /// On this kind of device.
        device: Option<Device>,
    },
    /// Attributes, state or fields were written, or the life was shortened.
    SessionChanged {
        /// The version after it.
        version: u64,
        /// Attributes that were set or removed.
        attributes: Vec<AttributeName>,
        /// Fields that were written.
        fields: Vec<String>,
        /// The service that wrote.
        by: ServiceId,
    },
    /// A session ended, once and for good.
    SessionEnded {
        /// Why.
        reason: EndReason,
        /// By which service; none for an expiry.
        by: Option<ServiceId>,
        /// What that service said about it; stored beside the change.
        #[serde(skip)]
        detail: Option<EndDetail>,
    },
    /// A service was registered, changed or removed, or got a new secret.
    ServiceChanged {
        /// Which of these.
        change: ServiceChange,
        /// The service that did it.
        by: ServiceId,
    },
    /// A session got a new token.
    SessionRotated {
        /// The service that asked for it.
        by: ServiceId,
    },
    /// A login was banned, or its ban was written anew.
    LoginBanned {
        /// Until when; for good if there is no end.
        until: Option<Timestamp>,
        /// Why.
        reason: EndDetail,
        /// The service that did it.
        by: ServiceId,
    },
    /// The ban of a login was lifted.
    LoginUnbanned {
        /// The service that did it.
        by: ServiceId,
    },
}

/// What can happen to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceChange {
    /// It was registered.
    Registered,
    /// Its name, permissions or `enabled` were written.
    Updated,
    /// It has a new secret.
    SecretRotated,
    /// It was removed.
    Removed,
}

impl ServiceChange {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Registered,
        Self::Updated,
        Self::SecretRotated,
        Self::Removed,
    ];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Updated => "updated",
            Self::SecretRotated => "secret_rotated",
            Self::Removed => "removed",
        }
    }
}

growing_words!(ServiceChange, "What can happen to a service.");

/// Makes the enum and its texts from one table, so that neither can miss a row.
macro_rules! event_types {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// The kinds of events, for filters.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        pub enum EventType { $($(#[$doc])* #[serde(rename = $text)] $name),+ }

        impl EventType {
            /// Every type there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its text, `thing.happened`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

event_types! {
    /// A session was opened.
    SessionCreated = "session.created",
    /// Attributes, state or fields of a session were written, or its life was shortened.
    SessionChanged = "session.changed",
    /// A session has a new token.
    SessionRotated = "session.rotated",
    /// A session ended, once and for good.
    SessionEnded = "session.ended",
    /// A login was banned.
    LoginBanned = "login.banned",
    /// The ban of a login was lifted; one that runs out is told of by its end.
    LoginUnbanned = "login.unbanned",
    /// A service was registered, changed or removed, or got a new secret.
    ServiceChanged = "service.changed",
}

growing_words!(EventType, "The kinds of events.");

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no type of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not a type of event")]
pub struct UnknownEventType;

impl FromStr for EventType {
    type Err = UnknownEventType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == text)
            .ok_or(UnknownEventType)
    }
}

impl Change {
    /// The kind of event this is.
    #[must_use]
    pub const fn event_type(&self) -> EventType {
        match self {
            Self::SessionCreated { .. } => EventType::SessionCreated,
            Self::SessionChanged { .. } => EventType::SessionChanged,
            Self::SessionEnded { .. } => EventType::SessionEnded,
            Self::ServiceChanged { .. } => EventType::ServiceChanged,
            Self::SessionRotated { .. } => EventType::SessionRotated,
            Self::LoginBanned { .. } => EventType::LoginBanned,
            Self::LoginUnbanned { .. } => EventType::LoginUnbanned,
        }
    }
}

/// A page of the feed, and the exact place after it, which is there also when nothing follows yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// The events, in order for each login.
    pub events: Vec<Event>,
    /// Where to go on.
    pub next: Cursor,
    /// Whether this was the end of the feed for now.
    pub caught_up: bool,
}

/// Where to read the feed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedStart {
    /// The oldest event that is kept.
    Start,
    /// After an event, by its name. Events a little older may come again.
    AfterEvent(EventId),
    /// An exact place that a page gave.
    At(Cursor),
}
