//! Profiles: what is known of users, put here or loaded from the service that knows it.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problems::{NoLoader, NoProfile, ProfileUnknown};
use crate::gateway::Caller;
use crate::gateway::profile::Refreshed;
use crate::http::auth::guarded;
use crate::http::error::{ApiError, Problem};
use crate::http::extract::{Json, Path};
use crate::http::state::AppState;
use crate::model::Timestamp;
use crate::model::id::LoginId;
use crate::model::permission::Permission;
use crate::model::profile::{Profile, RefreshOutcome, UserDetails};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(guarded(Permission::LoginManage, routes!(put_profile)))
        .merge(guarded(Permission::LoginRead, routes!(find_profile)))
        .merge(guarded(Permission::LoginManage, routes!(remove_profile)))
        .merge(guarded(Permission::LoginManage, routes!(refresh_profiles)))
}

/// A profile as it was put.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"profile": {"name": "Ana", "locale": "fr"}, "ttl_seconds": 3600}))]
pub(crate) struct ProfileRecord {
    /// What is known of the user.
    profile: UserDetails,
    /// How long it is fresh.
    #[schema(minimum = 1, maximum = 2_592_000)]
    ttl_seconds: u64,
}

/// A profile as it is kept.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProfileView {
    /// What is known of the user.
    profile: UserDetails,
    /// How long it was to be fresh when it was put or loaded.
    #[schema(minimum = 1, maximum = 2_592_000)]
    ttl_seconds: u64,
    /// The first moment at which it is not fresh any more.
    expires_at: Timestamp,
    /// Whether that is over, and the profile could not be loaded anew.
    stale: bool,
}

/// Whose profiles are loaded anew.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"login_ids": ["user123"], "ttl_seconds": 3600}))]
pub(crate) struct RefreshProfilesRequest {
    /// The login ids; what is there twice is loaded once.
    #[schema(min_items = 1, max_items = 100)]
    login_ids: Vec<LoginId>,
    /// How long what is loaded is fresh.
    #[schema(minimum = 1, maximum = 2_592_000)]
    ttl_seconds: u64,
}

/// What became of profiles that were to be loaded anew.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefreshedProfiles {
    /// How many were loaded.
    #[schema(maximum = 100, format = Int32)]
    count: usize,
    /// Each of them, in the order of the request.
    items: Vec<RefreshedProfile>,
}

/// What became of one of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefreshedProfile {
    /// Whose it is.
    login_id: LoginId,
    /// What became of it.
    outcome: RefreshOutcome,
}

impl From<(LoginId, Refreshed)> for RefreshedProfile {
    fn from((login_id, refreshed): (LoginId, Refreshed)) -> Self {
        let outcome = match refreshed {
            Refreshed::Loaded => RefreshOutcome::Loaded,
            Refreshed::NotFound => RefreshOutcome::NotFound,
            Refreshed::Failed => RefreshOutcome::Failed,
        };
        Self { login_id, outcome }
    }
}

impl From<Profile> for ProfileRecord {
    fn from(profile: Profile) -> Self {
        Self {
            profile: profile.details,
            ttl_seconds: profile.ttl.as_secs(),
        }
    }
}

/// Put the profile of a login id
///
/// Takes the place of any there is, and counts until its time is over, whatever a loader knows. A load that is under way
/// does not overwrite it.
#[utoipa::path(
    put, path = "/v1/logins/{login_id}/profile", tag = "logins", request_body = ProfileRecord,
    params(("login_id" = LoginId, Path, description = "The login id.")),
    responses((status = 200, description = "It is kept.", body = ProfileRecord)),
)]
async fn put_profile(
    State(state): State<AppState>,
    _caller: Caller,
    Path(login_id): Path<LoginId>,
    Json(request): Json<ProfileRecord>,
) -> Result<Json<ProfileRecord>, ApiError> {
    let ttl = Duration::from_secs(request.ttl_seconds);
    let put = state.gateway.profiles.put(&login_id, request.profile, ttl);
    Ok(Json(put.await?.into()))
}

/// Read the profile of a login id
///
/// If none is fresh and a loader is configured, it is asked once, whatever the number of callers and nodes. While the
/// loader fails, the profile that was kept before is served as `stale`.
#[utoipa::path(
    get, path = "/v1/logins/{login_id}/profile", tag = "logins",
    params(("login_id" = LoginId, Path, description = "The login id.")),
    responses(
        (status = 200, description = "What is known of the user.", body = ProfileView),
        ProfileUnknown,
        (status = 503, description = "Nothing is known: the store did not answer in time, or the loader did not answer \
         as it should and nothing stale is kept.", body = Problem, content_type = "application/problem+json",
         headers(("Retry-After" = i64, description = "Seconds after which to try again."))),
    ),
)]
async fn find_profile(
    State(state): State<AppState>,
    _caller: Caller,
    Path(login_id): Path<LoginId>,
) -> Result<Json<ProfileView>, ApiError> {
    let found = state.gateway.profiles.find(&login_id).await?;
    Ok(Json(ProfileView {
        expires_at: found.profile.expires_at,
        ttl_seconds: found.profile.ttl.as_secs(),
        profile: found.profile.details,
        stale: found.stale,
    }))
}

/// Forget the profile of a login id
///
/// With a loader, the next read loads it anew. A load that is under way does not bring it back.
#[utoipa::path(
    delete, path = "/v1/logins/{login_id}/profile", tag = "logins",
    params(("login_id" = LoginId, Path, description = "The login id.")),
    responses(
        (status = 204, description = "It is forgotten."),
        NoProfile,
    ),
)]
async fn remove_profile(
    State(state): State<AppState>,
    _caller: Caller,
    Path(login_id): Path<LoginId>,
) -> Result<StatusCode, ApiError> {
    state.gateway.profiles.remove(&login_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Load profiles anew
///
/// Asks the loader for each of them, a few at a time, and tells what became of each within some ten seconds. A load that
/// began before is overtaken, so that what is kept then is not older than this call.
#[utoipa::path(
    post, path = "/v1/profiles/refresh", tag = "logins", request_body = RefreshProfilesRequest,
    extensions(("x-idempotency" = json!("refused"))),
    responses(
        (status = 200, description = "What became of each.", body = RefreshedProfiles),
        NoLoader,
    ),
)]
async fn refresh_profiles(
    State(state): State<AppState>,
    _caller: Caller,
    Json(request): Json<RefreshProfilesRequest>,
) -> Result<Json<RefreshedProfiles>, ApiError> {
    let ttl = Duration::from_secs(request.ttl_seconds);
    let refreshed = state.gateway.profiles.refresh(request.login_ids, ttl);
    let refreshed = refreshed.await?;
    let is_loaded = |(_, outcome): &&(LoginId, Refreshed)| *outcome == Refreshed::Loaded;
    Ok(Json(RefreshedProfiles {
        count: refreshed.iter().filter(is_loaded).count(),
        items: refreshed.into_iter().map(RefreshedProfile::from).collect(),
    }))
}
