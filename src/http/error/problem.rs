//! The document of an error (RFC 9457).

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::response::Response as DocumentedResponse;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};

use super::Code;
use crate::model::quota::Quota;
use crate::model::session::Ended;

/// One wrong place in a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON Pointer (RFC 6901) to the place; empty for the whole body.
    #[schema(example = "/login_id")]
    pub pointer: String,
    /// The rule it breaks.
    #[schema(example = "must not be empty")]
    pub detail: String,
    /// Where that is in the text, unless only the value is out of range.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub place: Option<Place>,
}

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Place {
    /// The line, from 1.
    #[schema(minimum = 1, maximum = 262_144, format = Int32, example = 4)]
    pub line: usize,
    /// The byte in the line, from 1.
    #[schema(minimum = 1, maximum = 262_144, format = Int32, example = 17)]
    pub column: usize,
}

/// The document of an error (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Identifies the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "urn:session-gateway:problem:session_not_found")]
    pub kind: String,
    /// The kind of problem in words; the same for every occurrence.
    #[schema(example = "Session not found")]
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 404)]
    pub status: u16,
    /// What is wrong with this request.
    #[schema(example = "no session has this id")]
    pub detail: String,
    /// The kind of problem for programs; stable.
    pub code: Code,
    /// The request, for the operator's log.
    pub request_id: String,
    /// The wrong places of a body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
    /// When and why the session ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub ended: Option<Ended>,
    /// The quota that the service has used up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub quota: Option<Quota>,
    /// How many sessions a login has at most that has too many for its limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub count: Option<u64>,
}

/// One answer in the document of the API that is a problem.
#[must_use]
pub fn problem_response(description: &str) -> DocumentedResponse {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .build()
}
