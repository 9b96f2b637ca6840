//! The operations under `/v1`, each as its callers see it.

mod attributes;
mod events;
mod logins;
mod rotation;
mod sessions;
mod tokens;
