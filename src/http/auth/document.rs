//! What the document says of every operation behind a guard: how to authenticate, the permission, and the errors that
//! come before the handler is asked.

use axum::http::Method;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{RefOr, Required, Response, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::http::error::{Problem, problem_response};
use crate::http::idempotency::Idempotency;
use crate::model::permission::Permission;

/// The schemes by which services authenticate know no scopes; permissions are ours.
const NO_SCOPES: [&str; 0] = [];

pub(super) fn operations(paths: &mut Paths) -> impl Iterator<Item = (Method, &mut Operation)> {
    paths.paths.values_mut().flat_map(|item| {
        [
            (Method::GET, item.get.as_mut()),
            (Method::PUT, item.put.as_mut()),
            (Method::POST, item.post.as_mut()),
            (Method::PATCH, item.patch.as_mut()),
            (Method::DELETE, item.delete.as_mut()),
        ]
        .into_iter()
        .filter_map(|(method, operation)| Some((method, operation?)))
    })
}

pub(super) fn add_schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((Problem::name().into_owned(), Problem::schema()));
    Problem::schemas(schemas);
}

/// Writes into an operation what the guard adds to it. What its own document says of an error stays.
pub(super) fn describe(operation: &mut Operation, permission: Option<Permission>) {
    operation.security = Some(vec![
        SecurityRequirement::new("basic", NO_SCOPES),
        SecurityRequirement::new("service_id", NO_SCOPES).add("service_secret", NO_SCOPES),
    ]);
    if let Some(permission) = permission {
        let needs = format!("Needs the permission `{permission}`.");
        operation.description = Some(match operation.description.take() {
            Some(text) => format!("{text}\n\n{needs}"),
            None => needs,
        });
        let named = Extensions::builder().add("x-permission", permission.as_str());
        operation
            .extensions
            .get_or_insert_default()
            .merge(named.build());
        add_error(operation, "403", "The service lacks the permission.");
    }
    for (status, description) in ERRORS {
        add_error(operation, status, description);
    }
    if operation.request_body.is_some() {
        add_error(operation, "408", "The body did not arrive in time.");
        add_error(operation, "413", "The body is too large.");
        add_error(operation, "415", "The body has a type that is not taken.");
    }
    match Idempotency::of(operation) {
        Some(Idempotency::Rebuilt) => add_idempotency(operation, REBUILT),
        Some(Idempotency::Kept) => add_idempotency(operation, KEPT),
        Some(Idempotency::Refused) | None => {}
    }
}

const ERRORS: [(&str, &str); 7] = [
    ("400", "The request is malformed or out of range."),
    ("401", "Service credentials are missing or wrong."),
    ("414", "The URI is too long."),
    (
        "429",
        "`rate_limited`: too many failed authentications came from this address. `quota_exceeded`: the service takes as \
         much as it may; `quota` names of what.",
    ),
    ("431", "The headers are too large."),
    ("500", "A bug in the gateway."),
    (
        "503",
        "The store did not answer in time: nothing is known about the outcome. `overloaded`: too much is asked at once, and this was not done.",
    ),
];

const KEPT: &str = "Repeating the request with the same key within 24 hours has no further effect and gets the same answer.";

const REBUILT: &str = "Repeating the request with the same key within 24 hours has no further effect: the answer has \
     the same ids, secrets and counts, and beside them what they are about as it is now; 410 `session_ended` if it has \
     ended meanwhile.";

fn add_idempotency(operation: &mut Operation, about: &'static str) {
    let key = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(about))
        .schema(Some(
            ObjectBuilder::new()
                .schema_type(Type::String)
                .min_length(Some(1))
                .max_length(Some(255)),
        ));
    let parameters = operation.parameters.get_or_insert_default();
    parameters.push(key.build().into());
    add_error(
        operation,
        "422",
        "`idempotency_key_reused`: the Idempotency-Key was used for another request. `idempotency_key_unreadable`: the \
         secret of the service was changed since, and nothing was done now.",
    );
}

fn add_error(operation: &mut Operation, status: &str, description: &str) {
    operation
        .responses
        .responses
        .entry(status.to_owned())
        .or_insert_with(|| problem(status, description).into());
}

fn problem(status: &str, description: &str) -> Response {
    let header = |kind, description| {
        let schema = ObjectBuilder::new().schema_type(kind);
        let header = HeaderBuilder::new().schema(Some(schema));
        header.description(Some(description)).build()
    };
    let mut response = problem_response(description);
    let told = match status {
        "401" => (
            "WWW-Authenticate",
            header(Type::String, "How to authenticate."),
        ),
        "429" | "503" => {
            let about = "Seconds after which to try again.";
            ("Retry-After", header(Type::Integer, about))
        }
        _ => return response,
    };
    response.headers.insert(told.0.to_owned(), told.1.into());
    response
}
