//! What remains of an answer that is made again for each repetition: its handler hands it out beside the answer, and
//! gets it back in the place of doing anything.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::http::error::ApiError;

/// What remains of an answer, encoded. It stands beside the response of the first time and beside the request of each
/// repetition.
#[derive(Clone)]
pub(super) struct Remains(pub(super) Arc<Zeroizing<Vec<u8>>>);

/// An answer with what it can be made of again.
pub(in crate::http) fn rebuildable(
    remains: &impl Serialize,
    answer: impl IntoResponse,
) -> Result<Response, ApiError> {
    let encoded = postcard::to_stdvec(remains).map_err(ApiError::internal)?;
    let mut response = answer.into_response();
    let remains = Remains(Arc::new(Zeroizing::new(encoded)));
    response.extensions_mut().insert(remains);
    Ok(response)
}

/// What remains of the first answer, if the request is a repetition.
#[derive(Debug)]
pub(in crate::http) struct Repeated<T>(pub(in crate::http) Option<T>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Repeated<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let remains = parts.extensions.get::<Remains>();
        let decoded = remains.map(|Remains(bytes)| postcard::from_bytes(bytes));
        decoded.transpose().map(Self).map_err(ApiError::internal)
    }
}
