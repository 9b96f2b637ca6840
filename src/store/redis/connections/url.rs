//! The URL of a Redis: one server, the masters that Sentinels watch, or a cluster.
//!
//! `redis[s]://user:password@host:6379/0`, `redis[s]+sentinel://user:password@host:26379,host:26379/master-name/0?sentinel_password=..`,
//! `redis[s]+cluster://user:password@host:6379,host:6379`. A parameter or path that means nothing is refused, and no
//! part of a refused URL is repeated in the error.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use thiserror::Error;
use zeroize::Zeroizing;

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Where Redis is, and who this gateway is to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisUrl {
    pub(super) deployment: Deployment,
    pub(super) transport: Transport,
    pub(super) login: Credentials,
    pub(super) database: u16,
}

impl RedisUrl {
    pub(in crate::store::redis) fn database(&self) -> u16 {
        self.database
    }

    /// Whether slots can move from one master to another.
    pub(in crate::store::redis) fn is_cluster(&self) -> bool {
        matches!(self.deployment, Deployment::Cluster(_))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deployment {
    Standalone(Address),
    /// The master that Sentinels name.
    Sentinel {
        sentinels: Vec<Address>,
        master: String,
        login: Credentials,
    },
    /// The masters of a cluster, which these nodes name.
    Cluster(Vec<Address>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Plain,
    /// The server's certificate is checked; there is no way back to plain.
    Tls,
}

/// As it was given, but for everything that could be a secret.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.transport {
            Transport::Plain => "redis",
            Transport::Tls => "rediss",
        })?;
        let list = |addresses: &[Address]| {
            let texts: Vec<String> = addresses.iter().map(Address::to_string).collect();
            texts.join(",")
        };
        match &self.deployment {
            Deployment::Standalone(address) => write!(f, "://{address}/{}", self.database),
            Deployment::Sentinel {
                sentinels, master, ..
            } => write!(
                f,
                "+sentinel://{}/{master}/{}",
                list(sentinels),
                self.database
            ),
            Deployment::Cluster(nodes) => write!(f, "+cluster://{}", list(nodes)),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::store::redis) struct Address {
    pub(super) host: Arc<str>,
    pub(super) port: u16,
}

/// An ACL user and its password; both may be missing.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Credentials {
    pub(super) username: Option<String>,
    pub(super) password: Option<Zeroizing<String>>,
}

/// Why a URL is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UrlError {
    /// It starts with none of the known schemes.
    #[error(
        "the URL of Redis must start with redis://, rediss://, redis[s]+sentinel:// or redis[s]+cluster://"
    )]
    Scheme,
    /// It names no host, or something that is none.
    #[error("the URL of Redis names no host, or a host or port that is none")]
    Host,
    /// Only Sentinel and Cluster have several hosts.
    #[error(
        "the URL of Redis names several hosts, which only redis+sentinel:// and redis+cluster:// can have"
    )]
    SeveralHosts,
    /// Sentinels must be asked for a master by name.
    #[error(
        "the path of a redis+sentinel:// URL must be /<master name> or /<master name>/<database>"
    )]
    MasterName,
    /// The path is no database number.
    #[error("the path of the URL of Redis must be a database number; a cluster has only 0")]
    Database,
    /// User name, password or master name are not percent-encoded UTF-8.
    #[error(
        "user name, password and master name in the URL of Redis must be percent-encoded UTF-8"
    )]
    Encoding,
    /// A parameter is not known.
    #[error(
        "the URL of Redis has a parameter that is not known; redis+sentinel:// takes sentinel_username and sentinel_password"
    )]
    Parameter,
}

impl RedisUrl {
    /// Reads a URL.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Credentials::parse(login)?, hosts),
            None => (Credentials::default(), authority),
        };
        let (transport, kind) = match scheme.split_once('+').unwrap_or((scheme, "")) {
            ("redis", kind) => (Transport::Plain, kind),
            ("rediss", kind) => (Transport::Tls, kind),
            _ => return Err(UrlError::Scheme),
        };
        let (deployment, database) = match kind {
            "" if query.is_empty() => (standalone(hosts)?, database(path)?),
            "sentinel" => sentinel(hosts, path, query)?,
            "cluster" if query.is_empty() => (cluster(hosts)?, database(path)?),
            "" | "cluster" => return Err(UrlError::Parameter),
            _ => return Err(UrlError::Scheme),
        };
        if matches!(deployment, Deployment::Cluster(_)) && database != 0 {
            return Err(UrlError::Database);
        }
        Ok(Self {
            deployment,
            transport,
            login,
            database,
        })
    }
}

fn standalone(hosts: &str) -> Result<Deployment, UrlError> {
    if hosts.contains(',') {
        return Err(UrlError::SeveralHosts);
    }
    Address::parse(hosts, REDIS_PORT).map(Deployment::Standalone)
}

fn cluster(hosts: &str) -> Result<Deployment, UrlError> {
    addresses(hosts, REDIS_PORT).map(Deployment::Cluster)
}

fn sentinel(hosts: &str, path: &str, query: &str) -> Result<(Deployment, u16), UrlError> {
    let (master, number) = path.split_once('/').unwrap_or((path, ""));
    if master.is_empty() {
        return Err(UrlError::MasterName);
    }
    let mut login = Credentials::default();
    for parameter in query.split('&').filter(|part| !part.is_empty()) {
        match parameter.split_once('=').ok_or(UrlError::Parameter)? {
            ("sentinel_username", value) => login.username = Some(decode(value)?),
            ("sentinel_password", value) => login.password = Some(decode(value)?.into()),
            _ => return Err(UrlError::Parameter),
        }
    }
    let deployment = Deployment::Sentinel {
        sentinels: addresses(hosts, SENTINEL_PORT)?,
        master: decode(master)?,
        login,
    };
    Ok((deployment, database(number)?))
}

fn addresses(hosts: &str, default_port: u16) -> Result<Vec<Address>, UrlError> {
    hosts
        .split(',')
        .map(|host| Address::parse(host, default_port))
        .collect()
}

fn database(path: &str) -> Result<u16, UrlError> {
    if path.is_empty() {
        return Ok(0);
    }
    path.parse().ok().ok_or(UrlError::Database)
}

fn decode(text: &str) -> Result<String, UrlError> {
    let decoded = percent_decode_str(text).decode_utf8().ok();
    decoded.map(Cow::into_owned).ok_or(UrlError::Encoding)
}

impl Address {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`.
    pub(super) fn parse(text: &str, default_port: u16) -> Result<Self, UrlError> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or(UrlError::Host)?;
                (host, port.strip_prefix(':'))
            }
            None => match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok().ok_or(UrlError::Host)?,
            None => default_port,
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(UrlError::Host);
        }
        Ok(Self::new(host, port))
    }
}

impl Credentials {
    fn parse(text: &str) -> Result<Self, UrlError> {
        let (username, password) = text.split_once(':').unwrap_or((text, ""));
        Ok(Self {
            username: (!username.is_empty())
                .then(|| decode(username))
                .transpose()?,
            password: (!password.is_empty())
                .then(|| decode(password).map(Zeroizing::new))
                .transpose()?,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_url_has_one_host_a_user_and_a_database() {
        let url = RedisUrl::parse("rediss://gate:p%40ss@redis.example:7000/3").unwrap();
        assert_eq!(
            url.deployment,
            Deployment::Standalone(Address::new("redis.example", 7000))
        );
        assert_eq!(url.transport, Transport::Tls);
        assert_eq!(url.login.username.as_deref(), Some("gate"));
        assert_eq!(url.login.password.unwrap().as_str(), "p@ss");
        assert_eq!(url.database, 3);
    }

    #[test]
    fn sentinels_have_a_master_name_and_their_own_password() {
        let url = RedisUrl::parse(
            "redis+sentinel://:secret@a:1,[::1]/main/2?sentinel_username=s&sentinel_password=q",
        )
        .unwrap();
        let Deployment::Sentinel {
            sentinels,
            master,
            login,
        } = url.deployment
        else {
            panic!("no sentinels");
        };
        assert_eq!(
            sentinels,
            [Address::new("a", 1), Address::new("::1", SENTINEL_PORT)]
        );
        assert_eq!(master, "main");
        assert_eq!(login.username.as_deref(), Some("s"));
        assert_eq!(login.password.unwrap().as_str(), "q");
        assert_eq!(url.database, 2);
        assert_eq!(url.login.username, None);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (url, error) in [
            ("http://a", UrlError::Scheme),
            ("redis+other://a", UrlError::Scheme),
            ("redis://", UrlError::Host),
            ("redis://a:port", UrlError::Host),
            ("redis://a,b", UrlError::SeveralHosts),
            ("redis://a/main", UrlError::Database),
            ("redis://a?db=1", UrlError::Parameter),
            ("redis+cluster://a,b/1", UrlError::Database),
            ("redis+sentinel://a", UrlError::MasterName),
            ("redis+sentinel://a/m?password=x", UrlError::Parameter),
            ("redis://%ff@a", UrlError::Encoding),
        ] {
            assert_eq!(RedisUrl::parse(url), Err(error), "{url}");
        }
    }

    #[test]
    fn debug_output_has_no_password() {
        let url =
            RedisUrl::parse("redis+sentinel://u:hidden@a/m?sentinel_password=hidden").unwrap();
        assert!(!format!("{url:?}").contains("hidden"));
    }
}
