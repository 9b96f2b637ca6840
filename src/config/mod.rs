//! The configuration: the only reader of the environment.
//!
//! Every setting is an `SGW_` variable, also read from a file `.env` in the working directory, which never overrides
//! the environment. A variable that is wrong or not known stops the start and is named; nothing falls back silently.

use std::path::PathBuf;
use std::time::Duration;

use crate::gateway::Lifetimes;
use crate::gateway::forward_auth::StoreDeadline;
use crate::gateway::profile::{LoaderSettings, LoaderUrl, ProfileSettings, SigningKey};
use crate::gateway::quotas::QuotaDefaults;
use crate::http::proxy::{Exports, ExternalTokens, LoginOrigins, ProxySettings, TokenCookie};
use crate::model::limit::SessionLimit;
use crate::model::network::Networks;
use crate::model::token::ServiceSecret;
use crate::server::ListenAddress;
use crate::store::embedded::EmbeddedSettings;
use crate::store::node::cache::CacheSettings;
use crate::store::redis::{Deadlines, FormatSettings, NEWEST_FORMAT, RedisSettings, RedisUrl};
use crate::telemetry::log::LogSettings;

mod error;
mod given;
mod program;
mod quotas;
mod source;
mod value;
mod variables;
mod warnings;

pub use error::{ConfigError, Origin};
pub(crate) use program::program;
pub use source::TraceTransport;
pub use value::StoreLocation;
pub(crate) use value::{duration as parse_duration, gateway_url as parse_gateway_url};
pub use variables::{VARIABLES, Variable, example};
pub use warnings::Warning;

use given::Given;
use source::Source;
use value::InvalidValue;
use variables as var;

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// The listener.
    pub listener: ListenerSettings,
    /// The store and its upkeep.
    pub store: StoreSettings,
    /// The secret of the built-in service `admin`, if it is configured; it wins over a stored one.
    pub admin_secret: Option<ServiceSecret>,
    /// Where the commands find the gateway; none is where it listens.
    pub url: Option<String>,
    /// What of `.env` says where the gateway is, if not also the secret of `admin` is from there, which whoever wrote the
    /// file may not have.
    pub foreign_address: Option<&'static str>,
    /// Files with secrets that every user of the machine can read, by what names them.
    pub readable_files: Vec<&'static str>,
    /// How long sessions live.
    pub lifetimes: Lifetimes,
    /// How many sessions a login may have; none is any number.
    pub session_limit: Option<SessionLimit>,
    /// The most streams of events at once.
    pub event_followers: usize,
    /// How much a service may take that has no limits of its own.
    pub quotas: QuotaDefaults,
    /// What reverse proxies may do, and what they are told.
    pub proxies: ProxySettings,
    /// How profiles are loaded.
    pub profiles: ProfileSettings,
    /// The log.
    pub log: LogSettings,
    /// How traces are sent, if they are; where, OpenTelemetry reads itself.
    pub traces: Option<TraceTransport>,
    given: Given,
}

/// How requests come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSettings {
    /// Where everything is.
    pub listen: ListenAddress,
    /// The most connections at once.
    pub max_connections: usize,
    /// The most connections of one address on which no service has proved itself.
    pub max_connections_per_address: usize,
    /// How long requests are still taken at shutdown.
    pub drain_delay: Duration,
    /// How long requests under way may take after that.
    pub drain_timeout: Duration,
    /// Where metrics alone are; none if they are told where everything is.
    pub metrics: Option<ListenAddress>,
    /// Who may read metrics and the details of readiness without credentials, beside this machine.
    pub metrics_allow: Networks,
}

/// Where sessions are kept, and for how long what is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// The kind of store and its place.
    pub location: StoreLocation,
    /// What only Redis asks for.
    pub redis: RedisOptions,
    /// Copies that the node keeps; none if it asks the store each time.
    pub cache: Option<CacheSettings>,
    /// A session without use for this long shows as `idle`.
    pub idle_after: Duration,
    /// How long an ended session is known as ended.
    pub tombstone_retention: Duration,
    /// How long events stay in the feed.
    pub event_retention: Duration,
    /// Between two looks for what is over.
    pub sweep_interval: Duration,
    /// How long Redis keeps what is over for its event.
    pub sweep_grace: Duration,
    /// How long the use of a session may wait to be written.
    pub touch_interval: Duration,
    /// Bytes of the disk that only endings, sweeping and uses may take; none is a part of its size.
    pub reserve: Option<u64>,
}

/// What only a store in Redis asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisOptions {
    /// Starts every key.
    pub prefix: String,
    /// The certificates to trust, instead of the machine's.
    pub ca_file: Option<PathBuf>,
    /// How many replicas must have an open, a rotation or an end before it is answered.
    pub wait_replicas: usize,
    /// How long one command may take.
    pub timeout: Duration,
    /// The format to write; none is the newest that all gateways read.
    pub format: Option<u64>,
}

impl StoreSettings {
    /// The settings of an embedded store.
    #[must_use]
    pub fn embedded(&self) -> EmbeddedSettings {
        EmbeddedSettings {
            idle_after: self.idle_after,
            tombstone_retention: self.tombstone_retention,
            event_retention: self.event_retention,
            touch_interval: self.touch_interval,
            reserve: self.reserve,
        }
    }

    /// The settings of the store in this Redis.
    #[must_use]
    pub fn redis(&self, url: &RedisUrl) -> RedisSettings {
        RedisSettings {
            url: url.clone(),
            ca_file: self.redis.ca_file.clone(),
            deadlines: Deadlines::of(self.redis.timeout),
            wait_replicas: self.redis.wait_replicas,
            prefix: self.redis.prefix.clone(),
            idle_after: self.idle_after,
            tombstone_retention: self.tombstone_retention,
            event_retention: self.event_retention,
            touch_interval: self.touch_interval,
            sweep_grace: self.sweep_grace,
            formats: FormatSettings {
                fixed: self.redis.format,
                ..FormatSettings::default()
            },
            test_clock: None,
        }
    }
}

impl Config {
    /// Reads the environment and `.env`.
    pub fn load() -> Result<Self, ConfigError> {
        Self::read(&Source::load()?)
    }

    /// Reads settings from names and values; what does not start with `SGW_` is none of ours.
    pub fn from_variables<N, V>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, ConfigError>
    where
        N: Into<String>,
        V: Into<String>,
    {
        let pairs = variables.into_iter();
        Self::read(&Source::from_pairs(
            pairs.map(|(name, value)| (name.into(), value.into())),
        ))
    }

    fn read(source: &Source) -> Result<Self, ConfigError> {
        source.refuse_unknown()?;
        let max_connections = source.get(&var::MAX_CONNECTIONS, value::connections)?;
        let redis = redis(source)?;
        let proxies = proxies(source, redis.timeout)?;
        let config = Self {
            listener: ListenerSettings {
                listen: source.get(&var::LISTEN, value::address)?,
                max_connections,
                max_connections_per_address: source
                    .get(
                        &var::MAX_CONNECTIONS_PER_ADDRESS,
                        value::optional_connections,
                    )?
                    .unwrap_or(max_connections.div_ceil(4)),
                drain_delay: source.get(&var::DRAIN_DELAY, value::duration)?,
                drain_timeout: source.get(&var::DRAIN_TIMEOUT, value::duration)?,
                metrics: source.get(&var::METRICS_LISTEN, value::optional_address)?,
                metrics_allow: source.get(&var::METRICS_ALLOW, networks)?,
            },
            store: StoreSettings {
                location: source.get_or_read(&var::STORE, &var::STORE_FILE, value::store)?,
                redis,
                cache: cache(source)?,
                idle_after: source.get(&var::IDLE_AFTER, value::lasting)?,
                tombstone_retention: source.get(&var::TOMBSTONE_RETENTION, value::duration)?,
                event_retention: source.get(&var::EVENT_RETENTION, value::lasting)?,
                sweep_interval: source.get(&var::SWEEP_INTERVAL, value::lasting)?,
                sweep_grace: source.get(&var::SWEEP_GRACE, value::lasting)?,
                touch_interval: source.get(&var::TOUCH_INTERVAL, value::duration)?,
                reserve: source.get(&var::STORE_RESERVE, value::optional_bytes)?,
            },
            admin_secret: source.secret(&var::ADMIN_SECRET, &var::ADMIN_SECRET_FILE)?,
            url: source.get(&var::URL, value::optional_gateway_url)?,
            foreign_address: source.foreign_address(),
            readable_files: warnings::readable_files(source),
            session_limit: session_limit(source)?,
            lifetimes: lifetimes(source)?,
            event_followers: source.get(&var::EVENT_FOLLOWERS, value::connections)?,
            quotas: quotas::quotas(source)?,
            proxies,
            profiles: profiles(source)?,
            log: LogSettings {
                filter: source.get(&var::LOG, value::filter)?,
                format: source.get(&var::LOG_FORMAT, value::format)?,
            },
            traces: source.traces()?,
            given: Given::of(source),
        };
        config.check_order()?;
        Ok(config)
    }

    fn check_order(&self) -> Result<(), ConfigError> {
        let Lifetimes {
            idle_timeout,
            max_age,
            idle_timeout_limit,
            max_age_limit,
            rotate_grace: _,
            rotate_after: _,
        } = self.lifetimes;
        let pairs = [
            (
                &var::IDLE_TIMEOUT,
                idle_timeout,
                &var::IDLE_TIMEOUT_LIMIT,
                idle_timeout_limit,
            ),
            (&var::MAX_AGE, max_age, &var::MAX_AGE_LIMIT, max_age_limit),
        ];
        for (shorter, value, longer, limit) in pairs {
            if value > limit {
                return Err(ConfigError::AboveLimit {
                    name: shorter.name,
                    limit: longer.name,
                });
            }
        }
        Ok(())
    }
}

fn lifetimes(source: &Source) -> Result<Lifetimes, ConfigError> {
    Ok(Lifetimes {
        idle_timeout: source.get(&var::IDLE_TIMEOUT, value::lifetime)?,
        max_age: source.get(&var::MAX_AGE, value::lifetime)?,
        idle_timeout_limit: source.get(&var::IDLE_TIMEOUT_LIMIT, value::lifetime)?,
        max_age_limit: source.get(&var::MAX_AGE_LIMIT, value::lifetime)?,
        rotate_grace: source.get(&var::ROTATE_GRACE, value::duration)?,
        rotate_after: source.get(&var::ROTATE_AFTER, value::optional_duration)?,
    })
}

fn redis(source: &Source) -> Result<RedisOptions, ConfigError> {
    let format = |text: &str| value::store_format(text, NEWEST_FORMAT);
    Ok(RedisOptions {
        prefix: source.get(&var::REDIS_PREFIX, value::key_prefix)?,
        ca_file: source.get(&var::REDIS_CA_FILE, value::optional_file)?,
        wait_replicas: source.get(&var::REDIS_WAIT_REPLICAS, value::replicas)?,
        timeout: source.get(&var::REDIS_TIMEOUT, value::redis_timeout)?,
        format: source.get(&var::STORE_FORMAT, format)?,
    })
}

fn session_limit(source: &Source) -> Result<Option<SessionLimit>, ConfigError> {
    let limit = SessionLimit {
        max: source.get(&var::LOGIN_MAX_SESSIONS, value::sessions)?,
        per: source.get(&var::LOGIN_LIMIT_PER, value::limit_per)?,
        overflow: source.get(&var::LOGIN_OVERFLOW, value::overflow)?,
    };
    Ok((limit.max > 0).then_some(limit))
}

fn cache(source: &Source) -> Result<Option<CacheSettings>, ConfigError> {
    let settings = CacheSettings {
        max_staleness: source.get(&var::CACHE_MAX_STALENESS, value::staleness)?,
        max_bytes: source.get(&var::CACHE_MAX_BYTES, value::bytes)?,
    };
    Ok((!settings.max_staleness.is_zero()).then_some(settings))
}

fn proxies(source: &Source, store_timeout: Duration) -> Result<ProxySettings, ConfigError> {
    let cookie = |text: &str| Ok(TokenCookie::parse(text)?);
    let external = |text: &str| Ok(ExternalTokens::parse(text)?);
    let exports = |text: &str| Ok(Exports::parse(text)?);
    let origins = |text: &str| Ok(LoginOrigins::parse(text)?);
    Ok(ProxySettings {
        token_cookie: source.get(&var::TOKEN_COOKIE, cookie)?,
        external_tokens: source.get(&var::EXTERNAL_TOKENS, external)?,
        trusted: source.get(&var::TRUSTED_PROXIES, networks)?,
        exports: source.get(&var::EXPORT_ATTRIBUTES, exports)?,
        login_origins: source.get(&var::LOGIN_URL_ALLOW, origins)?,
        store_deadline: StoreDeadline::after(store_timeout),
    })
}

fn networks(text: &str) -> Result<Networks, InvalidValue> {
    Ok(Networks::parse(text)?)
}

fn profiles(source: &Source) -> Result<ProfileSettings, ConfigError> {
    let url = source.get(&var::PROFILE_LOADER_URL, |text| Ok(LoaderUrl::parse(text)?))?;
    let secret = source.secret(
        &var::PROFILE_LOADER_SECRET,
        &var::PROFILE_LOADER_SECRET_FILE,
    )?;
    let ca_file = source.get(&var::PROFILE_LOADER_CA_FILE, value::optional_file)?;
    let timeout = source.get(&var::PROFILE_LOADER_TIMEOUT, value::patience)?;
    let ttl = source.get(&var::PROFILE_TTL, value::freshness)?;
    let stale_for = source.get(&var::PROFILE_STALE_FOR, value::duration)?;
    Ok(ProfileSettings {
        loader: url.map(|url| LoaderSettings {
            url,
            key: secret.as_ref().map(SigningKey::of),
            ca_file,
            timeout,
            ttl,
            stale_for,
        }),
    })
}

#[cfg(test)]
mod tests;
