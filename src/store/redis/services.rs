//! Registered services: all in one hash. A write is computed from the record it read and made if that still stands.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis;

use super::args::Args;
use super::client::Client;
use super::keys::SERVICES;
use super::link::Effect;
use super::reply::{Reply, newer, optional_bytes};
use super::{RedisStore, scripts};
use crate::model::Timestamp;
use crate::model::event::ServiceChange;
use crate::model::id::ServiceId;
use crate::model::page::{Cursor, Page, PageLimit};
use crate::model::service::{PreviousSecret, Service, ServiceRecord, ServiceUpdate};
use crate::model::token::CredentialHash;
use crate::store::node::recovery::{Deed, RecoveryLog, ServiceState, WrittenService};
use crate::store::{NewService, OpError, Refusal, ServiceStore, StoreError};

use super::events::service_change_text;

/// The format of service records: this byte, then postcard.
const FORMAT: u8 = 1;
/// The format of those that a limit follows.
const WITH_LIMIT: u8 = 2;
/// What error messages call a record.
const SERVICE: &str = "service";
/// Starts the cursors of service lists; the id of the last service follows.
const CURSOR: u8 = b'v';
/// How often a write is computed again because somebody else wrote.
const ATTEMPTS: usize = 100;

/// The operations on services.
#[derive(Debug)]
pub(super) struct Services {
    client: Arc<Client>,
    log: Arc<RecoveryLog>,
}

/// A write, computed from the record there is.
enum Write {
    /// Nothing is to be written; this is the answer.
    Not(Service),
    /// This is to stand in its place.
    Put(Box<ServiceRecord>, ServiceChange),
    /// It is to go.
    Remove(Service),
}

#[async_trait]
impl ServiceStore for RedisStore {
    async fn register(&self, new: NewService, by: &ServiceId) -> Result<Service, OpError> {
        let service_id = new.service_id.clone();
        let write = |held: Option<ServiceRecord>, now| match held {
            Some(record) if new.mark.is_some() && record.secret == new.secret => {
                Ok(Write::Not(record.service))
            }
            Some(_) => Err(Refusal::ServiceExists),
            None => Ok(Write::Put(registered(&new, now), ServiceChange::Registered)),
        };
        self.services.write_service(&service_id, by, write).await
    }

    async fn find_service(
        &self,
        service_id: &ServiceId,
    ) -> Result<Option<ServiceRecord>, StoreError> {
        let held = self.services.held_service(service_id).await?;
        held.map(|held| decode(&held)).transpose()
    }

    async fn list_services(
        &self,
        limit: PageLimit,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Service>, OpError> {
        let after = match cursor.map(Cursor::place) {
            None => String::new(),
            Some([CURSOR, id @ ..]) => place(id)?.as_str().to_owned(),
            Some(_) => return Err(Refusal::CursorInvalid.into()),
        };
        Ok(self.services.services_after(&after, limit.get()).await?)
    }

    async fn update_service(
        &self,
        service_id: &ServiceId,
        update: ServiceUpdate,
        by: &ServiceId,
    ) -> Result<Service, OpError> {
        let write = |held: Option<ServiceRecord>, now| {
            let mut record = held.ok_or(Refusal::ServiceUnknown)?;
            update.clone().apply(&mut record.service, now);
            Ok(Write::Put(Box::new(record), ServiceChange::Updated))
        };
        self.services.write_service(service_id, by, write).await
    }

    async fn rotate_secret(
        &self,
        service_id: &ServiceId,
        secret: CredentialHash,
        grace: Duration,
        by: &ServiceId,
    ) -> Result<Service, OpError> {
        let write = |held: Option<ServiceRecord>, now| {
            let record = held.ok_or(Refusal::ServiceUnknown)?;
            if record.secret == secret {
                return Ok(Write::Not(record.service));
            }
            let rotated = rotated(record, secret, grace, now);
            Ok(Write::Put(rotated, ServiceChange::SecretRotated))
        };
        self.services.write_service(service_id, by, write).await
    }

    async fn remove_service(&self, service_id: &ServiceId, by: &ServiceId) -> Result<(), OpError> {
        let write = |held: Option<ServiceRecord>, _now| {
            let record = held.ok_or(Refusal::ServiceUnknown)?;
            Ok(Write::Remove(record.service))
        };
        self.services.write_service(service_id, by, write).await?;
        Ok(())
    }
}

fn registered(new: &NewService, now: Timestamp) -> Box<ServiceRecord> {
    Box::new(ServiceRecord {
        service: Service {
            service_id: new.service_id.clone(),
            service_name: new.service_name.clone(),
            permissions: new.permissions.clone(),
            enabled: true,
            created_at: now,
            updated_at: now,
            session_limit: new.session_limit,
        },
        secret: new.secret,
        previous_secret: None,
    })
}

fn rotated(
    record: ServiceRecord,
    secret: CredentialHash,
    grace: Duration,
    now: Timestamp,
) -> Box<ServiceRecord> {
    Box::new(ServiceRecord {
        service: Service {
            updated_at: now,
            ..record.service
        },
        secret,
        previous_secret: Some(PreviousSecret {
            hash: record.secret,
            until: now.plus(grace),
        }),
    })
}

impl Services {
    pub(super) fn new(client: Arc<Client>, log: Arc<RecoveryLog>) -> Self {
        Self { client, log }
    }

    pub(super) async fn held_service(
        &self,
        service_id: &ServiceId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut read = redis::cmd("HGET");
        read.arg(self.client.keys.services())
            .arg(service_id.as_str());
        optional_bytes(self.client.command(SERVICES, &read).await?)
    }

    async fn write_service<F>(
        &self,
        service_id: &ServiceId,
        by: &ServiceId,
        write: F,
    ) -> Result<Service, OpError>
    where
        F: Fn(Option<ServiceRecord>, Timestamp) -> Result<Write, Refusal> + Send + Sync,
    {
        for _attempt in 0..ATTEMPTS {
            let held = self.held_service(service_id).await?;
            let record = held.as_deref().map(decode).transpose()?;
            let now = self.client.clock(SERVICES).now;
            let (service, record, change) = match write(record, now)? {
                Write::Not(service) => return Ok(service),
                Write::Put(record, change) => {
                    let bytes = encode(&record)?;
                    (record.service, Some(bytes), change)
                }
                Write::Remove(service) => (service, None, ServiceChange::Removed),
            };
            let left = ServiceState {
                record,
                at: now,
                by: by.clone(),
            };
            let held = held.as_deref();
            if self.put_service(service_id, held, &left, change).await? {
                let service_id = service_id.clone();
                self.log.keep(Deed::Service(service_id, left));
                return Ok(service);
            }
        }
        Err(StoreError::Overloaded.into())
    }

    /// Leaves a service like this, if it is still as it was held.
    pub(super) async fn put_service(
        &self,
        service_id: &ServiceId,
        held: Option<&[u8]>,
        left: &ServiceState,
        change: ServiceChange,
    ) -> Result<bool, StoreError> {
        let args = Args::new()
            .show(service_id)
            .bytes(held.unwrap_or_default())
            .bytes(left.record.as_deref().unwrap_or_default())
            .text(service_change_text(change))
            .show(&left.by)
            .show(left.at.millis());
        let mut keys = self.client.keys.indexes(SERVICES);
        keys.push(self.client.keys.services());
        let mut reply = self
            .client
            .run_on(SERVICES, &scripts::SERVICE, keys, args, Effect::Once)
            .await?;
        Ok(reply.text()? == "done")
    }

    /// Reads what was written to a service, unless something older is there: then it is lost already.
    pub(super) async fn remember_service(
        &self,
        written: &WrittenService,
    ) -> Result<(), StoreError> {
        if let Some(left) = self.service_since(written).await? {
            let service_id = written.service_id.clone();
            self.log.keep(Deed::Service(service_id, left));
        }
        Ok(())
    }

    /// A service as it was left at a moment or later; nothing if what is there is older, or of a newer version of the
    /// gateway.
    async fn service_since(
        &self,
        written: &WrittenService,
    ) -> Result<Option<ServiceState>, StoreError> {
        let held = self.held_service(&written.service_id).await?;
        let left = held.and_then(|bytes| {
            Some(ServiceState {
                at: decode(&bytes).ok()?.service.updated_at,
                by: written.by.clone(),
                record: Some(bytes),
            })
        });
        Ok(left.filter(|left| left.at >= written.at))
    }

    async fn services_after(&self, after: &str, most: usize) -> Result<Page<Service>, StoreError> {
        let mut names = redis::cmd("HKEYS");
        names.arg(self.client.keys.services());
        let mut names = Reply::new(self.client.command(SERVICES, &names).await?)?;
        let mut ids = Vec::new();
        while !names.is_empty() {
            ids.push(names.text()?);
        }
        ids.retain(|id| id.as_str() > after);
        ids.sort_unstable();
        let more = ids.len() > most;
        ids.truncate(most);
        let next = ids.last().filter(|_| more).map(|id| {
            let mut place = vec![CURSOR];
            place.extend(id.as_bytes());
            Cursor::new(place)
        });
        let items = self.services_named(&ids).await?;
        Ok(Page { items, next })
    }

    async fn services_named(&self, ids: &[String]) -> Result<Vec<Service>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut read = redis::cmd("HMGET");
        read.arg(self.client.keys.services()).arg(ids);
        let mut held = Reply::new(self.client.command(SERVICES, &read).await?)?;
        let mut services = Vec::new();
        while !held.is_empty() {
            // One that was removed meanwhile is left out.
            if let Some(bytes) = held.optional_bytes()? {
                services.push(decode(&bytes)?.service);
            }
        }
        Ok(services)
    }
}

fn place(id: &[u8]) -> Result<ServiceId, Refusal> {
    let text = std::str::from_utf8(id).or(Err(Refusal::CursorInvalid))?;
    ServiceId::parse(text).or(Err(Refusal::CursorInvalid))
}

fn corrupt(cause: impl Into<crate::store::Cause>) -> StoreError {
    StoreError::Corrupt {
        record: SERVICE,
        cause: cause.into(),
    }
}

fn encode(record: &ServiceRecord) -> Result<Vec<u8>, StoreError> {
    let encoded = match &record.service.session_limit {
        None => postcard::to_extend(record, vec![FORMAT]),
        Some(limit) => postcard::to_extend(&(record, limit), vec![WITH_LIMIT]),
    };
    encoded.map_err(corrupt)
}

pub(super) fn decode(bytes: &[u8]) -> Result<ServiceRecord, StoreError> {
    match bytes.split_first() {
        Some((&FORMAT, body)) => postcard::from_bytes(body).map_err(corrupt),
        Some((&WITH_LIMIT, body)) => {
            let (mut record, limit): (ServiceRecord, _) =
                postcard::from_bytes(body).map_err(corrupt)?;
            record.service.session_limit = Some(limit);
            Ok(record)
        }
        Some((format, _)) => Err(newer(SERVICE, &format.to_string())),
        None => Err(corrupt(postcard::Error::DeserializeUnexpectedEnd)),
    }
}
