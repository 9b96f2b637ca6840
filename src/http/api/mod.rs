//! The operations under `/v1`: one file a resource.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{RefOr, Required, Response};
use utoipa::{IntoParams, IntoResponses, PartialSchema};
use utoipa_axum::router::OpenApiRouter;

use crate::draw::Draw;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, FieldError, problem_response};
use crate::http::extract::IfMatch;
use crate::http::state::AppState;
use crate::model::id::SessionId;
use crate::model::page::{Cursor, PageLimit};
use crate::store::Target;

mod attributes;
mod bans;
mod events;
pub(crate) mod health;
mod limit;
mod logins;
pub(crate) mod metrics;
mod profiles;
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
        .merge(bans::routes())
        .merge(profiles::routes())
        .merge(tokens::routes())
        .merge(events::routes())
}

/// Which page of a list is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// The most items of the page.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000, default = 50)]
    limit: PageLimit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
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

impl IntoParams for IfMatch {
    fn into_params(_place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let about = "The version the session must have, such as `\"7\"`; `*` is any.";
        let parameter = ParameterBuilder::new()
            .name("If-Match")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(about))
            .schema(Some(String::schema()));
        vec![parameter.build()]
    }
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
