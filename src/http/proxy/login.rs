//! Where a browser is sent to log in, and whether it is one that can be sent.

use axum::http::{HeaderMap, HeaderName, Method, header};
use url::{ParseError, Url, form_urlencoded};

use super::condition::LOGIN_URL;

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");
/// The client's method, as nginx is set to tell it.
pub(super) const ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
pub(super) const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
pub(super) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// The parameter by which the login page learns where the user wanted to go.
const RETURN_TO: &str = "return_to";

/// The client's request, as far as the proxy tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Original {
    pub(super) method: Option<Method>,
    pub(super) url: Option<Url>,
}

impl Original {
    /// Reads the headers that Traefik and Caddy send; only those of a proxy of ours may be believed.
    pub(super) fn forwarded(headers: &HeaderMap) -> Self {
        let method = single(headers, &FORWARDED_METHOD);
        Self {
            method: method.and_then(|text| Method::from_bytes(text.as_bytes()).ok()),
            url: forwarded_url(headers),
        }
    }
}

fn forwarded_url(headers: &HeaderMap) -> Option<Url> {
    let scheme = single(headers, &FORWARDED_PROTO)?;
    let host = single(headers, &FORWARDED_HOST)?;
    let uri = single(headers, &FORWARDED_URI)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    let sound =
        matches!(scheme, "http" | "https") && host.bytes().all(plain) && uri.starts_with('/');
    let url = sound.then(|| Url::parse(&format!("{scheme}://{host}{uri}")))?;
    url.ok()
}

/// The value of a header that stands once.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok();
    value.filter(|_value| values.next().is_none())
}

/// Whether a person waits for a page: a script gets 401 and decides itself.
pub(super) fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    let accepts_page = || {
        let accepted = headers.get_all(header::ACCEPT).iter();
        let accepted = accepted.filter_map(|value| value.to_str().ok());
        let mut kinds = accepted.flat_map(|value| value.split(','));
        kinds.any(|kind| {
            let kind = kind.split(';').next().unwrap_or_default();
            kind.trim().eq_ignore_ascii_case("text/html")
        })
    };
    let navigates = match headers.get(FETCH_MODE) {
        Some(mode) => mode == "navigate",
        None => accepts_page(),
    };
    *method == Method::GET && navigates && !headers.contains_key(REQUESTED_WITH)
}

/// The login page that the query names, if it names one.
pub(super) fn page(query: &str) -> Option<Result<Url, ParseError>> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, page) = pairs.find(|(name, _)| name == LOGIN_URL)?;
    Some(Url::parse(&page))
}

/// The page with the place to return to.
pub(super) fn with_return(mut page: Url, original: Option<&Url>) -> Url {
    if let Some(original) = original {
        page.query_pairs_mut()
            .append_pair(RETURN_TO, original.as_str());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_a_page_that_a_person_waits_for_is_a_navigation() {
        let html = ("accept", "application/xml;q=0.9, Text/HTML;q=0.8");
        for (method, lines, is_one) in [
            (Method::GET, vec![html], true),
            (Method::GET, vec![("sec-fetch-mode", "navigate")], true),
            (Method::GET, vec![("sec-fetch-mode", "cors"), html], false),
            (
                Method::GET,
                vec![html, ("x-requested-with", "XMLHttpRequest")],
                false,
            ),
            (Method::GET, vec![("accept", "application/json")], false),
            (Method::GET, vec![("accept", "*/*")], false),
            (Method::GET, vec![], false),
            (Method::HEAD, vec![html], false),
            (Method::POST, vec![("sec-fetch-mode", "navigate")], false),
        ] {
            let found = is_navigation(&method, &headers(&lines));
            assert_eq!(found, is_one, "{method} {lines:?}");
        }
    }

    #[test]
    fn the_original_url_is_put_together_or_not_known() {
        let of = |proto, host, uri| {
            let lines = headers(&[
                ("x-forwarded-proto", proto),
                ("x-forwarded-host", host),
                ("x-forwarded-uri", uri),
            ]);
            let original = Original::forwarded(&lines);
            original.url.map(String::from)
        };
        assert_eq!(
            of("https", "app.example.com:8443", "/a?b=c%20d").as_deref(),
            Some("https://app.example.com:8443/a?b=c%20d")
        );
        assert_eq!(
            of("http", "[::1]:80", "//x").as_deref(),
            Some("http://[::1]//x")
        );
        for (proto, host, uri) in [
            ("ftp", "a", "/"),
            ("https", "a@b", "/"),
            ("https", "a/b", "/"),
            ("https", "a, b", "/"),
            ("https", "", "/"),
            ("https", "a", ".evil.net/"),
        ] {
            assert_eq!(of(proto, host, uri), None, "{proto} {host} {uri}");
        }
    }

    #[test]
    fn the_page_keeps_its_query_and_learns_the_way_back() {
        let page = page("require=a:b&login_url=https%3A%2F%2Flogin.example.com%2Fin%3Fx%3D1%23top");
        let original = Url::parse("https://app/?a=b&c=d").unwrap();
        assert_eq!(
            with_return(page.unwrap().unwrap(), Some(&original)).as_str(),
            "https://login.example.com/in?x=1&return_to=https%3A%2F%2Fapp%2F%3Fa%3Db%26c%3Dd#top"
        );
    }
}
