//! The forms that values have.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::gateway::profile::InvalidLoaderUrl;
use crate::http::proxy::InvalidProxySetting;
use crate::model::limit::{LimitPer, Overflow, SessionLimit};
use crate::model::network::InvalidNetwork;
use crate::model::profile::MAX_PROFILE_TTL;
use crate::model::token::ServiceSecret;
use crate::server::{InvalidListenAddress, ListenAddress};
use crate::store::redis::{RedisUrl, UrlError};
use crate::telemetry::log::LogFormat;

/// Longer times are typing mistakes.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The rule a value breaks. Values are not shown: some are secrets, some URLs hold passwords.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidValue {
    /// Not where to listen.
    #[error(transparent)]
    Listen(#[from] InvalidListenAddress),
    /// Not a duration.
    #[error(
        "must be a duration of at most 10 years, like 500ms, 90s, 30m, 24h, 7d; a bare number is seconds"
    )]
    Duration,
    /// A duration that would mean "never" or "all the time".
    #[error("must be at least 100ms")]
    TooShort,
    /// A lifetime below the resolution of the contract.
    #[error("must be at least 1s")]
    ShortLifetime,
    /// Not a number of connections.
    #[error("must be a number from 1 to 1000000")]
    Connections,
    /// A bound that heartbeats cannot prove, or that is none.
    #[error("must be 0s, or from 500ms to 60s")]
    Staleness,
    /// Not an amount of bytes.
    #[error("must be an amount of bytes from 1MiB on, like 64MiB or 1GiB; a bare number is bytes")]
    Bytes,
    /// Not where a gateway is.
    #[error("must start with http:// or https://")]
    GatewayUrl,
    /// Not a store.
    #[error("must be memory:, embedded:DIR or the URL of a Redis")]
    Store,
    /// A store that this version does not have.
    #[error(
        "names a store that this version does not have; it has memory:, embedded:DIR and Redis"
    )]
    StoreNotBuilt,
    /// Not the URL of a Redis.
    #[error("is no URL of a Redis: {0}")]
    Redis(#[from] UrlError),
    /// Not a prefix of keys.
    #[error("must be 1 to 32 of A-Z, a-z, 0-9, `.`, `_` and `-`")]
    Prefix,
    /// Not a file.
    #[error("must be the path of a file")]
    File,
    /// Not a number of replicas.
    #[error("must be a number from 0 to 16")]
    Replicas,
    /// No time for an answer of Redis.
    #[error("must be from 50ms to 2s")]
    RedisTimeout,
    /// Not a quota.
    #[error("must be a number from 0 up; 0 is no limit")]
    Quota,
    /// Not a format of what is stored.
    #[error("must be the number of a format that this version writes, from 1 to {newest}")]
    StoreFormat {
        /// The newest.
        newest: u64,
    },
    /// Not a secret.
    #[error("must be 32 to 512 visible ASCII characters; `openssl rand -hex 32` makes a good one")]
    Secret,
    /// Not what reverse proxies need.
    #[error(transparent)]
    Proxy(#[from] InvalidProxySetting),
    /// Neither addresses nor networks.
    #[error(transparent)]
    Network(#[from] InvalidNetwork),
    /// Not where profiles are loaded.
    #[error(transparent)]
    Loader(#[from] InvalidLoaderUrl),
    /// No time for a request to the loader.
    #[error("must be from 100ms to 10s")]
    Patience,
    /// No time for a profile to be fresh.
    #[error("must be whole seconds, from 1s to 30d")]
    Freshness,
    /// Not a number of sessions.
    #[error("must be a number from 0 to {}", SessionLimit::MAX)]
    Sessions,
    /// Not what a limit counts.
    #[error("must be login or device")]
    LimitPer,
    /// Not what happens to one session too many.
    #[error("must be evict_oldest, evict_least_active or refuse")]
    Overflow,
    /// Not a filter.
    #[error("must be levels of the log, like info or info,session_gateway=debug")]
    Filter,
    /// Not a format.
    #[error("must be text or json")]
    Format,
}

/// A store and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// In memory: gone when the process ends.
    Memory,
    /// In files of a directory.
    Embedded(PathBuf),
    /// In Redis, which other gateways may share.
    Redis(Box<RedisUrl>),
}

impl std::fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory => f.write_str("memory: (gone when the process ends)"),
            Self::Embedded(directory) => write!(f, "embedded:{}", directory.display()),
            Self::Redis(url) => url.fmt(f),
        }
    }
}

pub(super) fn address(text: &str) -> Result<ListenAddress, InvalidValue> {
    Ok(text.parse()?)
}

/// An address that may be left out.
pub(super) fn optional_address(text: &str) -> Result<Option<ListenAddress>, InvalidValue> {
    if text.is_empty() {
        Ok(None)
    } else {
        address(text).map(Some)
    }
}

pub(super) fn connections(text: &str) -> Result<usize, InvalidValue> {
    let number = text.parse().ok();
    number
        .filter(|number| (1..=1_000_000).contains(number))
        .ok_or(InvalidValue::Connections)
}

/// How much of something; 0 is any.
pub(super) fn quota(text: &str) -> Result<u64, InvalidValue> {
    text.parse().or(Err(InvalidValue::Quota))
}

pub(super) fn optional_connections(text: &str) -> Result<Option<usize>, InvalidValue> {
    if text.is_empty() {
        Ok(None)
    } else {
        connections(text).map(Some)
    }
}

pub(super) fn sessions(text: &str) -> Result<usize, InvalidValue> {
    let number = text.parse().ok();
    number
        .filter(|number| (0..=SessionLimit::MAX).contains(number))
        .ok_or(InvalidValue::Sessions)
}

pub(super) fn limit_per(text: &str) -> Result<LimitPer, InvalidValue> {
    match text {
        "login" => Ok(LimitPer::Login),
        "device" => Ok(LimitPer::Device),
        _ => Err(InvalidValue::LimitPer),
    }
}

pub(super) fn overflow(text: &str) -> Result<Overflow, InvalidValue> {
    match text {
        "evict_oldest" => Ok(Overflow::EvictOldest),
        "evict_least_active" => Ok(Overflow::EvictLeastActive),
        "refuse" => Ok(Overflow::Refuse),
        _ => Err(InvalidValue::Overflow),
    }
}

/// Reads a number and its unit; a bare number is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, InvalidValue> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis_per_unit = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return Err(InvalidValue::Duration),
    };
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(millis_per_unit))
        .map(Duration::from_millis)
        .filter(|duration| *duration <= LONGEST)
        .ok_or(InvalidValue::Duration)
}

/// A duration that something waits for again and again.
pub(super) fn lasting(text: &str) -> Result<Duration, InvalidValue> {
    let duration = duration(text)?;
    if duration < Duration::from_millis(100) {
        return Err(InvalidValue::TooShort);
    }
    Ok(duration)
}

/// A duration; `0s` is none.
pub(super) fn optional_duration(text: &str) -> Result<Option<Duration>, InvalidValue> {
    Ok(Some(duration(text)?).filter(|duration| !duration.is_zero()))
}

/// How old what a node knows may be. It hears of changes, or that there are none, four times a second.
pub(super) fn staleness(text: &str) -> Result<Duration, InvalidValue> {
    let duration = duration(text)?;
    let provable = Duration::from_millis(500)..=Duration::from_secs(60);
    if duration.is_zero() || provable.contains(&duration) {
        Ok(duration)
    } else {
        Err(InvalidValue::Staleness)
    }
}

/// Reads a number and its unit, a power of 1024; a bare number is bytes.
pub(super) fn bytes(text: &str) -> Result<u64, InvalidValue> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let bytes_per_unit: u64 = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(InvalidValue::Bytes),
    };
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(bytes_per_unit))
        .filter(|bytes| *bytes >= 1 << 20)
        .ok_or(InvalidValue::Bytes)
}

/// An amount that may be left out.
pub(super) fn optional_bytes(text: &str) -> Result<Option<u64>, InvalidValue> {
    if text.is_empty() {
        return Ok(None);
    }
    bytes(text).map(Some)
}

/// How long Redis may take for an answer.
pub(super) fn redis_timeout(text: &str) -> Result<Duration, InvalidValue> {
    let bearable = Duration::from_millis(50)..=Duration::from_secs(2);
    duration_within(text, &bearable, InvalidValue::RedisTimeout)
}

/// How long a request to the loader of profiles may take. Callers wait for it.
pub(super) fn patience(text: &str) -> Result<Duration, InvalidValue> {
    let bearable = Duration::from_millis(100)..=Duration::from_secs(10);
    duration_within(text, &bearable, InvalidValue::Patience)
}

fn duration_within(
    text: &str,
    bounds: &RangeInclusive<Duration>,
    beyond: InvalidValue,
) -> Result<Duration, InvalidValue> {
    let duration = duration(text)?;
    bounds.contains(&duration).then_some(duration).ok_or(beyond)
}

/// How long a profile is fresh; answers tell it in whole seconds.
pub(super) fn freshness(text: &str) -> Result<Duration, InvalidValue> {
    let duration = duration(text)?;
    let tellable = Duration::from_secs(1)..=MAX_PROFILE_TTL;
    if tellable.contains(&duration) && duration.subsec_nanos() == 0 {
        Ok(duration)
    } else {
        Err(InvalidValue::Freshness)
    }
}

/// How long a session may live; requests and answers tell it in whole seconds.
pub(super) fn lifetime(text: &str) -> Result<Duration, InvalidValue> {
    let duration = duration(text)?;
    if duration < Duration::from_secs(1) {
        return Err(InvalidValue::ShortLifetime);
    }
    Ok(duration)
}

pub(super) fn store(text: &str) -> Result<StoreLocation, InvalidValue> {
    let (scheme, rest) = text.split_once(':').ok_or(InvalidValue::Store)?;
    match (scheme, rest) {
        ("memory", "") => Ok(StoreLocation::Memory),
        ("embedded", directory) if !directory.is_empty() => {
            Ok(StoreLocation::Embedded(PathBuf::from(directory)))
        }
        (scheme, _url) if scheme.starts_with("redis") => {
            Ok(StoreLocation::Redis(Box::new(RedisUrl::parse(text)?)))
        }
        ("postgres" | "postgresql", _url) => Err(InvalidValue::StoreNotBuilt),
        _ => Err(InvalidValue::Store),
    }
}

/// The URL of a gateway that may be left out, without a slash at its end.
pub(super) fn optional_gateway_url(text: &str) -> Result<Option<String>, InvalidValue> {
    if text.is_empty() {
        return Ok(None);
    }
    gateway_url(text).map(Some)
}

/// The URL of a gateway, without a slash at its end.
pub(crate) fn gateway_url(text: &str) -> Result<String, InvalidValue> {
    let has_host = |rest: Option<&str>| rest.is_some_and(|rest| !rest.is_empty());
    if has_host(text.strip_prefix("http://")) || has_host(text.strip_prefix("https://")) {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err(InvalidValue::GatewayUrl)
    }
}

pub(super) fn key_prefix(text: &str) -> Result<String, InvalidValue> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=32).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err(InvalidValue::Prefix)
    }
}

pub(super) fn replicas(text: &str) -> Result<usize, InvalidValue> {
    let number = text.parse().ok().filter(|number| *number <= 16);
    number.ok_or(InvalidValue::Replicas)
}

/// A format that may be left out.
pub(super) fn store_format(text: &str, newest: u64) -> Result<Option<u64>, InvalidValue> {
    if text.is_empty() {
        return Ok(None);
    }
    let format = text.parse().ok();
    let known = format.filter(|format| (1..=newest).contains(format));
    known.map(Some).ok_or(InvalidValue::StoreFormat { newest })
}

/// A file that may be left out, and that is there if it is not.
pub(super) fn optional_file(text: &str) -> Result<Option<PathBuf>, InvalidValue> {
    if text.is_empty() {
        return Ok(None);
    }
    let path = PathBuf::from(text);
    if path.is_file() {
        Ok(Some(path))
    } else {
        Err(InvalidValue::File)
    }
}

pub(super) fn secret(text: &str) -> Result<ServiceSecret, InvalidValue> {
    ServiceSecret::chosen(text.to_owned()).map_err(|_invalid| InvalidValue::Secret)
}

pub(super) fn filter(text: &str) -> Result<String, InvalidValue> {
    // A word alone would pass as the name of a part of the program, and silence all others.
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    let mut directives = text.split(',').map(str::trim);
    let sound = directives.all(|directive| directive.contains('=') || is_level(directive));
    match EnvFilter::try_new(text) {
        Ok(_filter) if sound => Ok(text.to_owned()),
        Ok(_) | Err(_) => Err(InvalidValue::Filter),
    }
}

pub(super) fn format(text: &str) -> Result<LogFormat, InvalidValue> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(InvalidValue::Format),
    }
}
