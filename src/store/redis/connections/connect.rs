//! Connections: who this gateway is to Redis, how long it waits, and which certificates it trusts.
//!
//! A pool is a `deadpool_redis::Pool` for one address. deadpool's pools for Sentinel and Cluster make their
//! connections without deadlines, without an own CA and without asking for the role, so masters are found here
//! ([`super::watcher`]) and each has a plain pool. A connection leaves the pool only after it has said that it leads to a master that serves.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use deadpool_redis::redis::{
    self, AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError, TlsCertificates, Value,
};
use deadpool_redis::{Hook, HookError, Manager, Pool, Runtime};

use super::OpenError;
use super::deadline::{self, Deadlines};
use super::patience::within;
use super::url::{Address, Credentials, RedisUrl, Transport};
use crate::certificates::read_ca_file;

/// Connections that a master is held by: few, as many requests share each.
pub(super) const SHARED_CONNECTIONS: usize = 2;

/// Connections for what must be alone.
const ALONE: usize = 8;

#[derive(Clone)]
pub(super) struct Dialer {
    transport: Transport,
    login: RedisConnectionInfo,
    certificates: TlsCertificates,
    pub(super) deadlines: Deadlines,
}

impl Dialer {
    /// For the servers that hold data.
    pub(super) fn new(
        url: &RedisUrl,
        ca_file: Option<&Path>,
        deadlines: Deadlines,
    ) -> Result<Self, OpenError> {
        // Whoever chose a provider for this process before has chosen for Redis too.
        drop(rustls::crypto::ring::default_provider().install_default());
        let root_cert = match ca_file {
            Some(path) => Some(read_ca_file(path)?.0),
            None => None,
        };
        let dialer = Self {
            transport: url.transport,
            login: login(&url.login).set_db(url.database.into()),
            certificates: TlsCertificates {
                client_tls: None,
                root_cert,
            },
            deadlines,
        };
        dialer
            .info(&Address::new("localhost", 0))
            .map_err(OpenError::Certificates)?;
        Ok(dialer)
    }

    /// The same way to Sentinels, who have users and passwords of their own.
    pub(super) fn for_sentinels(&self, credentials: &Credentials) -> Self {
        Self {
            login: login(credentials),
            ..self.clone()
        }
    }

    fn info(&self, address: &Address) -> Result<ConnectionInfo, RedisError> {
        let host = address.host.to_string();
        let port = address.port;
        let info = match self.transport {
            Transport::Plain => ConnectionAddr::Tcp(host, port).into_connection_info()?,
            Transport::Tls => {
                let addr = ConnectionAddr::TcpTls {
                    host,
                    port,
                    insecure: false,
                    tls_params: None,
                };
                Client::build_with_tls(addr, self.certificates.clone())?
                    .get_connection_info()
                    .clone()
            }
        };
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(TcpKeepalive::new().with_time(deadline::UNACKNOWLEDGED))
            .set_user_timeout(deadline::UNACKNOWLEDGED);
        Ok(info
            .set_tcp_settings(tcp)
            .set_redis_settings(self.login.clone()))
    }

    /// Without a deadline for answers: where connections are shared, whoever asks has one.
    fn config(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.deadlines.connect))
            .set_response_timeout(None)
    }

    fn config_with_deadline(&self) -> AsyncConnectionConfig {
        let deadline = Some(self.deadlines.command);
        self.config().set_response_timeout(deadline)
    }

    /// A pool of connections to the master at an address.
    pub(super) fn pool(&self, address: &Address) -> Result<Pool, RedisError> {
        let manager = Manager::new_with_config(self.info(address)?, self.config())?;
        let deadline = self.deadlines.command;
        let builder = Pool::builder(manager)
            .max_size(SHARED_CONNECTIONS + ALONE)
            .wait_timeout(Some(self.deadlines.wait))
            .create_timeout(Some(self.deadlines.connect))
            .recycle_timeout(Some(self.deadlines.command))
            .post_create(Hook::async_fn(move |connection, _| {
                Box::pin(require_master(connection, deadline))
            }))
            .runtime(Runtime::Tokio1);
        builder.build().map_err(|error| {
            let kind = redis::ErrorKind::InvalidClientConfig;
            RedisError::from((kind, "no pool can be made", error.to_string()))
        })
    }

    /// One connection, to whatever is there.
    pub(super) async fn connect(
        &self,
        address: &Address,
    ) -> Result<MultiplexedConnection, RedisError> {
        Client::open(self.info(address)?)?
            .get_multiplexed_async_connection_with_config(&self.config_with_deadline())
            .await
    }

    /// Whether there is an answer to us.
    pub(super) async fn ping(&self, address: &Address) -> Result<(), RedisError> {
        let mut connection = self.connect(address).await?;
        redis::cmd("PING").exec_async(&mut connection).await
    }

    /// One connection that also receives; `on_push` must not block.
    pub(super) async fn connect_to_receive(
        &self,
        address: &Address,
        on_push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection, RedisError> {
        let info = self.info(address)?;
        let login = self.login.clone().set_protocol(ProtocolVersion::RESP3);
        let config = self.config_with_deadline().set_push_sender(move |push| {
            on_push(push);
            Ok::<_, redis::aio::SendError>(())
        });
        Client::open(info.set_redis_settings(login))?
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer")
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// Redis 7.0 has no `CLIENT SETINFO`, and an ACL need not allow it.
fn login(credentials: &Credentials) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(username) = &credentials.username {
        login = login.set_username(username);
    }
    if let Some(password) = &credentials.password {
        login = login.set_password(password.as_str());
    }
    login
}

/// `PING` is refused while data is loaded and by a replica without its master; `ROLE` never is.
async fn require_master(
    connection: &mut MultiplexedConnection,
    deadline: Duration,
) -> Result<(), HookError> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("PING").cmd("ROLE");
    let asked = within(deadline, connection.send_packed_commands(&pipeline, 0, 2)).await;
    let answers = asked
        .unwrap_or_else(|_elapsed| Err(std::io::Error::from(ErrorKind::TimedOut).into()))
        .and_then(|answers| Value::Array(answers).extract_error())
        .map_err(HookError::Backend)?;
    if role_of(&answers) == Some(b"master") {
        Ok(())
    } else {
        Err(HookError::message("the server is not a master"))
    }
}

fn role_of(answers: &Value) -> Option<&[u8]> {
    let Value::Array(answers) = answers else {
        return None;
    };
    let Some(Value::Array(role)) = answers.get(1) else {
        return None;
    };
    match role.first() {
        Some(Value::BulkString(name)) => Some(name),
        _ => None,
    }
}
