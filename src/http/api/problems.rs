//! What the document says of refusals that are an operation's own; what every operation can answer, its guard adds.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{RefOr, Response};

use crate::http::error::problem_response;

/// A set of refusals, each with its status.
macro_rules! problems {
    ($($name:ident: $($status:literal $text:expr),+;)+) => {$(
        pub(super) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                [$(($status.to_owned(), problem_response($text).into())),+].into()
            }
        }
    )+};
}

/// What a refusal is called that several operations share, where its status does not say it.
pub(crate) fn shared_name(description: &str) -> Option<&'static str> {
    let names = [
        (NEVER_KNOWN, "SessionNotFound"),
        (ENDED, "SessionEnded"),
        (STALE, "VersionConflict"),
        (NO_SERVICE, "ServiceNotFound"),
        (BUILT_IN, "ServiceBuiltIn"),
        (NOT_BANNED, "BanNotFound"),
    ];
    let mut names = names.into_iter();
    names.find_map(|(text, name)| (text == description).then_some(name))
}

const NEVER_KNOWN: &str = "No such session was ever known, or its tombstone is gone.";
const ENDED: &str = "The session has ended; `ended` tells when, why and by whom.";
const STALE: &str = "The session has another version than `If-Match` names; nothing was changed.";
const NO_SERVICE: &str = "No service has this id.";
const BUILT_IN: &str = "The service is built in.";
const NOT_BANNED: &str = "It was not banned.";

problems! {
    ReadProblems: "404" NEVER_KNOWN, "410" ENDED;
    WriteProblems: "404" NEVER_KNOWN, "410" ENDED,
        "412" STALE;
    UnknownSession: "404" NEVER_KNOWN;
    StaleEnd: "412" "The session has another version than `If-Match` names; it lives on.";
    NotOpened: "403" "`login_banned`, or the service lacks the permission.",
        "409" "`token_in_use` or `session_limit_reached`; with `count` where a login has more than 200 sessions, so that no \
            limit but `evict_oldest` per login can make room.";
    NotANumber: "409" "It is not a 64-bit integer, or the sum would not be one.";
    NotRotated: "404" "`token_not_found`: no session has this token.",
        "410" "`session_ended`, perhaps by this very call.";
    NoBan: "404" "It is not banned.";
    NotBanned: "404" NOT_BANNED;
    ProfileUnknown: "404" "Nothing is kept, and the loader, if there is one, knows no such user.";
    NoProfile: "404" "None was kept.";
    NoBackup: "403" "The service lacks the permission `*`.",
        "409" "`backup_not_possible`: the store has backups of its own.";
    NoLoader: "409" "No loader is configured.";
    NotItself: "403" "It is another service, and the caller lacks `service.read`.";
    UnknownService: "404" NO_SERVICE;
    ServiceExists: "409" "A service with this id exists.";
    BuiltIn: "409" BUILT_IN;
    SecretConfigured: "409" "The secret of the built-in service is configured.";
    Stranger: "401" "Neither an address that may ask nor credentials of a service with `service.read`.";
    PlaceExpired: "410" "`cursor_expired`: what followed this place is no longer kept.";
}
