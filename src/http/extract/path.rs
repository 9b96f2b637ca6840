//! Parameters of the path, parsed into our own types.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use crate::gateway::GatewayError;
use crate::http::error::ApiError;
use crate::model::attribute::AttributeName;
use crate::model::id::{LoginId, ServiceId, SessionId};

/// A part of a path: percent-decoded exactly once by the router, then parsed.
pub trait PathParam: Sized {
    /// Takes the decoded text.
    fn parse_param(text: &str) -> Result<Self, ApiError>;
}

impl PathParam for SessionId {
    fn parse_param(text: &str) -> Result<Self, ApiError> {
        Self::parse(text).ok_or(GatewayError::SessionNotFound.into())
    }
}

/// An id that breaks its rules names what is wrong with it.
macro_rules! named_param {
    ($type:ty, $name:literal) => {
        impl PathParam for $type {
            fn parse_param(text: &str) -> Result<Self, ApiError> {
                Self::parse(text)
                    .map_err(|error| ApiError::InvalidRequest(format!("`{}` {error}", $name)))
            }
        }
    };
}
named_param!(LoginId, "login_id");
named_param!(AttributeName, "name");
named_param!(ServiceId, "service_id");

/// The parameters of the path, in its order.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

async fn path_params<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<Vec<String>, ApiError> {
    let params = RawPathParams::from_request_parts(parts, state).await;
    let params =
        params.map_err(|_utf8| ApiError::InvalidRequest("the path is not UTF-8".to_owned()))?;
    Ok(params.iter().map(|(_, value)| value.to_owned()).collect())
}

impl<T: PathParam, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match path_params(parts, state).await?.as_slice() {
            [only] => T::parse_param(only).map(Self),
            _ => Err(ApiError::RouteNotFound),
        }
    }
}

impl<A: PathParam, B: PathParam, S: Send + Sync> FromRequestParts<S> for Path<(A, B)> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match path_params(parts, state).await?.as_slice() {
            [first, second] => Ok(Self((A::parse_param(first)?, B::parse_param(second)?))),
            _ => Err(ApiError::RouteNotFound),
        }
    }
}
