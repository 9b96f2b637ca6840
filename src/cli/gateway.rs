//! A running gateway as the commands ask it.

use std::path::PathBuf;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, Request, StatusCode, header};
use clap::Args;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;
use zeroize::Zeroizing;

use super::health::authority;
use super::http::{HttpError, basic, receive, send};
use crate::config::{Config, parse_gateway_url};
use crate::model::id::ServiceId;

/// Long enough for a gateway under load, short enough for a person.
const DEADLINE: Duration = Duration::from_secs(10);

/// Which gateway is asked, and by whom.
#[derive(Debug, Args)]
pub(super) struct GatewayArguments {
    /// Where the gateway is, by http or https [default: `SGW_URL`, or http:// and `SGW_LISTEN`]
    #[arg(long, global = true, value_name = "URL", value_parser = parse_gateway_url)]
    url: Option<String>,
    /// The service to act as; it needs the permission for what is asked
    #[arg(
        long = "as",
        global = true,
        value_name = "SERVICE_ID",
        default_value = "admin"
    )]
    caller: String,
    /// A file with its secret [default: `SGW_ADMIN_SECRET` or `SGW_ADMIN_SECRET_FILE` for admin]
    #[arg(long, global = true, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

/// Why a gateway did not do what was asked.
#[derive(Debug, Error)]
pub(super) enum GatewayClientError {
    #[error("there is no secret for admin: set SGW_ADMIN_SECRET or give --secret-file")]
    NoAdminSecret,
    #[error(
        "{0} is from .env and the secret of admin from the environment, which is not sent there; say --url"
    )]
    ForeignAddress(&'static str),
    #[error("--as {0} needs --secret-file")]
    NoSecret(String),
    #[error("{path}: {source}", path = path.display())]
    SecretFile {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the secret or the service id has characters that no credential has")]
    Credentials,
    #[error("{url}: {source}")]
    NoAnswer { url: String, source: HttpError },
    #[error("{code}: {detail}")]
    Refused { code: String, detail: String },
    #[error("the answer is not one of a session gateway: {0}")]
    Foreign(StatusCode),
    #[error("the request cannot be made: {0}")]
    Request(#[from] axum::http::Error),
}

/// The document of an error, as far as it is shown.
#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
    #[serde(default)]
    errors: Vec<WrongField>,
}

#[derive(Deserialize)]
struct WrongField {
    pointer: String,
    detail: String,
}

impl From<Problem> for GatewayClientError {
    fn from(problem: Problem) -> Self {
        let mut detail = problem.detail;
        for field in &problem.errors {
            detail.extend(["; ", &field.pointer, " ", &field.detail]);
        }
        Self::Refused {
            code: problem.code,
            detail,
        }
    }
}

/// A running gateway, and who asks it.
pub(super) struct GatewayClient {
    url: String,
    credentials: axum::http::HeaderValue,
}

impl GatewayClient {
    pub(super) fn new(
        arguments: &GatewayArguments,
        config: &Config,
    ) -> Result<Self, GatewayClientError> {
        let is_ours = arguments.url.is_some() || arguments.secret_file.is_some();
        if let Some(name) = config.foreign_address.filter(|_| !is_ours) {
            return Err(GatewayClientError::ForeignAddress(name));
        }
        let url = arguments.url.as_ref().or(config.url.as_ref());
        let url = url.cloned();
        let url = url.unwrap_or_else(|| format!("http://{}", authority(&config.listener.listen)));
        let secret = secret(arguments, config)?;
        let credentials =
            basic(&arguments.caller, &secret).ok_or(GatewayClientError::Credentials)?;
        Ok(Self { url, credentials })
    }

    pub(super) fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Bytes, GatewayClientError> {
        let request = self.request(method, path, body)?;
        let answer = send(request, DEADLINE).map_err(self.no_answer())?;
        let (status, body) = (answer.status(), answer.into_body());
        if status.is_success() {
            return Ok(body);
        }
        Err(refusal(status, &body))
    }

    /// Asks for what has no bound, and hands its pieces on.
    pub(super) fn receive(
        &self,
        method: Method,
        path: &str,
        deadline: Duration,
        take: impl FnMut(Bytes) -> std::io::Result<()>,
    ) -> Result<(), GatewayClientError> {
        let request = self.request(method, path, None)?;
        let (status, body) = receive(request, deadline, take).map_err(self.no_answer())?;
        if status.is_success() {
            return Ok(());
        }
        Err(refusal(status, &body))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Request<Bytes>, axum::http::Error> {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header(header::AUTHORIZATION, self.credentials.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string())))
    }

    fn no_answer(&self) -> impl FnOnce(HttpError) -> GatewayClientError {
        let url = self.url.clone();
        move |source| GatewayClientError::NoAnswer { url, source }
    }
}

fn refusal(status: StatusCode, body: &Bytes) -> GatewayClientError {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => problem.into(),
        Err(_shape) => GatewayClientError::Foreign(status),
    }
}

fn secret(
    arguments: &GatewayArguments,
    config: &Config,
) -> Result<Zeroizing<String>, GatewayClientError> {
    if let Some(path) = &arguments.secret_file {
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|source| GatewayClientError::SecretFile {
            path: path.clone(),
            source,
        })?;
        return Ok(Zeroizing::new(
            text.trim_end_matches(['\r', '\n']).to_owned(),
        ));
    }
    if arguments.caller != ServiceId::ADMIN {
        return Err(GatewayClientError::NoSecret(arguments.caller.clone()));
    }
    let configured = config
        .admin_secret
        .as_ref()
        .ok_or(GatewayClientError::NoAdminSecret)?;
    Ok(Zeroizing::new(configured.expose().to_owned()))
}
