//! The operations under `/v1`, each as its callers see it.

mod attributes;
mod bans;
mod bulk;
mod cursors;
mod errors;
mod events;
mod follow;
mod limits;
mod logins;
mod pages;
mod profiles;
mod repetitions;
mod rotation;
mod sessions;
mod states;
mod tokens;
