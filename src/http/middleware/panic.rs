//! A handler that panics is answered for, without what the panic carries.

use std::any::Any;

use axum::response::{IntoResponse, Response};
use thiserror::Error;

use crate::http::error::ApiError;

/// A handler panicked; where, the panic hook has logged.
#[derive(Debug, Error)]
#[error("the handler panicked")]
struct Panicked;

pub(super) fn answer_panic(_message: Box<dyn Any + Send>) -> Response {
    ApiError::internal(Panicked).into_response()
}
