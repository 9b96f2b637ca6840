//! Status and stable code of what a use case refuses.

use axum::http::StatusCode;

use super::Code;
use crate::gateway::GatewayError;

/// Status and stable code of each error.
pub(super) fn kind_of(error: &GatewayError) -> (StatusCode, Code) {
    use GatewayError as E;
    match error {
        E::InvalidField { .. } | E::AttributeLimit(_) | E::NotCountable | E::CursorInvalid => {
            (StatusCode::BAD_REQUEST, Code::InvalidRequest)
        }
        E::Unauthenticated => (StatusCode::UNAUTHORIZED, Code::Unauthenticated),
        E::PermissionDenied(_) => (StatusCode::FORBIDDEN, Code::PermissionDenied),
        E::LoginBanned => (StatusCode::FORBIDDEN, Code::LoginBanned),
        E::SessionNotFound => (StatusCode::NOT_FOUND, Code::SessionNotFound),
        E::AttributeNotFound => (StatusCode::NOT_FOUND, Code::AttributeNotFound),
        E::ServiceNotFound => (StatusCode::NOT_FOUND, Code::ServiceNotFound),
        E::TokenNotFound => (StatusCode::NOT_FOUND, Code::TokenNotFound),
        E::BanNotFound => (StatusCode::NOT_FOUND, Code::BanNotFound),
        E::ProfileNotFound => (StatusCode::NOT_FOUND, Code::ProfileNotFound),
        E::ServiceExists => (StatusCode::CONFLICT, Code::ServiceExists),
        E::ServiceBuiltIn => (StatusCode::CONFLICT, Code::ServiceBuiltIn),
        E::TokenInUse => (StatusCode::CONFLICT, Code::TokenInUse),
        E::SessionLimitReached | E::LoginTooLarge { .. } => {
            (StatusCode::CONFLICT, Code::SessionLimitReached)
        }
        E::BackupNotPossible => (StatusCode::CONFLICT, Code::BackupNotPossible),
        E::LoaderNotConfigured => (StatusCode::CONFLICT, Code::LoaderNotConfigured),
        E::AttributeNotANumber => (StatusCode::CONFLICT, Code::AttributeNotANumber),
        E::SessionEnded(_) => (StatusCode::GONE, Code::SessionEnded),
        E::CursorExpired => (StatusCode::GONE, Code::CursorExpired),
        E::VersionConflict => (StatusCode::PRECONDITION_FAILED, Code::VersionConflict),
        E::IdempotencyKeyReused => (StatusCode::UNPROCESSABLE_ENTITY, Code::IdempotencyKeyReused),
        E::IdempotencyKeyUnreadable => (
            StatusCode::UNPROCESSABLE_ENTITY,
            Code::IdempotencyKeyUnreadable,
        ),
        E::QuotaExceeded(_) => (StatusCode::TOO_MANY_REQUESTS, Code::QuotaExceeded),
        E::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, Code::RateLimited),
        E::StoreUnavailable(_) | E::StoreFull => {
            (StatusCode::SERVICE_UNAVAILABLE, Code::StoreUnavailable)
        }
        E::Overloaded(_) => (StatusCode::SERVICE_UNAVAILABLE, Code::Overloaded),
        E::LoaderUnavailable => (StatusCode::SERVICE_UNAVAILABLE, Code::LoaderUnavailable),
        E::Busy => (StatusCode::SERVICE_UNAVAILABLE, Code::Busy),
        E::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal),
    }
}
