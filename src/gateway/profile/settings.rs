//! What an operator sets for profiles: who loads them, and how long they count.

use std::path::PathBuf;
use std::time::Duration;

use axum::http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use thiserror::Error;
use url::{Position, Url};

use super::signature::SigningKey;
use crate::model::id::LoginId;

/// What stands in the URL of the loader where the login id goes.
const PLACE: &str = "{login_id}";

/// What stands there while the URL is read: no part of a URL writes it otherwise.
const MARK: &str = "-the-login-id-goes-here-";

/// All but the unreserved characters of RFC 3986, section 2.3: what is left neither ends a segment nor starts a query.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How profiles are loaded and kept.
#[derive(Debug, Clone, Default)]
pub struct ProfileSettings {
    /// Who is asked for a profile that is not there; without it nobody is.
    pub loader: Option<LoaderSettings>,
}

/// Who is asked for profiles.
#[derive(Debug, Clone)]
pub struct LoaderSettings {
    /// Where (`SGW_PROFILE_LOADER_URL`).
    pub url: LoaderUrl,
    /// What requests are signed with (`SGW_PROFILE_LOADER_SECRET`).
    pub key: Option<SigningKey>,
    /// The certificates (PEM) that it must be signed by; without it, those the machine trusts.
    pub ca_file: Option<PathBuf>,
    /// How long a whole answer may take (`SGW_PROFILE_LOADER_TIMEOUT`).
    pub timeout: Duration,
    /// How long what it answers is fresh, unless a request says otherwise (`SGW_PROFILE_TTL`).
    pub ttl: Duration,
    /// How long a profile is kept after that, for when it cannot be loaded (`SGW_PROFILE_STALE_FOR`).
    pub stale_for: Duration,
}

/// The text is no URL of a loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "must be a URL like https://users.internal/v1/users/{{login_id}}: http or https, {{login_id}} at most once and in \
     path or query only, without user, password and fragment"
)]
pub struct InvalidLoaderUrl;

/// Where profiles are loaded. Whatever the login id is, only its own place in the path or the query varies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderUrl {
    origin: String,
    before: String,
    after: String,
}

impl LoaderUrl {
    /// Reads a URL with `{login_id}` in it; without that, the login id goes into a query parameter `login_id`. An empty
    /// text is none.
    pub fn parse(text: &str) -> Result<Option<Self>, InvalidLoaderUrl> {
        if text.is_empty() {
            return Ok(None);
        }
        let mut url = Url::parse(&text.replace(PLACE, MARK)).map_err(|_parse| InvalidLoaderUrl)?;
        if !text.contains(PLACE) {
            url.query_pairs_mut().append_pair("login_id", MARK);
        }
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        let is_bare =
            url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let (before, after) = url[Position::BeforePath..Position::AfterQuery]
            .split_once(MARK)
            .ok_or(InvalidLoaderUrl)?;
        let read = Self {
            origin: url.origin().ascii_serialization(),
            before: before.to_owned(),
            after: after.to_owned(),
        };
        let is_marked_once = url.as_str().matches(MARK).count() == 1;
        if is_web && is_bare && is_marked_once && read.at("user").is_ok() {
            Ok(Some(read))
        } else {
            Err(InvalidLoaderUrl)
        }
    }

    pub(super) fn of(&self, login_id: &LoginId) -> Result<Uri, axum::http::uri::InvalidUri> {
        self.at(&utf8_percent_encode(login_id.as_str(), ENCODED).to_string())
    }

    fn at(&self, place: &str) -> Result<Uri, axum::http::uri::InvalidUri> {
        let Self {
            origin,
            before,
            after,
        } = self;
        format!("{origin}{before}{place}{after}").parse()
    }

    /// Whether the loader must prove who it is.
    pub(super) fn is_secure(&self) -> bool {
        self.origin.starts_with("https:")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> LoaderUrl {
        LoaderUrl::parse(text).unwrap().unwrap()
    }

    #[test]
    fn a_login_id_changes_neither_host_nor_path_nor_query() {
        for (url, login_id, wanted) in [
            ("http://h/u/{login_id}", "ana", "http://h/u/ana"),
            ("http://h/u/{login_id}", "a/../b", "http://h/u/a%2F..%2Fb"),
            ("http://h/u/{login_id}", "@evil", "http://h/u/%40evil"),
            (
                "http://h/u/{login_id}",
                "x?y#z&a=b",
                "http://h/u/x%3Fy%23z%26a%3Db",
            ),
            (
                "http://h/u/{login_id}",
                "{login_id}",
                "http://h/u/%7Blogin_id%7D",
            ),
            (
                "http://h/u/{login_id}/it?v=1",
                "é %2e",
                "http://h/u/%C3%A9%20%252e/it?v=1",
            ),
            (
                "https://H:8443/?u={login_id}&v=1",
                "a&v=2",
                "https://h:8443/?u=a%26v%3D2&v=1",
            ),
            ("http://[::1]:80/u", "a b", "http://[::1]/u?login_id=a%20b"),
            ("https://h/u?v=1", "\\", "https://h/u?v=1&login_id=%5C"),
        ] {
            let login_id = LoginId::parse(login_id).unwrap();
            assert_eq!(read(url).of(&login_id).unwrap(), wanted);
        }
    }

    #[test]
    fn what_is_no_place_for_a_login_id_is_refused() {
        assert_eq!(LoaderUrl::parse(""), Ok(None));
        for text in [
            "users.internal/{login_id}",
            "ftp://h/{login_id}",
            "http://{login_id}.h/",
            "http://{login_id}/",
            "http://h:{login_id}/",
            "http://{login_id}@h/",
            "http://user:secret@h/{login_id}",
            "http://h/#{login_id}",
            "http://h/{login_id}#there",
            "http://h/{login_id}?u={login_id}",
            "{login_id}",
            "data:{login_id}",
        ] {
            assert_eq!(LoaderUrl::parse(text), Err(InvalidLoaderUrl), "{text}");
        }
    }
}
