//! The feed of events: page by page, or as a stream of what happens.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::pieces;
use super::problems::PlaceExpired;
use crate::gateway::Caller;
use crate::http::auth::guarded;
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::state::AppState;
use crate::model::event::{EventId, EventPage, EventType, FeedStart};
use crate::model::page::{Cursor, PageLimit};
use crate::model::permission::Permission;
use crate::model::request::Consistency;

mod accept;
mod stream;
mod wire;

use accept::Form;
use wire::EventBody;

/// Stands before an exact place, so that it cannot be taken for the id of an event.
const PLACE_PREFIX: &str = "p.";

/// Where to go on, from either side.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().merge(guarded(Permission::EventRead, routes!(list_events)))
}

/// Which events to read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListEventsQuery {
    /// Go on after this: a `next_cursor` or the `id` in a stream, which are exact places, or the id of an event, after
    /// which some events may come again. From the oldest event that is kept if left out.
    after: Option<String>,
    /// The same as `after`, by the name that lists use.
    cursor: Option<String>,
    /// Only these types, separated by commas.
    #[param(example = "session.created,session.ended")]
    types: Option<String>,
    /// The most items of the page.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000, default = 50)]
    limit: Option<PageLimit>,
}

/// Some events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventList {
    /// The events, in order for each login.
    items: Vec<EventBody>,
    /// Where the feed goes on; null when there is no more for now. Then go on later after the place in the header
    /// `Last-Event-ID`, or after the last event's id.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// Read or follow the feed
///
/// Every session, login and service change, at least once, in order for each login: a page, or with
/// `Accept: text/event-stream` a stream of server-sent events that goes on with what happens.
///
/// Each event of the stream has its type as `event`, the same JSON as in a page as `data`, and as `id` the exact place
/// after it. A frame that has nothing but an `id` tells that the place has moved on past events that were not asked
/// for. The stream ends when the gateway shuts down, when the service may no longer read it, and when the place is no
/// longer kept; ask again with the last `id` to go on, or to learn why not. It takes no `limit`.
///
/// That nothing follows yet may be what this node knows, within the bound of its cache; `Cache-Control: no-cache` asks
/// the store.
#[utoipa::path(
    get, path = "/v1/events", tag = "events",
    params(
        ListEventsQuery,
        ("Last-Event-ID" = Option<String>, Header,
            description = "The same as `after`, and wins over it: a client that lost a stream repeats its URL."),
    ),
    responses(
        (status = 200, description = "Some events, or all that happen.",
            content((EventList = "application/json"), (String = "text/event-stream")),
            headers(("Last-Event-ID" = String,
                description = "With a null `next_cursor`: the exact place at which to go on later."))),
        PlaceExpired,
    ),
)]
async fn list_events(
    State(state): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    consistency: Consistency,
    Query(query): Query<ListEventsQuery>,
) -> Result<Response, ApiError> {
    let (from, types) = (query.place(&headers)?, query.types()?);
    match Form::wanted(&headers) {
        Form::Page => {
            let limit = query.limit.unwrap_or_default();
            let page = state.gateway.events(&from, &types, limit, consistency);
            let page = page.await?;
            let end = page.caught_up.then(|| page.next.clone());
            answer(end, page)
        }
        Form::Stream if query.limit.is_some() => {
            let rule = "`limit` is for pages: a stream has no end";
            Err(ApiError::InvalidRequest(rule.to_owned()))
        }
        Form::Stream => {
            let subscription = state.gateway.follow(&caller, &from, types).await?;
            stream::answer(subscription, state.draining.clone())
        }
    }
}

fn place_text(place: &Cursor) -> String {
    format!("{PLACE_PREFIX}{}", place.encode())
}

fn answer(end: Option<Cursor>, page: EventPage) -> Result<Response, ApiError> {
    // What is base64 is fit for a header.
    let end = end.and_then(|place| HeaderValue::try_from(place_text(&place)).ok());
    let end = end.map(|place| (LAST_EVENT_ID, place));
    let emptied = EventList {
        items: Vec::new(),
        next_cursor: (!page.caught_up).then(|| place_text(&page.next)),
    };
    let items: Vec<_> = page.events.into_iter().map(EventBody::from).collect();
    let page = pieces::page(&emptied, items)?;
    Ok((HeaderMap::from_iter(end), page).into_response())
}

impl ListEventsQuery {
    fn place(&self, headers: &HeaderMap) -> Result<FeedStart, ApiError> {
        let invalid = |rule: &str| ApiError::InvalidRequest(rule.to_owned());
        let asked = match (&self.after, &self.cursor) {
            (Some(_), Some(_)) => {
                return Err(invalid("`after` and `cursor` are the same: send one"));
            }
            (after, cursor) => after.as_deref().or(cursor.as_deref()),
        };
        let last = headers.get(LAST_EVENT_ID).map(HeaderValue::as_bytes);
        let last = last.filter(|last| !last.is_empty());
        let Some(text) = last.or(asked.map(str::as_bytes)) else {
            return Ok(FeedStart::Start);
        };
        // What is no text is no place either.
        let text = str::from_utf8(text).unwrap_or_default();
        let place = match text.strip_prefix(PLACE_PREFIX) {
            Some(place) => Cursor::parse(place).map(FeedStart::At),
            None => EventId::parse(text).ok().map(FeedStart::AfterEvent),
        };
        place.ok_or_else(|| {
            invalid("`after` must be a `next_cursor`, the `id` in a stream, or the id of an event")
        })
    }

    fn types(&self) -> Result<Vec<EventType>, ApiError> {
        let unknown = |_| {
            let all = EventType::ALL.iter().map(|kind| format!("`{kind}`"));
            let all: Vec<_> = all.collect();
            let rule = format!(
                "`types` must be some of {}, with commas between",
                all.join(", ")
            );
            ApiError::InvalidRequest(rule)
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
