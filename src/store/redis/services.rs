//! Registered services: all in one hash. A write is decided from the record it read and made if that still stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use deadpool_redis::redis;
use tokio::time::Instant;

use super::RedisStore;
use super::call::call;
use super::client::Client;
use super::connections::Effect;
use super::keys::SERVICES;
use super::reply::{Reply, newer, optional_bytes};
use crate::model::Timestamp;
use crate::model::event::ServiceChange;
use crate::model::id::ServiceId;
use crate::model::page::PageLimit;
use crate::model::service::{Manager, Service, ServiceRecord};
use crate::rules::services::ServiceRequest;
use crate::store::node::recovery::{RecoveryEntry, RecoveryLog, ServiceState, WrittenService};
use crate::store::{OpError, ServiceStore, StoreError};

use super::events::service_change_text;

/// The format of service records: this byte, then postcard.
const FORMAT: u8 = 1;
/// The format of those that a limit follows.
const WITH_LIMIT: u8 = 2;
/// The format of those that quotas follow, behind a limit that may be none.
const WITH_QUOTAS: u8 = 3;
/// Services that Redis looks at in one step of a walk.
const STEP: usize = 200;
/// Where a walk starts, and where it is over.
const START: &[u8] = b"0";
/// What error messages call a record.
const SERVICE: &str = "service";

#[derive(Debug)]
pub(super) enum Put {
    Done,
    /// This stands there instead of what was held.
    Stale(Option<Vec<u8>>),
    /// A registration is not later than this last removal.
    Early(Timestamp),
}

call! {
    struct PutService<'a>: "service.lua", "", [SHARD] {
        id: &'a ServiceId,
        held: &'a [u8],
        new: &'a [u8],
        change: &'static str,
        by: &'a ServiceId,
        at: Timestamp,
        registered: Option<Timestamp>,
        removed: Option<Timestamp>,
    }
    SERVICE, replicated: false, effect: Effect::Once;
    (self, reply) -> Put {
        "done" => Put::Done,
        "stale" => Put::Stale(reply.optional_bytes()?),
        "early" => Put::Early(reply.moment()?),
    }
}

/// What keeps the registrations of an id apart. A write that is made again has neither.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moments {
    registered: Option<Timestamp>,
    removed: Option<Timestamp>,
}

#[derive(Debug)]
pub(super) struct Services {
    client: Arc<Client>,
    log: Arc<RecoveryLog>,
}

#[async_trait]
impl ServiceStore for RedisStore {
    async fn find_service(
        &self,
        service_id: &ServiceId,
    ) -> Result<Option<ServiceRecord>, StoreError> {
        let held = self.services.held_service(service_id).await?;
        held.as_deref().map(decode).transpose()
    }

    async fn services_after(
        &self,
        after: &str,
        limit: PageLimit,
    ) -> Result<(Vec<Service>, Option<String>), StoreError> {
        self.services.services_after(after, limit.get()).await
    }

    async fn write_service(
        &self,
        service_id: &ServiceId,
        request: ServiceRequest,
        by: &Manager,
    ) -> Result<Service, OpError> {
        self.services.write_service(service_id, &request, by).await
    }
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

    async fn write_service(
        &self,
        service_id: &ServiceId,
        request: &ServiceRequest,
        by: &Manager,
    ) -> Result<Service, OpError> {
        let deadline = self.client.connections.operation_deadline();
        // Also for a registration: a full server refuses the write before it says that the id is taken.
        let mut held = self.held_service(service_id).await?;
        let mut last_removal = None;
        loop {
            let record = held.as_deref().map(decode).transpose()?;
            let now = self.client.clock(SERVICES).now;
            let plan = request.decide(record, last_removal, by, now)?;
            let moments = Moments {
                registered: plan.registered_at(),
                removed: plan.removed_at(now),
            };
            let Some(write) = plan.write else {
                return Ok(plan.service);
            };
            let left = ServiceState {
                record: write.record.as_ref().map(encode).transpose()?,
                at: now,
                by: by.service_id.clone(),
            };
            let put = self.put_service(service_id, held.as_deref(), &left, write.change, moments);
            match put.await? {
                Put::Done => {
                    self.log
                        .keep(RecoveryEntry::Service(service_id.clone(), left));
                    return Ok(plan.service);
                }
                Put::Stale(_) | Put::Early(_) if Instant::now() >= deadline => {
                    return Err(StoreError::Overloaded.into());
                }
                Put::Stale(present) => held = present,
                Put::Early(removal) => last_removal = Some(removal),
            }
        }
    }

    /// Leaves a service like this, if it is still as it was held.
    pub(super) async fn put_service(
        &self,
        service_id: &ServiceId,
        held: Option<&[u8]>,
        left: &ServiceState,
        change: ServiceChange,
        moments: Moments,
    ) -> Result<Put, StoreError> {
        let put = PutService {
            id: service_id,
            held: held.unwrap_or_default(),
            new: left.record.as_deref().unwrap_or_default(),
            change: service_change_text(change),
            by: &left.by,
            at: left.at,
            registered: moments.registered,
            removed: moments.removed,
        };
        self.client.call(SERVICES, &put).await
    }

    /// Reads what was written to a service, unless something older is there: then it is lost already.
    pub(super) async fn remember_service(
        &self,
        written: &WrittenService,
    ) -> Result<(), StoreError> {
        if let Some(left) = self.service_since(written).await? {
            let service_id = written.service_id.clone();
            self.log.keep(RecoveryEntry::Service(service_id, left));
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

    /// Redis keeps services in no order, so all are walked, in steps that hold up nobody.
    async fn services_after(
        &self,
        after: &str,
        most: usize,
    ) -> Result<(Vec<Service>, Option<String>), StoreError> {
        let mut found = BTreeMap::new();
        let mut cursor = START.to_vec();
        loop {
            let mut step = redis::cmd("HSCAN");
            step.arg(self.client.keys.services())
                .arg(&cursor)
                .arg("COUNT")
                .arg(STEP);
            let mut step = Reply::new(self.client.command(SERVICES, &step).await?)?;
            cursor = step.bytes()?;
            let fields = step.fields()?.into_iter();
            found.extend(fields.filter(|(id, _)| id.as_slice() > after.as_bytes()));
            while found.len() > most + 1 {
                found.pop_last();
            }
            if cursor == START {
                break;
            }
        }
        let more = found.len() > most && found.pop_last().is_some();
        let records = found.values().map(|bytes| Ok(decode(bytes)?.service));
        let items: Vec<Service> = records.collect::<Result<_, StoreError>>()?;
        let last = items.last().filter(|_| more);
        let last = last.map(|service| service.service_id.to_string());
        Ok((items, last))
    }
}

fn corrupt(cause: impl Into<crate::store::Cause>) -> StoreError {
    StoreError::Corrupt {
        record: SERVICE,
        cause: cause.into(),
    }
}

fn encode(record: &ServiceRecord) -> Result<Vec<u8>, StoreError> {
    let Service {
        session_limit,
        quotas,
        ..
    } = &record.service;
    let encoded = match session_limit {
        limit if !quotas.is_empty() => {
            postcard::to_extend(&(record, limit, quotas), vec![WITH_QUOTAS])
        }
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
        Some((&WITH_QUOTAS, body)) => {
            let (mut record, limit, quotas): (ServiceRecord, _, _) =
                postcard::from_bytes(body).map_err(corrupt)?;
            record.service.session_limit = limit;
            record.service.quotas = quotas;
            Ok(record)
        }
        Some((format, _)) => Err(newer(SERVICE, format.to_string().as_bytes())),
        None => Err(corrupt(postcard::Error::DeserializeUnexpectedEnd)),
    }
}
