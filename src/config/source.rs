//! Where values come from: the environment first, then `.env`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::geteuid;
use strsim::osa_distance;
use url::Url;
use zeroize::Zeroizing;

use super::error::{ConfigError, Origin};
use super::value::{self, InvalidValue};
use super::variables::{self as var, VARIABLES, Variable};
use crate::model::token::ServiceSecret;

const PREFIX: &str = "SGW_";

/// What starts the standard settings of OpenTelemetry.
const TRACES: &str = "OTEL_";

/// Where traces go.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];

/// In what form.
const PROTOCOLS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
];

fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX) || name.starts_with(TRACES)
}

fn transport_of(url: &str) -> Option<TraceTransport> {
    match Url::parse(url).ok()?.scheme() {
        "http" => Some(TraceTransport::Http),
        "https" => Some(TraceTransport::Https),
        _ => None,
    }
}

/// The file in the working directory that settings are also read from.
pub(super) const DOT_ENV: &str = ".env";

/// How traces go to their collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceTransport {
    /// As they are.
    Http,
    /// By TLS, to whom the machine trusts.
    Https,
}

/// Others than the owner, as bits of a mode.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// All variables that start with `SGW_`, and those of OpenTelemetry.
pub(super) struct Source {
    values: BTreeMap<String, String>,
    /// Those that are set in `.env` and not in the environment.
    from_file: BTreeSet<String>,
}

impl Source {
    pub(super) fn load() -> Result<Self, ConfigError> {
        let mut source = Self::from_pairs(dot_env(Path::new(DOT_ENV))?);
        // Whoever reads those of OpenTelemetry reads the environment alone.
        source.values.retain(|name, _| name.starts_with(PREFIX));
        source.from_file = source.values.keys().cloned().collect();
        for (name, value) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if is_ours(&name) {
                let value = value
                    .into_string()
                    .map_err(|_bytes| ConfigError::NotUtf8(name.clone()))?;
                source.from_file.remove(&name);
                source.values.insert(name, value);
            }
        }
        Ok(source)
    }

    pub(super) fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let ours = pairs.into_iter().filter(|(name, _)| is_ours(name));
        Self {
            values: ours.collect(),
            from_file: BTreeSet::new(),
        }
    }

    /// What of `.env` says where the gateway is, if the secret of `admin` is not from there, too.
    pub(super) fn foreign_address(&self) -> Option<&'static str> {
        let has_url = self.text(&var::URL).is_some_and(|url| !url.is_empty());
        let address = if has_url { &var::URL } else { &var::LISTEN };
        let secrets = [&var::ADMIN_SECRET, &var::ADMIN_SECRET_FILE];
        let has_secret = secrets.into_iter().any(|secret| self.is_from_file(secret));
        (self.is_from_file(address) && !has_secret).then_some(address.name)
    }

    /// Whether `.env` sets a variable, and the environment does not.
    fn is_from_file(&self, variable: &Variable) -> bool {
        self.from_file.contains(variable.name)
    }

    /// The value of a variable as it is set.
    pub(super) fn text(&self, variable: &Variable) -> Option<&str> {
        self.values.get(variable.name).map(String::as_str)
    }

    pub(super) fn refuse_unknown(&self) -> Result<(), ConfigError> {
        let known = |name: &str| VARIABLES.iter().any(|variable| variable.name == name);
        let mut names = self.values.keys().filter(|name| name.starts_with(PREFIX));
        let Some(name) = names.find(|name| !known(name)) else {
            return Ok(());
        };
        let (name, origin) = (name.clone(), self.origin(name));
        Err(match near(&name) {
            Some(near) => ConfigError::Misspelt { name, origin, near },
            None => ConfigError::Unknown { name, origin },
        })
    }

    fn origin(&self, name: &str) -> Origin {
        if self.from_file.contains(name) {
            Origin::DotEnv
        } else {
            Origin::Environment
        }
    }

    fn invalid(&self, name: &'static str) -> impl FnOnce(InvalidValue) -> ConfigError {
        let origin = self.origin(name);
        move |source| ConfigError::Invalid {
            name,
            origin,
            source,
        }
    }

    /// How traces are sent, if the environment says where.
    pub(super) fn traces(&self) -> Result<Option<TraceTransport>, ConfigError> {
        let is = |name: &str, word: &str| {
            let value = self.values.get(name);
            value.is_some_and(|value| value.eq_ignore_ascii_case(word))
        };
        let names = |name: &str| self.values.get(name).is_some_and(|value| !value.is_empty());
        let off = is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none");
        let endpoints: Vec<_> = ENDPOINTS.into_iter().filter(|name| names(name)).collect();
        if off || endpoints.is_empty() {
            return Ok(None);
        }
        let mut transport = TraceTransport::Http;
        for name in endpoints {
            let url = self.values.get(name);
            // The one for traces alone comes last, and counts.
            transport = url
                .and_then(|url| transport_of(url))
                .ok_or(ConfigError::TraceEndpoint(name))?;
        }
        let other = |name: &&str| names(name) && !is(name, "http/protobuf");
        match PROTOCOLS.into_iter().find(other) {
            Some(name) => Err(ConfigError::TraceProtocol(name)),
            None => Ok(Some(transport)),
        }
    }

    /// The value of a variable, or its default.
    pub(super) fn get<T>(
        &self,
        variable: &'static Variable,
        parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
    ) -> Result<T, ConfigError> {
        let text = self.text(variable).or(variable.default);
        parse(text.unwrap_or_default()).map_err(self.invalid(variable.name))
    }

    /// The value of a variable that may hold a secret, from itself or from a file; or its default.
    pub(super) fn get_or_read<T>(
        &self,
        variable: &'static Variable,
        file: &'static Variable,
        parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
    ) -> Result<T, ConfigError> {
        match self.given_or_read(variable, file)? {
            None => self.get(variable, parse),
            Some((name, text)) => parse(&text).map_err(self.invalid(name)),
        }
    }

    /// A secret, given itself or as the name of a file that holds it.
    pub(super) fn secret(
        &self,
        variable: &'static Variable,
        file: &'static Variable,
    ) -> Result<Option<ServiceSecret>, ConfigError> {
        let Some((name, text)) = self.given_or_read(variable, file)? else {
            return Ok(None);
        };
        value::secret(&text).map(Some).map_err(self.invalid(name))
    }

    /// What is set, and the variable that sets it.
    fn given_or_read(
        &self,
        variable: &'static Variable,
        file: &'static Variable,
    ) -> Result<Option<(&'static str, Zeroizing<String>)>, ConfigError> {
        match (self.values.get(variable.name), self.values.get(file.name)) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(ConfigError::Twice(variable.name)),
            (Some(text), None) => Ok(Some((variable.name, Zeroizing::new(text.clone())))),
            (None, Some(path)) => {
                let text = first_line(Path::new(path)).map_err(|source| ConfigError::File {
                    name: file.name,
                    origin: self.origin(file.name),
                    source,
                })?;
                Ok(Some((file.name, text)))
            }
        }
    }
}

/// The setting that a name is a misspelling of: a third of its letters may be wrong.
fn near(name: &str) -> Option<&'static str> {
    let bare = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_uppercase();
    let meant = bare(name);
    let distance = |known: &str| osa_distance(&meant, &bare(known));
    let names = VARIABLES.iter().map(|variable| variable.name);
    names
        .min_by_key(|known| distance(known))
        .filter(|known| distance(known) * 3 <= meant.chars().count())
}

fn first_line(path: &Path) -> io::Result<Zeroizing<String>> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new)?;
    Ok(Zeroizing::new(
        text.trim_end_matches(['\r', '\n']).to_owned(),
    ))
}

/// What `.env` sets. Whoever can write it could set anything, so it must be ours alone to write.
fn dot_env(path: &Path) -> Result<Vec<(String, String)>, ConfigError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ConfigError::DotEnv(error)),
    };
    let metadata = file.metadata().map_err(ConfigError::DotEnv)?;
    if metadata.uid() != geteuid().as_raw() {
        return Err(ConfigError::DotEnvForeign);
    }
    if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(ConfigError::DotEnvWritable);
    }
    match dotenvy::from_read_iter(file).collect() {
        Ok(pairs) => Ok(pairs),
        Err(dotenvy::Error::Io(error)) => Err(ConfigError::DotEnv(error)),
        Err(_line) => Err(ConfigError::DotEnvLine),
    }
}
