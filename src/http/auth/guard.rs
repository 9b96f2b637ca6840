//! Stands before every operation under `/v1`: permission first, then what the request may carry, then its
//! repetitions, then the handler.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::Response;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt};

use super::document;
use super::rules::RequestRules;
use crate::gateway::GatewayError;
use crate::gateway::auth::Authenticated;
use crate::http::error::ApiError;
use crate::http::idempotency::{self, Idempotency};
use crate::model::permission::Permission;

/// Routes of one path that need a permission; the document learns it, and the errors that every such route can
/// answer.
#[must_use]
pub fn guarded<S>(permission: Permission, routes: UtoipaMethodRouter<S>) -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    behind(Some(permission), routes)
}

/// Routes of one path that any authenticated service may call.
#[must_use]
pub fn open_to_any<S>(routes: UtoipaMethodRouter<S>) -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    behind(None, routes)
}

fn behind<S>(permission: Option<Permission>, mut routes: UtoipaMethodRouter<S>) -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    let (schemas, paths, _) = &mut routes;
    document::add_schemas(schemas);
    let mut rules = Vec::new();
    for (method, operation) in document::operations(paths) {
        rules.push((method, RequestRules::of(operation)));
        document::describe(operation, permission);
    }
    let guard = Arc::new(Guard { permission, rules });
    let layer = middleware::from_fn(move |request: Request, next: Next| {
        let guard = Arc::clone(&guard);
        async move { guard.pass(request, next).await }
    });
    OpenApiRouter::new().routes(routes.map(|router| router.route_layer(layer)))
}

struct Guard {
    permission: Option<Permission>,
    rules: Vec<(Method, RequestRules)>,
}

impl Guard {
    async fn pass(&self, mut request: Request, next: Next) -> Result<Response, ApiError> {
        let rules = self.rules_of(request.method())?;
        if rules.idempotency == Some(Idempotency::Refused) {
            idempotency::refuse_key(request.headers())?;
        }
        let authenticated = request.extensions_mut().remove::<Authenticated>();
        let authenticated = authenticated.ok_or(GatewayError::Unauthenticated)?;
        let caller = authenticated.caller(self.permission)?;
        rules.check(&request)?;
        request.extensions_mut().insert(caller);
        let key = match rules.idempotency {
            Some(Idempotency::Rebuilt | Idempotency::Kept) => {
                idempotency::key_of(request.headers())?
            }
            Some(Idempotency::Refused) | None => None,
        };
        match key {
            Some(key) => idempotency::run_once(authenticated.claimant(), &key, request, next).await,
            None => Ok(next.run(request).await),
        }
    }

    /// A HEAD request is answered by the operation of GET.
    fn rules_of(&self, method: &Method) -> Result<&RequestRules, ApiError> {
        let method = if *method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let found = self.rules.iter().find(|(known, _)| known == method);
        found
            .map(|(_, rules)| rules)
            .ok_or(ApiError::MethodNotAllowed)
    }
}
