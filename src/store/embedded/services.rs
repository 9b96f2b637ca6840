//! Registered services.

use std::ops::Bound::{Excluded, Unbounded};

use async_trait::async_trait;
use redb::ReadableTable;

use super::record::encode;
use super::room::Purpose;
use super::rows::row;
use super::tables::{Bytes, SERVICES, meta};
use super::txn::Txn;
use super::{EmbeddedStore, Shared};
use crate::model::Timestamp;
use crate::model::id::ServiceId;
use crate::model::page::PageLimit;
use crate::model::service::{Manager, Service, ServiceRecord};
use crate::rules::services::{ServiceRequest, ServiceWrite};
use crate::store::{OpError, ServiceStore, StoreError};

#[async_trait]
impl ServiceStore for EmbeddedStore {
    async fn find_service(
        &self,
        service_id: &ServiceId,
    ) -> Result<Option<ServiceRecord>, StoreError> {
        self.look(|shared| find(&shared.read()?.open_table(SERVICES)?, service_id))
            .await
    }

    async fn services_after(
        &self,
        after: &str,
        limit: PageLimit,
    ) -> Result<(Vec<Service>, Option<String>), StoreError> {
        let after = after.to_owned();
        self.scan(move |shared| services_after(shared, &after, limit))
            .await
    }

    async fn write_service(
        &self,
        service_id: &ServiceId,
        request: ServiceRequest,
        by: &Manager,
    ) -> Result<Service, OpError> {
        let (service_id, by) = (service_id.clone(), by.clone());
        let purpose = match &request {
            ServiceRequest::Remove => Purpose::Release,
            ServiceRequest::Register(_)
            | ServiceRequest::Update(_)
            | ServiceRequest::RotateSecret { .. } => Purpose::Keep,
        };
        self.writer
            .operate(purpose, move |txn| {
                let held = find(&txn.services, &service_id)?;
                let plan = request.decide(held, removed_at(txn)?, &by, txn.now)?;
                let removal = plan.removed_at(txn.now);
                if let Some(write) = plan.write {
                    apply(txn, &service_id, &write, &by.service_id, removal)?;
                }
                Ok(plan.service)
            })
            .await
    }
}

fn find(
    services: &impl ReadableTable<&'static str, Bytes>,
    service_id: &ServiceId,
) -> Result<Option<ServiceRecord>, StoreError> {
    row(services.get(service_id.as_str())?)
}

/// When a service was removed last.
fn removed_at(txn: &Txn<'_>) -> Result<Option<Timestamp>, StoreError> {
    let at = txn.meta.get(meta::SERVICE_REMOVED)?;
    Ok(at.map(|at| Timestamp::from_sort_key(at.value())))
}

fn apply(
    txn: &mut Txn<'_>,
    service_id: &ServiceId,
    write: &ServiceWrite,
    by: &ServiceId,
    removal: Option<Timestamp>,
) -> Result<(), StoreError> {
    txn.writes();
    if let Some(at) = removal {
        txn.meta.insert(meta::SERVICE_REMOVED, at.sort_key())?;
    }
    let id = service_id.as_str();
    match &write.record {
        Some(record) => drop(txn.services.insert(id, encode(record)?.as_slice())?),
        None => drop(txn.services.remove(id)?),
    }
    txn.append(write.fact(service_id, by, txn.now), None)
}

fn services_after(
    shared: &Shared,
    after: &str,
    limit: PageLimit,
) -> Result<(Vec<Service>, Option<String>), StoreError> {
    let services = shared.read()?.open_table(SERVICES)?;
    let mut rows = ReadableTable::range::<&str>(&services, (Excluded(after), Unbounded))?;
    let mut items: Vec<Service> = Vec::new();
    for entry in rows.by_ref().take(limit.get()) {
        let record: Option<ServiceRecord> = row(Some(entry?.1))?;
        items.extend(record.map(|record| record.service));
    }
    let more = rows.next().transpose()?.is_some();
    let last = items.last().filter(|_| more);
    let last = last.map(|service| service.service_id.as_str().to_owned());
    Ok((items, last))
}
