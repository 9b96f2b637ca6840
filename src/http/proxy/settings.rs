//! What an operator sets for reverse proxies. Everything is read and checked at the start, so that a request only
//! compares.

use url::{Origin, Url};

use super::identity::Exports;
use super::setting_text::{InvalidProxySetting, parts};
use crate::gateway::forward_auth::StoreDeadline;
use crate::model::network::Networks;

/// What reverse proxies may do, and what they are told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProxySettings {
    /// The cookie that carries the user's token (`SGW_TOKEN_COOKIE`).
    pub token_cookie: Option<TokenCookie>,
    /// Whether tokens that callers brought are read (`SGW_EXTERNAL_TOKENS`).
    pub external_tokens: ExternalTokens,
    /// Who needs no credentials to ask (`SGW_TRUSTED_PROXIES`).
    pub trusted: Networks,
    /// The attributes that are told (`SGW_EXPORT_ATTRIBUTES`).
    pub exports: Exports,
    /// Where users may be sent to log in (`SGW_LOGIN_URL_ALLOW`).
    pub login_origins: LoginOrigins,
    /// How long a decision waits for the store (`SGW_REDIS_TIMEOUT`).
    pub store_deadline: StoreDeadline,
}

/// Whether what is not of the gateway's own form may be a token of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExternalTokens {
    /// It may: a caller may have brought it.
    #[default]
    On,
    /// It is somebody else's.
    Off,
}

impl ExternalTokens {
    /// Reads `on` or `off`.
    pub fn parse(text: &str) -> Result<Self, InvalidProxySetting> {
        match text {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(InvalidProxySetting::ExternalTokens),
        }
    }
}

/// The name of a cookie (RFC 6265, section 4.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenCookie(Box<[u8]>);

impl TokenCookie {
    /// Reads a name; nothing is no cookie.
    pub fn parse(text: &str) -> Result<Option<Self>, InvalidProxySetting> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if !text.bytes().all(allowed) {
            return Err(InvalidProxySetting::Cookie);
        }
        Ok((!text.is_empty()).then(|| Self(text.as_bytes().into())))
    }

    /// The values that a `Cookie` header gives it, without the quotes that some servers put around them.
    pub(super) fn values<'a>(&'a self, header: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        header.split(|byte| *byte == b';').filter_map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = halves.next()?.trim_ascii();
            let value = halves.next().filter(|_value| name == &*self.0)?;
            Some(without_quotes(value.trim_ascii()))
        })
    }
}

fn without_quotes(value: &[u8]) -> &[u8] {
    let inner = value.strip_prefix(b"\"");
    let inner = inner.and_then(|rest| rest.strip_suffix(b"\""));
    inner.unwrap_or(value)
}

/// Origins (RFC 6454) of login pages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoginOrigins(Vec<Origin>);

impl LoginOrigins {
    /// Reads origins.
    pub fn parse(text: &str) -> Result<Self, InvalidProxySetting> {
        let origins: Option<_> = parts(text).map(bare_origin).collect();
        origins.map(Self).ok_or(InvalidProxySetting::Origin)
    }

    /// Whether a user may be sent there. The origin alone does not tell: `blob:` has that of the page that made it.
    pub(super) fn include(&self, url: &Url) -> bool {
        is_web(url) && self.0.contains(&url.origin())
    }
}

fn bare_origin(text: &str) -> Option<Origin> {
    let url = Url::parse(text).ok()?;
    let origin = url.origin();
    let written = text.strip_suffix('/').unwrap_or(text);
    // What is more than an origin does not print as one; a default port may be written.
    let bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    (is_web(&url) && bare && !written.ends_with('/')).then_some(origin)
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let cookie = TokenCookie::parse("sid").unwrap().unwrap();
        let values = |header: &'static str| -> Vec<_> {
            let values = cookie.values(header.as_bytes());
            values.map(|value| str::from_utf8(value).unwrap()).collect()
        };
        assert_eq!(
            values("a=1; sid=x=y;sid= z ;SID=no; xsid=no;sid=\"q=\" ;sid=\"a;sid=\""),
            ["x=y", "z", "q=", "\"a", "\""]
        );
        assert_eq!(values("sid; =sid;"), [""; 0]);
        assert_eq!(TokenCookie::parse(""), Ok(None));
        for bad in ["a b", "a=b", "a;b", "ä"] {
            assert_eq!(TokenCookie::parse(bad), Err(InvalidProxySetting::Cookie));
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origins =
            LoginOrigins::parse("https://login.example.com,http://localhost:3000/").unwrap();
        for (url, is_one) in [
            ("https://login.example.com/in?x=1", true),
            ("https://LOGIN.example.com:443/", true),
            ("https://login.example.com.evil.net/", false),
            ("https://login.example.com@evil.net/", false),
            ("http://login.example.com/", false),
            ("https://login.example.com:8443/", false),
            ("http://localhost:3000/", true),
            ("javascript:alert(1)", false),
            ("blob:https://login.example.com/in", false),
            ("view-source:https://login.example.com/in", false),
        ] {
            assert_eq!(origins.include(&Url::parse(url).unwrap()), is_one, "{url}");
        }
        for bad in [
            "login.example.com",
            "https://a/b",
            "https://a?b",
            "https://u@a",
            "ftp://a",
            "https://a,",
            "*",
        ] {
            assert_eq!(
                LoginOrigins::parse(bad),
                Err(InvalidProxySetting::Origin),
                "{bad}"
            );
        }
    }
}
