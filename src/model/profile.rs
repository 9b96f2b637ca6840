//! Profiles: what is known of the user behind a login id, kept for a time.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;
use thiserror::Error;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::Timestamp;
use super::attribute::{AttributeValue, InvalidValue, MAX_VALUE_BYTES, map_schema};
use super::json::InvalidJson;

/// The most bytes the details of a user may have as compact JSON text.
pub const MAX_DETAILS_BYTES: usize = MAX_VALUE_BYTES;

/// The longest time a profile may be kept before it is stale.
pub const MAX_PROFILE_TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Why a text is not what is known of a user.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidDetails {
    /// Not JSON as the gateway reads it.
    #[error(transparent)]
    Json(#[from] InvalidJson),
    /// JSON, but no object.
    #[error("must be an object")]
    NotAnObject,
    /// Longer than [`MAX_DETAILS_BYTES`].
    #[error("a profile has at most {MAX_DETAILS_BYTES} bytes as JSON text")]
    TooLong,
}

/// What is known of a user: a JSON object, as compact text, kept exactly as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct UserDetails(AttributeValue);

impl UserDetails {
    /// Reads a JSON object.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidDetails> {
        let value = AttributeValue::parse(text).map_err(|error| match error {
            InvalidValue::Json(error) => InvalidDetails::Json(error),
            InvalidValue::TooLong(_limit) => InvalidDetails::TooLong,
        })?;
        if value.is_object() {
            Ok(Self(value))
        } else {
            Err(InvalidDetails::NotAnObject)
        }
    }

    /// The compact JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.as_json()
    }
}

impl<'de> Deserialize<'de> for UserDetails {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let raw = Box::<RawValue>::deserialize(deserializer)?;
            Self::parse(raw.get().as_bytes()).map_err(de::Error::custom)
        } else {
            AttributeValue::deserialize(deserializer).map(Self)
        }
    }
}

impl PartialSchema for UserDetails {
    fn schema() -> RefOr<Schema> {
        map_schema(
            "What is known of the user: an object of any JSON values, at most 64 KiB.",
            serde_json::json!({"name": "Ana", "locale": "fr"}),
        )
    }
}

impl ToSchema for UserDetails {}

/// What is known of a user, and how long it counts as fresh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// What is known.
    pub details: UserDetails,
    /// How long it was to be fresh, in whole seconds.
    pub ttl: Duration,
    /// The first moment at which it is not fresh any more.
    pub expires_at: Timestamp,
}

/// What became of a profile: `loaded`; `not_found`, when there is no such user and nothing is kept any more; or `failed`,
/// when nobody knows and what was kept still is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefreshOutcome {
    /// It was loaded.
    Loaded,
    /// There is no such user.
    NotFound,
    /// The loader or the store did not tell in time.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_an_object_of_bounded_size_kept_as_written() {
        let read = |text: &str| UserDetails::parse(text.as_bytes());
        let details = read(r#" {"n": 9007199254740993, "t": "\u0000é"} "#).unwrap();
        assert_eq!(details.as_json(), r#"{"n":9007199254740993,"t":"\u0000é"}"#);
        for text in ["null", "[]", "\"user\"", "1"] {
            assert_eq!(read(text), Err(InvalidDetails::NotAnObject), "{text}");
        }
        for text in ["", "{", r#"{"a":1,"a":2}"#] {
            assert!(matches!(read(text), Err(InvalidDetails::Json(_))), "{text}");
        }
        let sized = |bytes: usize| format!("{{\"x\":\"{}\"}}", "x".repeat(bytes - 8));
        assert!(read(&sized(MAX_DETAILS_BYTES)).is_ok());
        assert_eq!(
            read(&sized(MAX_DETAILS_BYTES + 1)),
            Err(InvalidDetails::TooLong)
        );
    }
}
