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

/// Sees to it that `admin` exists and can authenticate.
///
/// A configured secret is never stored, and one that was made before is forgotten for it. One that has to be made is handed
/// over before it is good for anything, and returned, once.
pub async fn ensure_admin<E: From<GatewayError>>(
    stores: &Stores,
    configured: &AdminCredential,
    hand_over: impl FnOnce(&ServiceSecret) -> Result<(), E>,
) -> Result<Option<ServiceSecret>, E> {
    let until = Instant::now() + PATIENCE;
    if configured.0.is_some() {
        patiently(until, async || forget_secret(stores).await).await?;
        return Ok(None);
    }
    let is_kept = patiently(until, async || has_secret(stores).await).await?;
    if is_kept {
        return Ok(None);
    }
    // The same in every attempt, so that one whose answer was lost is recognised.
    let secret = ServiceSecret::made(&*Entropy::Fresh.secret().map_err(GatewayError::from)?);
    hand_over(&secret)?;
    let is_ours = patiently(until, async || set_up(stores, &secret).await).await?;
    Ok(is_ours.then_some(secret))
}

async fn patiently<T>(
    until: Instant,
    attempt: impl AsyncFn() -> Result<T, GatewayError>,
) -> Result<T, GatewayError> {
    loop {
        match attempt().await {
            Err(GatewayError::StoreUnavailable(_)) if Instant::now() < until => sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
}

async fn has_secret(stores: &Stores) -> Result<bool, GatewayError> {
    let record = stores.services.find_service(&ServiceId::admin()).await?;
    Ok(record.is_some_and(|record| record.secret != CredentialHash::NONE))
}

async fn forget_secret(stores: &Stores) -> Result<(), GatewayError> {
    let record = stores.services.find_service(&ServiceId::admin()).await?;
    match record {
        None => register(stores, CredentialHash::NONE).await.map(drop),
        Some(record) if record.secret == CredentialHash::NONE => Ok(()),
        Some(_) => rotate(stores, CredentialHash::NONE).await,
    }
}

/// Tells whether the secret is now that of `admin`, which another gateway may have given one meanwhile.
async fn set_up(stores: &Stores, secret: &ServiceSecret) -> Result<bool, GatewayError> {
    let record = stores.services.find_service(&ServiceId::admin()).await?;
    let Some(record) = record else {
        return register(stores, secret.hash()).await;
    };
    if record.secret != CredentialHash::NONE {
        return Ok(record.secret == secret.hash());
    }
    rotate(stores, secret.hash()).await?;
    Ok(true)
}

async fn rotate(stores: &Stores, secret: CredentialHash) -> Result<(), GatewayError> {
    let (admin, manager) = (ServiceId::admin(), Manager::admin());
    let services = &stores.services;
    let rotated = services.rotate_secret(&admin, secret, Duration::ZERO, &manager);
    rotated.await?;
    Ok(())
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
