//! The operations under `/v1`: one file a resource.

use serde::Deserialize;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa_axum::router::OpenApiRouter;

use crate::http::extract::IfMatch;
use crate::http::state::AppState;
use crate::model::page::{PageLimit, SealedCursor};

mod attributes;
mod backups;
mod bans;
mod events;
pub(crate) mod health;
mod limit;
mod logins;
pub(crate) mod metrics;
mod permissions;
mod pieces;
mod problems;
mod profiles;
mod quotas;
mod services;
mod sessions;
mod tokens;

pub(crate) use problems::shared_name;

/// Every operation of this folder.
#[must_use]
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(services::routes())
        .merge(quotas::routes())
        .merge(permissions::routes())
        .merge(sessions::routes())
        .merge(attributes::routes())
        .merge(logins::routes())
        .merge(bans::routes())
        .merge(profiles::routes())
        .merge(tokens::routes())
        .merge(events::routes())
        .merge(backups::routes())
}

/// Which page of a list is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// The most items of the page.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000, default = 50)]
    limit: PageLimit,
    /// `next_cursor` of the page before.
    cursor: Option<SealedCursor>,
}

impl IntoParams for IfMatch {
    fn into_params(_place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let about = "The version the session must have, such as `\"7\"`; `*` is any.";
        let tags = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r#"^(\*|"[0-9]+"( *, *"[0-9]+")*)$"#));
        let parameter = ParameterBuilder::new()
            .name("If-Match")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(about))
            .schema(Some(tags));
        vec![parameter.build()]
    }
}
