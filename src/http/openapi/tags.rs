//! Who has the document, or a file of its browser, is told so and sent nothing (RFC 9110, section 13.1.2).

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::http::error::ApiError;

/// Each file is in memory anyway; the largest has some 1.5 MB.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// As the document changes only with the program, copies are good for as long as they are asked about.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// Tags the answer, and leaves its body out if the client has it.
pub(super) async fn with_tag(request: Request, next: Next) -> Result<Response, ApiError> {
    // An answer to HEAD has no body to make a tag of.
    if request.method() != Method::GET {
        return Ok(next.run(request).await);
    }
    let asked = request.headers().clone();
    let response = next.run(request).await;
    if response.status() != StatusCode::OK {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, MOST_BYTES)
        .await
        .map_err(ApiError::internal)?;
    let tag = tag_of(&body);
    let is_known = names(&asked, &tag);
    parts.headers.insert(header::CACHE_CONTROL, ASK_AGAIN);
    parts.headers.insert(
        header::ETAG,
        HeaderValue::try_from(format!("W/{tag}")).map_err(ApiError::internal)?,
    );
    if is_known {
        parts.headers.remove(header::CONTENT_TYPE);
        let by = HeaderValue::from_static("accept-encoding");
        parts.headers.insert(header::VARY, by);
        return Ok((StatusCode::NOT_MODIFIED, parts.headers).into_response());
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// The tag is weak, as what is sent may be compressed or not.
fn tag_of(body: &[u8]) -> String {
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(body)))
}

fn names(asked: &HeaderMap, tag: &str) -> bool {
    let values = asked.get_all(header::IF_NONE_MATCH).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let mut tags = texts.flat_map(|text| text.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}
