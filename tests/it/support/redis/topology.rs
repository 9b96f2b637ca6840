//! Redis as a gateway may find it.

use super::{RedisCluster, RedisSentinels, RedisServer, ServerOptions, TestCertificates};

/// The password of Sentinels.
const WATCH: &str = "watch";

/// One of the ways in which Redis can be run.
#[derive(Debug)]
pub enum Topology {
    Standalone(RedisServer),
    Sentinel(Box<RedisSentinels>),
    Cluster(RedisCluster),
}

impl Topology {
    pub async fn standalone(options: &ServerOptions) -> Self {
        Self::Standalone(RedisServer::start_with(options.clone()).await)
    }

    pub async fn sentinel(options: &ServerOptions) -> Self {
        let all = RedisSentinels::start_with(WATCH, options).await;
        Self::Sentinel(Box::new(all))
    }

    pub async fn cluster(options: &ServerOptions) -> Self {
        Self::Cluster(RedisCluster::start_with(options).await)
    }

    /// No slowness of the machine makes a replica a master from now on.
    pub async fn never_fail_over(&self) {
        match self {
            Self::Standalone(_) => {}
            Self::Sentinel(all) => all.never_fail_over().await,
            Self::Cluster(all) => all.never_fail_over().await,
        }
    }

    /// Where a gateway finds it; `scheme` is `redis` or `rediss`, `user` is empty or ends in `@`.
    pub fn url(&self, scheme: &str, user: &str) -> String {
        match self {
            Self::Standalone(server) => format!("{scheme}://{user}127.0.0.1:{}", server.port),
            Self::Sentinel(all) => format!(
                "{scheme}+sentinel://{user}{}/main?sentinel_password={WATCH}",
                all.hosts()
            ),
            Self::Cluster(all) => format!("{scheme}+cluster://{user}{}", all.hosts()),
        }
    }

    /// All servers that hold data.
    pub fn servers(&self) -> &[RedisServer] {
        match self {
            Self::Standalone(server) => std::slice::from_ref(server),
            Self::Sentinel(all) => &all.servers,
            Self::Cluster(all) => &all.servers,
        }
    }

    /// The masters, as long as none was replaced.
    pub fn first_masters(&self) -> &[RedisServer] {
        match self {
            Self::Standalone(_) | Self::Sentinel(_) => &self.servers()[..1],
            Self::Cluster(_) => &self.servers()[..3],
        }
    }
}

impl ServerOptions {
    /// Knows the user that ships, and one for the harness who may do everything.
    pub fn with_shipped_user(mut self) -> Self {
        let shipped = include_str!("../../../../deploy/redis/users.acl");
        let users = format!("{shipped}user operator on >operator ~* &* +@all\n");
        self.users = Some(users);
        self.login = Some(("operator".to_owned(), "operator".to_owned()));
        self
    }

    /// Takes only TLS.
    pub fn with_tls(mut self, certificates: &TestCertificates) -> Self {
        self.tls_files = certificates.files();
        self
    }
}

/// Who a gateway is to servers with [`ServerOptions::with_shipped_user`].
pub const SHIPPED_USER: &str = "session-gateway:change-me@";
