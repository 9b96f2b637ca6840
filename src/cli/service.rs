//! `service`: registers, lists, rotates and removes the services of a running gateway.

use std::path::PathBuf;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, Request, StatusCode, header};
use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;
use zeroize::Zeroizing;

use super::health::reachable;
use super::http::{HttpError, basic, send};
use crate::config::{Config, parse_duration};
use crate::model::id::ServiceId;
use crate::model::page::PageLimit;

/// Long enough for a gateway under load, short enough for a person.
const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where the gateway is, by http or https [default: http:// and `SGW_LISTEN`]
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// The service to act as; it needs `service.manage`, or `service.read` to list
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
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Register a service; its secret is printed, once
    Add {
        /// Its id, for good: letters, digits, `.`, `_`, `-`
        service_id: String,
        /// What people call it [default: its id]
        #[arg(long)]
        name: Option<String>,
        /// What it may do, like session.create or token.*; may be repeated
        #[arg(long = "permission", value_name = "PERMISSION", required = true)]
        permissions: Vec<String>,
    },
    /// List all services
    List,
    /// Give a service a new secret, which is printed, once
    Rotate {
        /// The service
        service_id: String,
        /// How long the old secret stays good, like 10m
        #[arg(long, default_value = "0s", value_parser = parse_duration)]
        grace: Duration,
    },
    /// Remove a service; its sessions stay
    Remove {
        /// The service
        service_id: String,
    },
}

/// Why a service could not be managed.
#[derive(Debug, Error)]
pub(super) enum ServiceError {
    #[error("there is no secret for admin: set SGW_ADMIN_SECRET or give --secret-file")]
    NoAdminSecret,
    #[error(
        "SGW_LISTEN is from .env and the secret of admin from the environment, which is not sent there; say --url"
    )]
    ForeignAddress,
    #[error("--as {0} needs --secret-file")]
    NoSecret(String),
    #[error("{path}: {source}", path = path.display())]
    SecretFile {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the secret or the service id has characters that no credential has")]
    Credentials,
    #[error("--url must start with http:// or https://")]
    Url,
    #[error("{url}: {source}")]
    NoAnswer { url: String, source: HttpError },
    #[error("{code}: {detail}")]
    Refused { code: String, detail: String },
    #[error("the answer is not one of a session gateway: {0}")]
    Foreign(StatusCode),
    #[error("the request cannot be made: {0}")]
    Request(#[from] axum::http::Error),
    #[error("standard output: {0}")]
    Output(#[from] std::io::Error),
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<(), ServiceError> {
    let gateway = GatewayClient::new(arguments, config)?;
    match &arguments.action {
        Action::Add {
            service_id,
            name,
            permissions,
        } => add(&gateway, service_id, name.as_deref(), permissions),
        Action::List => list(&gateway),
        Action::Rotate { service_id, grace } => rotate(&gateway, service_id, *grace),
        Action::Remove { service_id } => {
            gateway.send(Method::DELETE, &path_of(service_id), None)?;
            eprintln!("{service_id} is removed.");
            Ok(())
        }
    }
}

fn add(
    gateway: &GatewayClient,
    service_id: &str,
    name: Option<&str>,
    permissions: &[String],
) -> Result<(), ServiceError> {
    let wanted = json!({
        "service_id": service_id,
        "service_name": name.unwrap_or(service_id),
        "permissions": permissions,
    });
    let made = gateway.send(Method::POST, "/v1/services", Some(&wanted))?;
    let Credentials { secret } = read(&made)?;
    eprintln!("{service_id} is registered. Its secret is shown only now:");
    super::print(&format!("{secret}\n"))?;
    Ok(())
}

fn rotate(gateway: &GatewayClient, service_id: &str, grace: Duration) -> Result<(), ServiceError> {
    let path = format!("{}/rotate-secret", path_of(service_id));
    let wanted = json!({ "grace_seconds": grace.as_secs() });
    let made = gateway.send(Method::POST, &path, Some(&wanted))?;
    let Credentials { secret } = read(&made)?;
    eprintln!(
        "The old secret of {service_id} is good for {} s more. The new one is shown only now:",
        grace.as_secs()
    );
    super::print(&format!("{secret}\n"))?;
    Ok(())
}

fn list(gateway: &GatewayClient) -> Result<(), ServiceError> {
    super::print(&format!(
        "{:<24} {:<8} {:<24} PERMISSIONS\n",
        "ID", "ENABLED", "NAME"
    ))?;
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/services?limit={}{cursor}", PageLimit::MAX);
        let page: ServicePage = read(&gateway.send(Method::GET, &path, None)?)?;
        for service in &page.items {
            super::print(&service.row())?;
        }
        let Some(next) = page.next_cursor else {
            return Ok(());
        };
        cursor = format!("&cursor={}", utf8_percent_encode(&next, NON_ALPHANUMERIC));
    }
}

#[derive(Deserialize)]
struct Credentials {
    secret: String,
}

#[derive(Deserialize)]
struct ServicePage {
    items: Vec<Row>,
    next_cursor: Option<String>,
}

/// What is shown of a service.
#[derive(Deserialize)]
struct Row {
    service_id: String,
    service_name: String,
    enabled: bool,
    permissions: Vec<String>,
}

impl Row {
    fn row(&self) -> String {
        let enabled = if self.enabled { "yes" } else { "no" };
        format!(
            "{:<24} {enabled:<8} {:<24} {}\n",
            self.service_id,
            self.service_name,
            self.permissions.join(" ")
        )
    }
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

impl From<Problem> for ServiceError {
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

fn path_of(service_id: &str) -> String {
    format!(
        "/v1/services/{}",
        utf8_percent_encode(service_id, NON_ALPHANUMERIC)
    )
}

fn read<T: for<'a> Deserialize<'a>>(body: &Bytes) -> Result<T, ServiceError> {
    serde_json::from_slice(body).map_err(|_shape| ServiceError::Foreign(StatusCode::OK))
}

/// A running gateway, and who asks it.
struct GatewayClient {
    url: String,
    credentials: axum::http::HeaderValue,
}

impl GatewayClient {
    fn new(arguments: &Arguments, config: &Config) -> Result<Self, ServiceError> {
        let url = match &arguments.url {
            Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
                url.trim_end_matches('/').to_owned()
            }
            Some(_other) => return Err(ServiceError::Url),
            None => format!("http://{}", reachable(config.listener.listen)),
        };
        let is_ours = arguments.url.is_some() || arguments.secret_file.is_some();
        if !is_ours && config.listen_is_foreign {
            return Err(ServiceError::ForeignAddress);
        }
        let secret = secret(arguments, config)?;
        let credentials = basic(&arguments.caller, &secret).ok_or(ServiceError::Credentials)?;
        Ok(Self { url, credentials })
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Bytes, ServiceError> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header(header::AUTHORIZATION, self.credentials.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string())))?;
        let answer = send(request, DEADLINE);
        let answer = answer.map_err(|source| ServiceError::NoAnswer {
            url: self.url.clone(),
            source,
        })?;
        let (status, body) = (answer.status(), answer.into_body());
        if status.is_success() {
            return Ok(body);
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(problem.into()),
            Err(_shape) => Err(ServiceError::Foreign(status)),
        }
    }
}

fn secret(arguments: &Arguments, config: &Config) -> Result<Zeroizing<String>, ServiceError> {
    if let Some(path) = &arguments.secret_file {
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|source| ServiceError::SecretFile {
            path: path.clone(),
            source,
        })?;
        return Ok(Zeroizing::new(
            text.trim_end_matches(['\r', '\n']).to_owned(),
        ));
    }
    if arguments.caller != ServiceId::ADMIN {
        return Err(ServiceError::NoSecret(arguments.caller.clone()));
    }
    let configured = config
        .admin_secret
        .as_ref()
        .ok_or(ServiceError::NoAdminSecret)?;
    Ok(Zeroizing::new(configured.expose().to_owned()))
}
