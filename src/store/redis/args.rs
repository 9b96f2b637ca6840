//! The arguments of a script, in the order in which it takes them.

use std::fmt::Display;

use super::keys::login_key;
use crate::model::id::LoginId;

/// The arguments of a script.
#[derive(Debug, Default)]
pub(super) struct Args(pub(super) Vec<Vec<u8>>);

impl Args {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// What scripts about a login take first.
    pub(super) fn of_login(login_id: &LoginId) -> Self {
        Self::new().bytes(&login_key(login_id)).show(login_id)
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.push(bytes.to_vec());
        self
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub(super) fn show(self, value: impl Display) -> Self {
        self.text(&value.to_string())
    }

    /// Nothing is the empty text.
    pub(super) fn maybe(self, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.show(value),
            None => self.bytes(b""),
        }
    }

    pub(super) fn flag(self, flag: bool) -> Self {
        self.text(if flag { "1" } else { "0" })
    }

    pub(super) fn millis(self, duration: std::time::Duration) -> Self {
        self.show(duration.as_millis())
    }
}
