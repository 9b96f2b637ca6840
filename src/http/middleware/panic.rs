//! Panics are bugs: they are told without what they carry, because their message may hold anything.

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

/// Logs every panic by its place. Of its message only text that stands in the source is told.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload().downcast_ref::<&'static str>();
        tracing::error!(
            place = place.as_deref().unwrap_or("unknown"),
            message = message.copied().unwrap_or("withheld"),
            "a task panicked"
        );
    }));
}
