//! Tokens: is this one good, and a new one in its place. `introspect` and `revoke` speak OAuth 2.0 (RFC 7662, RFC 7009).

use std::borrow::Cow;
use std::iter;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use zeroize::Zeroizing;

use crate::gateway::{Caller, Verification};
use crate::http::auth::guarded;
use crate::http::error::ApiError;
use crate::http::extract::{Form, Json};
use crate::http::state::AppState;
use crate::model::Timestamp;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::permission::Permission;
use crate::model::request::{Consistency, Touch};
use crate::model::session::{EndReason, Ended, Session};
use crate::model::words::growing;

mod rotate;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(guarded(Permission::TokenVerify, routes!(verify_token)))
        .merge(guarded(Permission::TokenVerify, routes!(introspect_token)))
        .merge(guarded(
            Permission::SessionUpdate,
            routes!(rotate::rotate_token),
        ))
        .merge(guarded(Permission::SessionDelete, routes!(revoke_token)))
}

/// A token to verify.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "sgw_AZjHpF8ufDGdIGsfClLjfxV0b2tlbi10aGF0LWlzLW5vYm9keXMtYXQtYWxsLi4u"}))]
pub(crate) struct VerifyTokenRequest {
    /// What the user presented.
    #[schema(value_type = String, format = Password)]
    token: Zeroizing<String>,
    /// Whether this counts as use of the session; it does if left out.
    #[serde(default = "counts_as_use")]
    #[schema(required = false)]
    touch: bool,
}

const fn counts_as_use() -> bool {
    true
}

/// Whether a token is good.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VerifyTokenResponse {
    /// Whether its session lives.
    active: bool,
    /// The session, if it lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    session: Option<Session>,
    /// Whole seconds it surely lives without further use.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    remaining_seconds: Option<u64>,
    /// When the token should be rotated, at once if that has passed. Told if the gateway is set to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    rotate_after: Option<Timestamp>,
    /// Why it is not active: `unknown_token`, or the reason its session ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<Inactive>,
    /// When, why and by whom its session ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ended: Option<Ended>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Inactive {
    UnknownToken,
    #[serde(untagged)]
    Ended(EndReason),
}

impl PartialSchema for Inactive {
    fn schema() -> RefOr<Schema> {
        let ended = EndReason::ALL.iter().map(|reason| reason.as_str());
        let about = "Why a token is not active: `unknown_token`, or the reason its session ended.";
        growing(about, iter::once("unknown_token").chain(ended))
    }
}

impl ToSchema for Inactive {
    fn name() -> Cow<'static, str> {
        "InactiveReason".into()
    }
}

/// A token, as OAuth 2.0 sends it. Other parameters are ignored (RFC 7662, section 2.1).
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"token": "sgw_AZjHpF8ufDGdIGsfClLjfxV0b2tlbi10aGF0LWlzLW5vYm9keXMtYXQtYWxsLi4u"}))]
pub(crate) struct TokenForm {
    /// What the user presented.
    #[schema(value_type = String, format = Password)]
    token: Zeroizing<String>,
}

/// What RFC 7662, section 2.2 tells of a token.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Introspection {
    /// Whether its session lives.
    active: bool,
    /// The login id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sub: Option<LoginId>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sid: Option<SessionId>,
    /// The service that opened it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client_id: Option<ServiceId>,
    /// When it was opened, in seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    iat: Option<i64>,
    /// When it expires, in seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    exp: Option<i64>,
    /// How the token is used: `Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    token_type: Option<&'static str>,
}

/// Verify a token
///
/// 200 for good and bad tokens alike; 503 when the store does not know.
#[utoipa::path(
    post, path = "/v1/tokens/verify", tag = "tokens", request_body = VerifyTokenRequest,
    responses((status = 200, description = "Whether it is good.", body = VerifyTokenResponse)),
)]
async fn verify_token(
    State(state): State<AppState>,
    _caller: Caller,
    consistency: Consistency,
    Json(request): Json<VerifyTokenRequest>,
) -> Result<Json<VerifyTokenResponse>, ApiError> {
    let touch = if request.touch { Touch::Yes } else { Touch::No };
    let verified = state.gateway.verify(&request.token, touch, consistency);
    Ok(Json(verified.await?.into()))
}

/// Introspect a token
///
/// OAuth 2.0 token introspection (RFC 7662). Never counts as use.
#[utoipa::path(
    post, path = "/v1/tokens/introspect", tag = "tokens",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "What is known of it.", body = Introspection)),
)]
async fn introspect_token(
    State(state): State<AppState>,
    _caller: Caller,
    consistency: Consistency,
    Form(form): Form<TokenForm>,
) -> Result<Json<Introspection>, ApiError> {
    let session = state.gateway.introspect(&form.token, consistency).await?;
    Ok(Json(session.map(Introspection::of).unwrap_or_default()))
}

/// Revoke a token
///
/// OAuth 2.0 token revocation (RFC 7009): ends its session as `logout`. Known and unknown tokens answer alike.
#[utoipa::path(
    post, path = "/v1/tokens/revoke", tag = "tokens",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    extensions(("x-idempotency" = json!("kept"))),
    responses((status = 200, description = "The token is good for nothing, now or already before.")),
)]
async fn revoke_token(
    State(state): State<AppState>,
    caller: Caller,
    Form(form): Form<TokenForm>,
) -> Result<StatusCode, ApiError> {
    state.gateway.revoke(&caller, &form.token).await?;
    Ok(StatusCode::OK)
}

impl From<Verification> for VerifyTokenResponse {
    fn from(verification: Verification) -> Self {
        let inactive = |reason, ended| Self {
            active: false,
            session: None,
            remaining_seconds: None,
            rotate_after: None,
            reason: Some(reason),
            ended,
        };
        match verification {
            Verification::Active {
                session,
                remaining,
                rotate_after,
            } => Self {
                active: true,
                session: Some(*session),
                remaining_seconds: Some(remaining.as_secs()),
                rotate_after,
                reason: None,
                ended: None,
            },
            Verification::Ended(ended) => inactive(Inactive::Ended(ended.reason), Some(ended)),
            Verification::Unknown => inactive(Inactive::UnknownToken, None),
        }
    }
}

impl Introspection {
    fn of(session: Session) -> Self {
        let seconds = |moment: Timestamp| moment.millis().div_euclid(1_000);
        Self {
            active: true,
            sub: Some(session.login_id),
            sid: Some(session.session_id),
            client_id: Some(session.service_id),
            iat: Some(seconds(session.created_at)),
            exp: Some(seconds(session.expires_at)),
            token_type: Some("Bearer"),
        }
    }
}
