//! Events as callers see them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::Timestamp;
use crate::model::attribute::AttributeName;
use crate::model::event::{Change, Event, EventId, EventType, ServiceChange};
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::session::{Device, EndDetail, EndReason};

/// One event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventBody {
    /// Its name.
    id: EventId,
    /// What happened.
    #[serde(rename = "type")]
    pub(super) event_type: EventType,
    /// When, by the store's clock.
    at: Timestamp,
    /// The session it happened to.
    #[schema(required = true)]
    session_id: Option<SessionId>,
    /// Whose session that is.
    #[schema(required = true)]
    login_id: Option<LoginId>,
    /// The service that opened the session, that did something to a login, or that was changed.
    service_id: ServiceId,
    /// What else there is to tell; which fields there are depends on the type.
    data: EventData,
}

/// The particulars of an event; attribute names, never values.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct EventData {
    /// `session.created`: the kind of device.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    device: Option<Device>,
    /// `session.changed`: the version after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    version: Option<u64>,
    /// `session.changed`: attributes that were set or removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    attributes: Option<Vec<AttributeName>>,
    /// `session.changed`: fields that were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    fields: Option<Vec<String>>,
    /// `session.ended`: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<EndReason>,
    /// `session.ended`, `login.banned`: what the service that did it said about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<EndDetail>,
    /// `login.banned`: until when; absent if the ban has no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    until: Option<Timestamp>,
    /// `service.changed`: what happened to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    change: Option<ServiceChange>,
    /// The service that did it; absent for an expiry.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    by: Option<ServiceId>,
}

impl From<Event> for EventBody {
    fn from(event: Event) -> Self {
        let fact = event.fact;
        Self {
            id: event.id,
            event_type: fact.change.event_type(),
            at: fact.at,
            session_id: fact.session_id,
            login_id: fact.login_id,
            service_id: fact.service_id,
            data: fact.change.into(),
        }
    }
}

impl From<Change> for EventData {
    fn from(change: Change) -> Self {
        let none = Self::default();
        match change {
            Change::SessionCreated { device } => Self { device, ..none },
            Change::SessionChanged {
                version,
                attributes,
                fields,
                by,
            } => Self {
                version: Some(version),
                attributes: Some(attributes),
                fields: Some(fields),
                by: Some(by),
                ..none
            },
            Change::SessionEnded { reason, by, detail } => Self {
                reason: Some(reason),
                by,
                detail,
                ..none
            },
            Change::ServiceChanged { change, by } => Self {
                change: Some(change),
                by: Some(by),
                ..none
            },
            Change::LoginBanned { until, reason, by } => Self {
                until,
                detail: Some(reason),
                by: Some(by),
                ..none
            },
            Change::SessionRotated { by } | Change::LoginUnbanned { by } => Self {
                by: Some(by),
                ..none
            },
        }
    }
}
