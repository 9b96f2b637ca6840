//! The operations under `/v1`: one file a resource.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoParams, IntoResponses};
use utoipa_axum::router::OpenApiRouter;

use crate::auth::Caller;
use crate::draw::Draw;
use crate::error::{ApiError, FieldError};
use crate::extract::IfMatch;
use crate::model::page::{Cursor, PageLimit};
use crate::model::session::SessionId;
use crate::state::AppState;
use crate::store::Target;

mod attributes;
mod events;
pub(crate) mod health;
mod logins;
mod services;
mod sessions;
mod tokens;

/// Every operation of this folder.
#[must_use]
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(services::routes())
        .merge(sessions::routes())
        .merge(attributes::routes())
        .merge(logins::routes())
        .merge(tokens::routes())
        .merge(events::routes())
}

/// Which page of a list is asked for.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// The most items of the page: 1 to 1,000, 50 if left out.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl PageQuery {
    /// The size and the place of the page.
    pub fn page(&self) -> Result<(PageLimit, Option<Cursor>), ApiError> {
        Ok((
            page_limit(self.limit)?,
            page_cursor(self.cursor.as_deref())?,
        ))
    }
}

fn page_limit(limit: Option<usize>) -> Result<PageLimit, ApiError> {
    let out_of_range =
        || ApiError::InvalidRequest(format!("`limit` must be 1 to {}", PageLimit::MAX));
    limit.map_or(Ok(PageLimit::default()), |limit| {
        PageLimit::new(limit).ok_or_else(out_of_range)
    })
}

fn page_cursor(cursor: Option<&str>) -> Result<Option<Cursor>, ApiError> {
    let invalid = || ApiError::InvalidRequest("`cursor` is not one of this list".to_owned());
    cursor
        .map(|text| Cursor::parse(text).ok_or_else(invalid))
        .transpose()
}

/// A length of time in a body, 1 second to `limit`.
fn seconds_up_to(limit: Duration, field: &str, seconds: u64) -> Result<Duration, ApiError> {
    if (1..=limit.as_secs()).contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    let detail = format!("must be 1 to {} seconds", limit.as_secs());
    Err(ApiError::InvalidBody(vec![FieldError {
        pointer: format!("/{field}"),
        detail,
    }]))
}

/// The session a write is for, as the request names it.
fn target(session_id: SessionId, caller: &Caller, if_match: IfMatch, draw: &Draw) -> Target {
    Target {
        session_id,
        access: caller.access(),
        precondition: if_match.0,
        mark: draw.mark(),
    }
}

/// One answer in the document that is a problem (RFC 9457).
#[must_use]
pub fn problem_response(description: &str) -> Response {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .build()
}

fn problems(rows: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let row =
        |(status, text): &(&str, &str)| ((*status).to_owned(), RefOr::T(problem_response(text)));
    rows.iter().map(row).collect()
}

const NOT_FOUND: (&str, &str) = (
    "404",
    "No such session was ever known, or its tombstone is gone.",
);
const ENDED: (&str, &str) = (
    "410",
    "The session has ended; `ended` tells when, why and by whom.",
);
const STALE: (&str, &str) = (
    "412",
    "The session has another version than `If-Match` names; nothing was changed.",
);

/// What reading a session can answer beside it.
struct ReadProblems;

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[NOT_FOUND, ENDED])
    }
}

/// What writing a session can answer beside it.
struct WriteProblems;

impl IntoResponses for WriteProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[NOT_FOUND, ENDED, STALE])
    }
}
