//! The operations under `/v1`, each as its callers see it.

mod attributes;
mod bans;
mod events;
mod logins;
mod sessions;
mod tokens;
