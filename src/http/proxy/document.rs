//! What the document of the API says of `/auth/*`. The conditions that it names are read by
//! [`condition`](super::condition): whatever carries more is refused.

use std::collections::BTreeMap;

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{OpenApi, PathItem, RefOr, Response, ResponseBuilder};
use utoipa::{IntoParams, IntoResponses, OpenApi as _};

use super::proxy_request::Widening;

#[derive(utoipa::OpenApi)]
#[openapi(paths(super::ask_by_nginx, super::ask_by_forward, super::ask_by_envoy))]
struct Description;

/// Each path stands for those with a suffix as well.
pub(super) fn description() -> OpenApi {
    let mut description = Description::openapi();
    let paths = &mut description.paths.paths;
    for (path, item) in paths.clone() {
        for widening in Widening::ALL {
            if let Some(more) = more_that_passes(widening) {
                let item = widened(item.clone(), widening, more);
                paths.insert(format!("{path}{}", widening.suffix()), item);
            }
        }
    }
    description
}

fn more_that_passes(widening: Widening) -> Option<&'static str> {
    match widening {
        Widening::None => None,
        Widening::Optional => Some(
            "What would be 401 is 200 with every identity header empty, and its reason in `X-Auth-Reason`.",
        ),
        Widening::Preflight => Some(
            "A preflight of CORS is 200 with every identity header empty: `OPTIONS` with `Origin` and \
             `Access-Control-Request-Method`. Its method is that of the question for Envoy, `X-Forwarded-Method` at \
             forward, `X-Original-Method` for nginx.",
        ),
        Widening::OptionalPreflight => {
            Some("As with `-optional` behind the path, and as with `-preflight`.")
        }
    }
}

fn widened(mut item: PathItem, widening: Widening, more: &str) -> PathItem {
    if let Some(operation) = &mut item.get {
        let suffix = widening.suffix();
        if let Some(id) = &mut operation.operation_id {
            id.push_str(&suffix.replace('-', "_"));
        }
        if let Some(summary) = &mut operation.summary {
            summary.push_str(&suffix.replace('-', ", "));
        }
        operation.description = Some(more.to_owned());
    }
    item
}

/// What may be asked of a session in the query, by whoever configures the proxy; each also has a header.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "only documented; the query is read where it is used"
)]
pub(super) struct QueryConditions {
    /// `attribute:value` that the session must have; several must all hold. A string compares by its text, any other
    /// value by its compact JSON. Also as header `X-Auth-Require`, one a line.
    #[param(required = false)]
    require: Vec<String>,
    /// The device that the session must run on. Also as header `X-Auth-Require-Device`.
    device: Option<String>,
    /// Where a token counts: `cookie`, `bearer` or `header`, or several of them by commas; everywhere without it. Also as
    /// header `X-Auth-Token-From`; with both, where both say.
    from: Option<String>,
}

/// Where to send a person who is not logged in.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "only documented; the query is read where it is used"
)]
pub(super) struct LoginPage {
    /// Used only if its origin is in `SGW_LOGIN_URL_ALLOW`.
    login_url: Option<String>,
}

/// What may be asked of a session where the query is the client's.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(
    dead_code,
    reason = "only documented; the headers are read where they are used"
)]
pub(super) struct HeaderConditions {
    /// `attribute:value` that the session must have; one a line, all must hold.
    #[param(rename = "X-Auth-Require")]
    require: Option<String>,
    /// The device that the session must run on.
    #[param(rename = "X-Auth-Require-Device")]
    device: Option<String>,
    /// Where a token counts: `cookie`, `bearer` or `header`, or several of them by commas; everywhere without it.
    #[param(rename = "X-Auth-Token-From")]
    from: Option<String>,
}

/// What a proxy can be told.
pub(super) struct Answers;

const OK: &[(&str, &str)] = &[
    (
        "X-Auth-Login-Id",
        "Whose session it is. Bytes outside 0x21 to 0x7e, and `%`, are percent-encoded UTF-8.",
    ),
    ("X-Auth-Session-Id", "The session."),
    (
        "X-Auth-Device",
        "The kind of device it runs on; may be empty.",
    ),
    ("X-Auth-Expires-At", "When it dies, unless it is used."),
    (
        "X-Auth-Omitted",
        "Values that were too long and are empty therefore, separated by commas.",
    ),
];
const REASON: (&str, &str) = ("X-Auth-Reason", "Why, in one word.");
const NOT_LOGGED_IN: &[(&str, &str)] = &[REASON, ("WWW-Authenticate", "How to log in.")];
const UNKNOWN: &[(&str, &str)] = &[("Retry-After", "Seconds after which to ask again.")];

impl IntoResponses for Answers {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let exported = "It may pass. One more header, `X-Auth-Attr-<Name>`, stands for each of \
            `SGW_EXPORT_ATTRIBUTES`; all are always there.";
        let unauthenticated = "No token, or none that is good.";
        let refused = "It may not pass, or the proxy asks in a wrong way.";
        let unknown = "The store did not answer in time: neither yes nor no.";
        [
            ("200", exported, OK),
            ("401", unauthenticated, NOT_LOGGED_IN),
            ("403", refused, &[REASON]),
            ("503", unknown, UNKNOWN),
        ]
        .map(|(status, about, headers)| (status.to_owned(), response(about, headers).into()))
        .into()
    }
}

fn response(about: &str, headers: &[(&str, &str)]) -> Response {
    let named = |builder: ResponseBuilder, (name, about): &(&str, &str)| {
        builder.header(*name, header(about))
    };
    let builder = ResponseBuilder::new().description(about);
    headers.iter().fold(builder, named).build()
}

fn header(about: &str) -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let header = HeaderBuilder::new().schema(Some(text));
    header.description(Some(about)).build()
}
