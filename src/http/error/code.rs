//! The stable codes of errors.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::model::words::growing_words;

/// Makes the enum and its texts from one table, so that neither can miss a row.
macro_rules! codes {
    ($($name:ident = $text:literal),+ $(,)?) => {
        /// What kind of problem a request met.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = concat!("`", $text, "`")] $name),+ }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

codes! {
    InvalidRequest = "invalid_request",
    IdempotencyNotPossible = "idempotency_not_possible",
    RouteNotFound = "route_not_found",
    MethodNotAllowed = "method_not_allowed",
    PayloadTooLarge = "payload_too_large",
    UriTooLong = "uri_too_long",
    HeadersTooLarge = "headers_too_large",
    RequestTimeout = "request_timeout",
    UnsupportedMediaType = "unsupported_media_type",
    Overloaded = "overloaded",
    Unauthenticated = "unauthenticated",
    PermissionDenied = "permission_denied",
    LoginBanned = "login_banned",
    SessionNotFound = "session_not_found",
    AttributeNotFound = "attribute_not_found",
    ServiceNotFound = "service_not_found",
    TokenNotFound = "token_not_found",
    BanNotFound = "ban_not_found",
    ProfileNotFound = "profile_not_found",
    ServiceExists = "service_exists",
    ServiceBuiltIn = "service_built_in",
    TokenInUse = "token_in_use",
    SessionLimitReached = "session_limit_reached",
    BackupNotPossible = "backup_not_possible",
    LoaderNotConfigured = "loader_not_configured",
    AttributeNotANumber = "attribute_not_a_number",
    SessionEnded = "session_ended",
    CursorExpired = "cursor_expired",
    VersionConflict = "version_conflict",
    IdempotencyKeyReused = "idempotency_key_reused",
    IdempotencyKeyUnreadable = "idempotency_key_unreadable",
    QuotaExceeded = "quota_exceeded",
    RateLimited = "rate_limited",
    StoreUnavailable = "store_unavailable",
    LoaderUnavailable = "loader_unavailable",
    Busy = "busy",
    Internal = "internal",
}

growing_words!(Code, "The kind of problem, for programs; stable.");

impl Code {
    /// Its words: `session_not_found` is "Session not found".
    pub(super) fn title(self) -> String {
        let words = self.as_str().replace('_', " ");
        let mut letters = words.chars();
        letters.next().map_or_else(String::new, |first| {
            first.to_uppercase().chain(letters).collect()
        })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
