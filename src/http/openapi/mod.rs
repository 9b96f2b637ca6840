//! What the document of the API says beside its operations, and the routes that show it.
//!
//! The API browser is Swagger UI, compiled in: it loads nothing from anywhere else.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::middleware::{from_fn, map_response};
use axum::response::{Redirect, Response};
use axum::routing::get;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{OpenApi, SecurityRequirement};
use utoipa::{Modify, OpenApi as _};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::gateway::GatewayError;
use crate::http::error::{ApiError, Problem};

mod shape;
mod tags;

const DOCUMENT_PATH: &str = "/openapi.json";
const BROWSER_PATH: &str = "/docs";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Session Gateway",
        description = "Keeps the login sessions of your users for all of your services.\n\n\
            A service authenticates every call under `/v1` with HTTP Basic (`service_id:secret`) or with the headers \
            `X-Service-Id` and `X-Service-Secret`. Errors are RFC 9457 problem documents with a stable `code`. Every \
            answer carries `X-Request-Id`. Lengths of texts are those of UTF-8 in bytes.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
        contact(name = "The operator of this gateway")
    ),
    servers((url = "/", description = "This gateway")),
    tags(
        (name = "sessions", description = "Open, read, change, refresh and end sessions"),
        (name = "attributes", description = "What is kept in a session"),
        (name = "logins", description = "All sessions of a login id"),
        (name = "tokens", description = "The credentials of sessions"),
        (name = "services", description = "The callers of the gateway and their permissions"),
        (name = "proxies", description = "Reverse proxies ask whether a request may pass"),
        (name = "events", description = "The feed of every change"),
        (name = "health", description = "Whether the process lives and is ready, and what it does")
    ),
    components(schemas(Problem)),
    modifiers(&Credentials)
)]
struct Description;

/// How services authenticate.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut OpenApi) {
        let key = |name: &str, about: &str| {
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, about)))
        };
        let basic = Http::builder()
            .scheme(HttpAuthScheme::Basic)
            .description(Some("Service id and secret"))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("basic", SecurityScheme::Http(basic));
        components.add_security_scheme("service_id", key("X-Service-Id", "With its secret"));
        components.add_security_scheme("service_secret", key("X-Service-Secret", "With its id"));
        let nothing: [&str; 0] = [];
        document.security = Some(vec![
            SecurityRequirement::new("basic", nothing),
            SecurityRequirement::new("service_id", nothing).add("service_secret", nothing),
        ]);
    }
}

pub(crate) fn description() -> OpenApi {
    Description::openapi()
}

/// The document when all operations are in it.
#[must_use]
pub(crate) fn whole(mut document: OpenApi) -> OpenApi {
    shape::shape(&mut document);
    document
}

/// The document as JSON text, as it is served, printed and committed.
pub fn to_json(document: &OpenApi) -> Result<String, serde_json::Error> {
    let mut text = sort_extensions(&serde_json::to_string_pretty(document)?);
    text.push('\n');
    Ok(text)
}

/// The extensions of an operation, a line each, come in no order, and the text must be the same each time.
fn sort_extensions(text: &str) -> String {
    let is_extension = |line: &&str| line.trim_start().starts_with("\"x-");
    let lines: Vec<&str> = text.lines().collect();
    let runs = lines.chunk_by(|line, next| is_extension(line) && is_extension(next));
    let sorted = runs.map(|run| {
        let [.., last] = run else {
            return String::new();
        };
        if run.len() == 1 {
            return (*last).to_owned();
        }
        let end = if last.ends_with(',') { "," } else { "" };
        let mut bare: Vec<&str> = run.iter().map(|line| line.trim_end_matches(',')).collect();
        bare.sort_unstable();
        bare.join(",\n") + end
    });
    sorted.collect::<Vec<_>>().join("\n")
}

/// The API browser runs its own scripts only, asks this gateway only, and stands in nobody's frame. It sets styles of
/// elements as it goes.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

async fn with_policy(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    response
}

/// `/openapi.json` and `/docs`, compressed for who takes gzip, and once for who keeps them; people who open the gateway come
/// to the latter.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(document: &OpenApi) -> Router<S> {
    let text = to_json(document).map(Bytes::from).map_err(Arc::new);
    let document = get(async move || match text {
        Ok(text) => {
            let json = HeaderValue::from_static("application/json");
            Ok(([(header::CONTENT_TYPE, json)], text))
        }
        Err(error) => Err(ApiError::from(GatewayError::Internal(error))),
    });
    let config = Config::new([DOCUMENT_PATH]).validator_url("none");
    // Only here: what holds secrets would tell their length, and thereby them, to who can mix in a text of their own.
    // Anybody may ask, and each answer is compressed anew, so in the way that costs least.
    let compressed = CompressionLayer::new().quality(CompressionLevel::Fastest);
    Router::from(SwaggerUi::new(BROWSER_PATH).config(config))
        .route(DOCUMENT_PATH, document)
        .route("/", get(async || Redirect::to(BROWSER_PATH)))
        .layer(from_fn(tags::with_tag))
        .layer(compressed)
        .layer(map_response(with_policy))
}
