//! `service`: registers, lists, rotates and removes the services of a running gateway.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;

use super::gateway::{GatewayArguments, GatewayClient, GatewayClientError};
use crate::config::{Config, parse_duration};
use crate::model::page::PageLimit;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    at: GatewayArguments,
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
    #[error(transparent)]
    Gateway(#[from] GatewayClientError),
    #[error("standard output: {0}")]
    Output(#[from] std::io::Error),
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<(), ServiceError> {
    let gateway = GatewayClient::new(&arguments.at, config)?;
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
    let mut page = list_page(gateway, "")?;
    super::print(&format!(
        "{:<24} {:<8} {:<24} PERMISSIONS\n",
        "ID", "ENABLED", "NAME"
    ))?;
    loop {
        for service in &page.items {
            super::print(&service.row())?;
        }
        let Some(next) = page.next_cursor else {
            return Ok(());
        };
        let next = utf8_percent_encode(&next, NON_ALPHANUMERIC);
        page = list_page(gateway, &format!("&cursor={next}"))?;
    }
}

fn list_page(gateway: &GatewayClient, cursor: &str) -> Result<ServicePage, GatewayClientError> {
    let path = format!("/v1/services?limit={}{cursor}", PageLimit::MAX);
    read(&gateway.send(Method::GET, &path, None)?)
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

fn path_of(service_id: &str) -> String {
    format!(
        "/v1/services/{}",
        utf8_percent_encode(service_id, NON_ALPHANUMERIC)
    )
}

fn read<T: for<'a> Deserialize<'a>>(body: &Bytes) -> Result<T, GatewayClientError> {
    serde_json::from_slice(body).map_err(|_shape| GatewayClientError::Foreign(StatusCode::OK))
}
