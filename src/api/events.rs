//! The feed of events, page by page.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problems;
use crate::auth::{Caller, guarded};
use crate::error::ApiError;
use crate::extract::{Json, Query};
use crate::model::Timestamp;
use crate::model::attribute::AttributeName;
use crate::model::event::{Change, Event, EventId, EventType, ServiceChange};
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::page::{Cursor, PageLimit};
use crate::model::permission::Permission;
use crate::model::session::{Device, EndDetail, EndReason};
use crate::state::AppState;
use crate::store::{EventPage, FeedPlace};

/// Stands before an exact place, so that it cannot be taken for the id of an event.
const PLACE_PREFIX: &str = "p.";

/// The routes of the feed.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().merge(guarded(Permission::EventRead, routes!(list_events)))
}

/// Which events to read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListEventsQuery {
    /// Go on after this: a `next_cursor`, which is an exact place, or the id of an event, after which some events may
    /// come again. From the oldest event that is kept if left out.
    after: Option<String>,
    /// The same as `after`, by the name that lists use.
    cursor: Option<String>,
    /// Only these types, separated by commas.
    #[param(example = "session.created,session.ended")]
    types: Option<String>,
    /// The most items of the page.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000, default = 50)]
    limit: PageLimit,
}

/// Some events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventList {
    /// The events, in order for each login.
    items: Vec<EventBody>,
    /// Where the feed goes on; null when there is no more for now. Then go on later after the last event's id.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// One event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventBody {
    /// Its name.
    id: EventId,
    /// What happened.
    #[serde(rename = "type")]
    event_type: EventType,
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

/// Expired places of the feed.
struct FeedProblems;

impl utoipa::IntoResponses for FeedProblems {
    fn responses()
    -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
        problems(&[(
            "410",
            "`cursor_expired`: what followed this place is no longer kept.",
        )])
    }
}

/// Read the feed
///
/// Every session and service change, at least once, in order for each login.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", params(ListEventsQuery),
    responses((status = 200, description = "Some events.", body = EventList), FeedProblems),
)]
async fn list_events(
    State(state): State<AppState>,
    _caller: Caller,
    Query(query): Query<ListEventsQuery>,
) -> Result<Json<EventList>, ApiError> {
    let (from, types) = (query.place()?, query.types()?);
    let page = state
        .stores
        .events
        .events(&from, &types, query.limit)
        .await?;
    Ok(Json(page.into()))
}

impl ListEventsQuery {
    fn place(&self) -> Result<FeedPlace, ApiError> {
        let invalid = |rule: &str| ApiError::InvalidRequest(rule.to_owned());
        let text = match (&self.after, &self.cursor) {
            (None, None) => return Ok(FeedPlace::Start),
            (Some(text), None) | (None, Some(text)) => text,
            (Some(_), Some(_)) => {
                return Err(invalid("`after` and `cursor` are the same: send one"));
            }
        };
        let place = match text.strip_prefix(PLACE_PREFIX) {
            Some(place) => Cursor::parse(place).map(FeedPlace::At),
            None => EventId::parse(text).ok().map(FeedPlace::AfterEvent),
        };
        place.ok_or_else(|| invalid("`after` must be a `next_cursor` or the id of an event"))
    }

    fn types(&self) -> Result<Vec<EventType>, ApiError> {
        let unknown = |_| {
            ApiError::InvalidRequest("`types` names a type of event that does not exist".to_owned())
        };
        let Some(types) = &self.types else {
            return Ok(Vec::new());
        };
        types
            .split(',')
            .map(|name| name.parse().map_err(unknown))
            .collect()
    }
}

impl From<EventPage> for EventList {
    fn from(page: EventPage) -> Self {
        let place = || format!("{PLACE_PREFIX}{}", page.next.encode());
        Self {
            next_cursor: (!page.caught_up).then(place),
            items: page.events.into_iter().map(EventBody::from).collect(),
        }
    }
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
