//! Opening a session.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Authenticator, Caller, FieldRule, Gateway, GatewayError, limit_within, within};
use crate::entropy::Entropy;
use crate::model::attribute::Attributes;
use crate::model::id::{LoginId, SessionId};
use crate::model::limit::SessionLimit;
use crate::model::permission::{Permission, Scope};
use crate::model::request::OperationId;
use crate::model::session::{
    ConnectionId, Device, DeviceId, FirstState, ServerAddr, Session, UserAgent,
};
use crate::model::session_token::{StoredToken, TokenOrigin};
use crate::model::token::Token;
use crate::rules::create::NewSession;
use crate::rules::refusal::Refusal;
use crate::store::OpError;

/// A session to open, as a service asks for it.
#[derive(Debug)]
pub struct OpenSession {
    /// Whose session it is.
    pub login_id: LoginId,
    /// A token of the caller's own, in place of one that is made here.
    pub token: Option<Token>,
    /// Where it starts.
    pub state: FirstState,
    /// How long it lives without use, if not for as long as the gateway is set to.
    pub idle_timeout: Option<Duration>,
    /// How long it lives at most, if not for as long as the gateway is set to.
    pub max_age: Option<Duration>,
    /// How many sessions there may be, in place of the limit of the service or the gateway.
    pub limit: Option<SessionLimit>,
    /// What is kept in it.
    pub attributes: Attributes,
    /// The kind of device.
    pub device: Option<Device>,
    /// Which device.
    pub device_id: Option<DeviceId>,
    /// Its live connection.
    pub connection_id: Option<ConnectionId>,
    /// The client's address.
    pub client_ip: Option<IpAddr>,
    /// The client's port.
    pub client_port: Option<u16>,
    /// The client's user agent.
    pub user_agent: Option<UserAgent>,
    /// The server that holds the connection.
    pub server_addr: Option<ServerAddr>,
}

/// A session was opened.
#[derive(Debug)]
pub struct Opened {
    /// The session.
    pub session: Session,
    /// Its credential, which is kept nowhere.
    pub token: Token,
    /// The sessions that ended to make room.
    pub evicted: Vec<SessionId>,
}

/// What is kept of an opened session, to answer a repetition with.
#[derive(Debug, Serialize, Deserialize)]
pub struct OpenedBefore {
    session_id: SessionId,
    #[serde(deserialize_with = "Token::deserialize_issued")]
    token: Token,
    evicted: Vec<SessionId>,
}

impl Opened {
    /// What is kept of it.
    #[must_use]
    pub fn remains(&self) -> OpenedBefore {
        OpenedBefore {
            session_id: self.session.session_id,
            token: self.token.clone(),
            evicted: self.evicted.clone(),
        }
    }
}

impl Gateway {
    /// What a repetition of an open is answered with, as long as the session lives.
    pub async fn opened_before(
        &self,
        caller: &Caller,
        before: OpenedBefore,
    ) -> Result<Opened, GatewayError> {
        Ok(Opened {
            session: self.as_it_is(caller, before.session_id).await?,
            token: before.token,
            evicted: before.evicted,
        })
    }

    /// Opens a session. Under any number of parallel calls its limit is exact.
    pub async fn open(
        &self,
        caller: &Caller,
        entropy: &Entropy,
        asked: OpenSession,
    ) -> Result<Opened, GatewayError> {
        let Authenticator {
            session_ids: ids,
            quotas,
            ..
        } = &*self.authenticator;
        let now = self.stores.sessions.now();
        let (service, stats) = (&caller.service, &self.stores.stats);
        let allowance = quotas.allowance(service, now);
        allowance.open(now)?;
        quotas.open_live(&allowance, service, stats).await?;
        let session_id = entropy.session_id(ids, now, &asked.login_id)?;
        let (token, origin) = if let Some(own) = &asked.token {
            (own.clone(), TokenOrigin::Caller)
        } else {
            let made = Token::own(session_id, &*entropy.token()?);
            (made, TokenOrigin::Gateway)
        };
        let stored = StoredToken {
            hash: token.hash(),
            origin,
        };
        let operation_id = entropy.operation_id();
        let new = self.new_session(caller, session_id, stored, operation_id, asked)?;
        let login_id = new.login_id.clone();
        let created = match self.stores.sessions.create(new).await {
            Err(OpError::Refused(Refusal::LoginTooLarge)) => {
                let count = self.stores.sessions.index_size(&login_id).await?;
                return Err(GatewayError::LoginTooLarge { count });
            }
            created => created?,
        };
        Ok(Opened {
            session: created.session,
            token,
            evicted: created.evicted,
        })
    }

    fn new_session(
        &self,
        caller: &Caller,
        session_id: SessionId,
        token: StoredToken,
        operation_id: Option<OperationId>,
        asked: OpenSession,
    ) -> Result<NewSession, GatewayError> {
        let lifetimes = &self.lifetimes;
        let (limit, limit_scope) = self.limit_for(caller, asked.limit)?;
        let span = |field, asked: Option<Duration>, default, most| {
            asked.map_or(Ok(default), |asked| within(most, field, asked))
        };
        let (idle, most) = (lifetimes.idle_timeout, lifetimes.idle_timeout_limit);
        let idle_timeout = span("idle_timeout_seconds", asked.idle_timeout, idle, most)?;
        let (age, most) = (lifetimes.max_age, lifetimes.max_age_limit);
        let max_age = span("max_age_seconds", asked.max_age, age, most)?;
        let over = |limit| GatewayError::invalid("attributes", FieldRule::Attributes(limit));
        asked.attributes.check().map_err(over)?;
        Ok(NewSession {
            session_id,
            token,
            login_id: asked.login_id,
            service_id: caller.id().clone(),
            registration: Some(caller.service.created_at),
            state: asked.state.into(),
            idle_timeout,
            max_age,
            limit,
            limit_scope,
            attributes: asked.attributes,
            device: asked.device,
            device_id: asked.device_id,
            connection_id: asked.connection_id,
            client_ip: asked.client_ip,
            client_port: asked.client_port,
            user_agent: asked.user_agent,
            server_addr: asked.server_addr,
            operation_id,
        })
    }

    /// The limit that is asked for, or else that of the service, or else of the gateway; and whose sessions it counts and
    /// ends: what a service asks for reaches no further than it may end sessions.
    fn limit_for(
        &self,
        caller: &Caller,
        asked: Option<SessionLimit>,
    ) -> Result<(Option<SessionLimit>, Scope), GatewayError> {
        if let Some(asked) = asked {
            let limit = limit_within(1, "limit/max", asked)?;
            let scope = caller.service.scope(Permission::SessionDelete);
            let own = || Scope::OpenedBy(caller.service.opener());
            return Ok((Some(limit), scope.unwrap_or_else(own)));
        }
        let limit = caller.service.session_limit.or(self.session_limit);
        Ok((limit.filter(|limit| limit.max > 0), Scope::All))
    }
}
