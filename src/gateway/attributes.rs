//! The attributes of a session, one at a time.

use super::{Caller, Gateway, GatewayError};
use crate::model::attribute::{AttributeName, AttributeValue};
use crate::model::id::SessionId;
use crate::model::record::SessionChange;
use crate::model::request::Target;
use crate::model::session::Session;

/// An attribute, and the version of the session that it was read from.
type Versioned<T> = (T, u64);

impl Gateway {
    /// One attribute.
    pub async fn find_attribute(
        &self,
        caller: &Caller,
        session_id: SessionId,
        name: &AttributeName,
    ) -> Result<Versioned<AttributeValue>, GatewayError> {
        let session = self.find(caller, session_id).await?;
        value_of(&session, name)
    }

    /// Sets one attribute, and tells whether it was not there before.
    pub async fn put_attribute(
        &self,
        target: Target,
        name: &AttributeName,
        value: AttributeValue,
    ) -> Result<(Versioned<AttributeValue>, bool), GatewayError> {
        let change = SessionChange::PutAttribute(name.clone(), value);
        let changed = self.stores.sessions.change(target, change).await?;
        Ok((value_of(&changed.session, name)?, changed.inserted))
    }

    /// Adds to one attribute; one that is missing starts at 0.
    pub async fn increment_attribute(
        &self,
        target: Target,
        name: &AttributeName,
        by: i64,
    ) -> Result<Versioned<i64>, GatewayError> {
        let change = SessionChange::IncrementAttribute(name.clone(), by);
        let session = self.change(target, change).await?;
        let value = session.attributes.get(name);
        let value = value.and_then(AttributeValue::as_i64);
        let value = value.ok_or(GatewayError::AttributeNotANumber)?;
        Ok((value, session.version))
    }
}

fn value_of(
    session: &Session,
    name: &AttributeName,
) -> Result<Versioned<AttributeValue>, GatewayError> {
    let value = session.attributes.get(name).cloned();
    let value = value.ok_or(GatewayError::AttributeNotFound)?;
    Ok((value, session.version))
}
