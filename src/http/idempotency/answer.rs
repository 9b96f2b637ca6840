//! An answer as it is kept for repetitions.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::http::error::ApiError;

/// What of an answer's headers belongs to the answer; the others are made for each response.
const KEPT_HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::ETAG, header::LOCATION];

/// Status, headers and body; zeroed when it is dropped, since it may hold a credential.
#[derive(Serialize, Deserialize, Zeroize)]
#[zeroize(drop)]
pub(super) struct KeptAnswer {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl KeptAnswer {
    /// Takes down an answer, and gives it back.
    pub(super) async fn of(response: Response) -> Result<(Self, Response), ApiError> {
        let (parts, body) = response.into_parts();
        let body = body.collect().await;
        let body = body.map_err(ApiError::internal)?.to_bytes();
        let header = |name: &HeaderName| {
            let value = parts.headers.get(name)?;
            Some((name.as_str().to_owned(), value.as_bytes().to_vec()))
        };
        let kept = Self {
            status: parts.status.as_u16(),
            headers: KEPT_HEADERS.iter().filter_map(header).collect(),
            body: body.to_vec(),
        };
        Ok((kept, Response::from_parts(parts, Body::from(body))))
    }

    pub(super) fn encode(&self) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        let bytes = postcard::to_stdvec(self);
        bytes.map(Zeroizing::new).map_err(ApiError::internal)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ApiError> {
        postcard::from_bytes(bytes).map_err(ApiError::internal)
    }

    pub(super) fn replay(&self) -> Result<Response, ApiError> {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = StatusCode::from_u16(self.status).map_err(ApiError::internal)?;
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name.as_str());
            let name = name.map_err(ApiError::internal)?;
            let value = HeaderValue::from_bytes(value);
            let value = value.map_err(ApiError::internal)?;
            response.headers_mut().insert(name, value);
        }
        Ok(response)
    }
}
