//! Registered services.

use std::time::Duration;

use async_trait::async_trait;
use redb::ReadableTable;

use super::record::encode;
use super::rows::row;
use super::tables::SERVICES;
use super::txn::Txn;
use super::{EmbeddedStore, Shared};
use crate::model::event::{Change, Fact, ServiceChange};
use crate::model::id::ServiceId;
use crate::model::page::{Cursor, Page, PageLimit};
use crate::model::service::{PreviousSecret, Service, ServiceRecord, ServiceUpdate};
use crate::model::token::CredentialHash;
use crate::store::{NewService, OpError, Refusal, ServiceStore, StoreError};

/// Starts the cursors of service lists; the id of the last service follows.
const CURSOR: u8 = b'v';

#[async_trait]
impl ServiceStore for EmbeddedStore {
    async fn register(&self, new: NewService, by: &ServiceId) -> Result<Service, OpError> {
        let by = by.clone();
        self.writer.operate(move |txn| register(txn, new, by)).await
    }

    async fn find_service(
        &self,
        service_id: &ServiceId,
    ) -> Result<Option<ServiceRecord>, StoreError> {
        let services = self.shared.read()?.open_table(SERVICES)?;
        row(ReadableTable::get(&services, service_id.as_str())?)
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
        Ok(self.scan(move |shared| page(shared, limit, &after)).await?)
    }

    async fn update_service(
        &self,
        service_id: &ServiceId,
        update: ServiceUpdate,
        by: &ServiceId,
    ) -> Result<Service, OpError> {
        let (service_id, by) = (service_id.clone(), by.clone());
        self.writer
            .operate(move |txn| {
                let mut record = found(txn, &service_id)?;
                update.apply(&mut record.service, txn.now);
                put(txn, &record, ServiceChange::Updated, by)?;
                Ok(record.service)
            })
            .await
    }

    async fn rotate_secret(
        &self,
        service_id: &ServiceId,
        secret: CredentialHash,
        grace: Duration,
        by: &ServiceId,
    ) -> Result<Service, OpError> {
        let (service_id, by) = (service_id.clone(), by.clone());
        self.writer
            .operate(move |txn| {
                let record = found(txn, &service_id)?;
                if record.secret == secret {
                    return Ok(record.service);
                }
                Ok(rotate(txn, record, secret, grace, by)?)
            })
            .await
    }

    async fn remove_service(&self, service_id: &ServiceId, by: &ServiceId) -> Result<(), OpError> {
        let (service_id, by) = (service_id.clone(), by.clone());
        self.writer
            .operate(move |txn| {
                found(txn, &service_id)?;
                Ok(remove(txn, &service_id, by)?)
            })
            .await
    }
}

fn register(txn: &mut Txn<'_>, new: NewService, by: ServiceId) -> Result<Service, OpError> {
    match find(txn, &new.service_id)? {
        Some(record) if new.mark.is_some() && record.secret == new.secret => {
            return Ok(record.service);
        }
        Some(_) => return Err(Refusal::ServiceExists.into()),
        None => {}
    }
    let record = ServiceRecord {
        service: Service {
            service_id: new.service_id,
            service_name: new.service_name,
            permissions: new.permissions,
            enabled: true,
            created_at: txn.now,
            updated_at: txn.now,
            session_limit: new.session_limit,
        },
        secret: new.secret,
        previous_secret: None,
    };
    put(txn, &record, ServiceChange::Registered, by)?;
    Ok(record.service)
}

fn rotate(
    txn: &mut Txn<'_>,
    record: ServiceRecord,
    secret: CredentialHash,
    grace: Duration,
    by: ServiceId,
) -> Result<Service, StoreError> {
    let rotated = ServiceRecord {
        service: Service {
            updated_at: txn.now,
            ..record.service
        },
        secret,
        previous_secret: Some(PreviousSecret {
            hash: record.secret,
            until: txn.now.plus(grace),
        }),
    };
    put(txn, &rotated, ServiceChange::SecretRotated, by)?;
    Ok(rotated.service)
}

fn remove(txn: &mut Txn<'_>, service_id: &ServiceId, by: ServiceId) -> Result<(), StoreError> {
    txn.writes();
    txn.services.remove(service_id.as_str())?;
    append(txn, service_id, ServiceChange::Removed, by)
}

fn find(txn: &Txn<'_>, service_id: &ServiceId) -> Result<Option<ServiceRecord>, StoreError> {
    row(txn.services.get(service_id.as_str())?)
}

fn found(txn: &Txn<'_>, service_id: &ServiceId) -> Result<ServiceRecord, OpError> {
    find(txn, service_id)?.ok_or_else(|| Refusal::ServiceUnknown.into())
}

fn put(
    txn: &mut Txn<'_>,
    record: &ServiceRecord,
    change: ServiceChange,
    by: ServiceId,
) -> Result<(), StoreError> {
    txn.writes();
    let service_id = &record.service.service_id;
    txn.services
        .insert(service_id.as_str(), encode(record)?.as_slice())?;
    append(txn, service_id, change, by)
}

fn append(
    txn: &mut Txn<'_>,
    service_id: &ServiceId,
    change: ServiceChange,
    by: ServiceId,
) -> Result<(), StoreError> {
    txn.append(Fact {
        at: txn.now,
        session_id: None,
        login_id: None,
        service_id: service_id.clone(),
        change: Change::ServiceChanged { change, by },
    })
}

fn place(id: &[u8]) -> Result<ServiceId, Refusal> {
    let text = std::str::from_utf8(id).or(Err(Refusal::CursorInvalid))?;
    ServiceId::parse(text).or(Err(Refusal::CursorInvalid))
}

fn page(shared: &Shared, limit: PageLimit, after: &str) -> Result<Page<Service>, StoreError> {
    use std::ops::Bound::{Excluded, Unbounded};

    let services = shared.read()?.open_table(SERVICES)?;
    let mut rows = ReadableTable::range::<&str>(&services, (Excluded(after), Unbounded))?;
    let mut items: Vec<Service> = Vec::new();
    for entry in rows.by_ref().take(limit.get()) {
        let record: Option<ServiceRecord> = row(Some(entry?.1))?;
        items.extend(record.map(|record| record.service));
    }
    let more = rows.next().transpose()?.is_some();
    let next = items.last().filter(|_| more).map(|service| {
        let mut place = vec![CURSOR];
        place.extend(service.service_id.as_str().as_bytes());
        Cursor::new(place)
    });
    Ok(Page { items, next })
}
