//! Status and stable code of what a use case refuses.

use axum::http::StatusCode;

use crate::gateway::GatewayError;

/// Status and stable code of each error.
pub(super) fn kind_of(error: &GatewayError) -> (StatusCode, &'static str) {
    use GatewayError as E;
    match error {
        E::InvalidField { .. } | E::AttributeLimit(_) | E::NotCountable | E::CursorInvalid => {
            (StatusCode::BAD_REQUEST, "invalid_request")
        }
        E::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
        E::PermissionDenied(_) => (StatusCode::FORBIDDEN, "permission_denied"),
        E::LoginBanned => (StatusCode::FORBIDDEN, "login_banned"),
        E::SessionNotFound => (StatusCode::NOT_FOUND, "session_not_found"),
        E::AttributeNotFound => (StatusCode::NOT_FOUND, "attribute_not_found"),
        E::ServiceNotFound => (StatusCode::NOT_FOUND, "service_not_found"),
        E::TokenNotFound => (StatusCode::NOT_FOUND, "token_not_found"),
        E::BanNotFound => (StatusCode::NOT_FOUND, "ban_not_found"),
        E::ProfileNotFound => (StatusCode::NOT_FOUND, "profile_not_found"),
        E::ServiceExists => (StatusCode::CONFLICT, "service_exists"),
        E::ServiceBuiltIn => (StatusCode::CONFLICT, "service_built_in"),
        E::TokenInUse => (StatusCode::CONFLICT, "token_in_use"),
        E::SessionLimitReached | E::LoginTooLarge { .. } => {
            (StatusCode::CONFLICT, "session_limit_reached")
        }
        E::BackupNotPossible => (StatusCode::CONFLICT, "backup_not_possible"),
        E::LoaderNotConfigured => (StatusCode::CONFLICT, "loader_not_configured"),
        E::AttributeNotANumber => (StatusCode::CONFLICT, "attribute_not_a_number"),
        E::SessionEnded(_) => (StatusCode::GONE, "session_ended"),
        E::CursorExpired => (StatusCode::GONE, "cursor_expired"),
        E::VersionConflict => (StatusCode::PRECONDITION_FAILED, "version_conflict"),
        E::IdempotencyKeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
        E::IdempotencyKeyUnreadable => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_unreadable",
        ),
        E::QuotaExceeded(_) => (StatusCode::TOO_MANY_REQUESTS, "quota_exceeded"),
        E::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
        E::StoreUnavailable(_) | E::StoreFull => {
            (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable")
        }
        E::Overloaded(_) => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
        E::LoaderUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "loader_unavailable"),
        E::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        E::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}
