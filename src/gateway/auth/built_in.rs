//! The built-in service `admin`: it is always registered, so that it is listed and found like any other.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::AdminCredential;
use crate::entropy::Entropy;
use crate::gateway::GatewayError;
use crate::model::id::ServiceId;
use crate::model::permission::Permissions;
use crate::model::quota::Quotas;
use crate::model::service::{Manager, ServiceName};
use crate::model::token::{CredentialHash, ServiceSecret};
use crate::rules::refusal::Refusal;
use crate::rules::services::NewService;
use crate::store::{OpError, Stores};

/// For how long a store that opened and does not answer is asked again before the start is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// Sees to it that `admin` exists and can authenticate. A secret that had to be made for that is returned, once; a
/// configured one is never stored.
pub async fn ensure_admin(
    stores: &Stores,
    configured: &AdminCredential,
) -> Result<Option<ServiceSecret>, GatewayError> {
    // The same in every attempt, so that one whose answer was lost is recognised.
    let secret = ServiceSecret::made(&*Entropy::Fresh.secret()?);
    let until = Instant::now() + PATIENCE;
    loop {
        match set_up(stores, configured, &secret).await {
            Err(GatewayError::StoreUnavailable(_)) if Instant::now() < until => sleep(PAUSE).await,
            outcome => return outcome.map(|is_ours| is_ours.then_some(secret)),
        }
    }
}

/// Tells whether the secret is now that of `admin`.
async fn set_up(
    stores: &Stores,
    configured: &AdminCredential,
    secret: &ServiceSecret,
) -> Result<bool, GatewayError> {
    let admin = ServiceId::admin();
    let record = stores.services.find_service(&admin).await?;
    if configured.0.is_some() {
        if record.is_none() {
            register(stores, CredentialHash::NONE).await?;
        }
        return Ok(false);
    }
    let Some(record) = record else {
        return register(stores, secret.hash()).await;
    };
    if record.secret != CredentialHash::NONE {
        return Ok(record.secret == secret.hash());
    }
    stores
        .services
        .rotate_secret(&admin, secret.hash(), Duration::ZERO, &Manager::admin())
        .await?;
    Ok(true)
}

/// Registers `admin`, and tells whether this call did it. With [`CredentialHash::NONE`] only a configured secret is
/// good for it.
pub(super) async fn register(
    stores: &Stores,
    secret: CredentialHash,
) -> Result<bool, GatewayError> {
    let new = NewService {
        service_id: ServiceId::admin(),
        service_name: ServiceName::admin(),
        permissions: Permissions::everything(),
        session_limit: None,
        quotas: Quotas::default(),
        secret,
        operation_id: None,
    };
    match stores.services.register(new, &Manager::admin()).await {
        Ok(_service) => Ok(true),
        Err(OpError::Refused(Refusal::ServiceExists)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
