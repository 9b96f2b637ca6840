//! Reads the user's token off a request. Where nothing or two different things stand, no store is asked.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::settings::TokenCookie;
use crate::model::forward_auth::Denial;
use crate::model::token::PresentedToken;

const SESSION_TOKEN: HeaderName = HeaderName::from_static("x-session-token");

/// The one token of a request; the same token in several places is one.
pub(super) fn read(
    headers: &HeaderMap,
    cookie: Option<&TokenCookie>,
) -> Result<PresentedToken, Denial> {
    let values = |name| headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let bearer = values(header::AUTHORIZATION).filter_map(bearer);
    let plain = values(SESSION_TOKEN);
    let cookies = cookie
        .into_iter()
        .flat_map(|cookie| values(header::COOKIE).flat_map(|header| cookie.values(header)));
    let all = bearer.chain(plain).chain(cookies);
    let mut tokens = all
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty());
    let token = tokens.next().ok_or(Denial::TokenMissing)?;
    if tokens.any(|other| other != token) {
        return Err(Denial::TokenAmbiguous);
    }
    let text = str::from_utf8(token).ok();
    text.and_then(PresentedToken::parse)
        .ok_or(Denial::TokenMalformed)
}

/// The token of a `Bearer` credential (RFC 6750, section 2.1); other schemes are not for us.
fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "one-0123456789abcdef0123456789abcdef";
    const TWO: &str = "two-0123456789abcdef0123456789abcdef";

    fn token(lines: &[(&'static str, String)]) -> Result<PresentedToken, Denial> {
        let lines = lines.iter().map(|(name, value)| {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            (HeaderName::from_static(name), value)
        });
        let mut headers = HeaderMap::new();
        lines.for_each(|(name, value)| {
            headers.append(name, value);
        });
        read(&headers, TokenCookie::parse("sid").unwrap().as_ref())
    }

    fn bearer_line(token: &str) -> (&'static str, String) {
        ("authorization", format!("Bearer {token}"))
    }

    fn plain(token: &str) -> (&'static str, String) {
        ("x-session-token", token.to_owned())
    }

    fn cookie(token: &str) -> (&'static str, String) {
        ("cookie", format!("lang=\u{e4}; sid={token}; sid2=x"))
    }

    #[test]
    fn a_token_is_read_from_each_place_and_equal_ones_are_one() {
        let one = PresentedToken::parse(ONE).unwrap();
        for lines in [
            vec![bearer_line(ONE)],
            vec![("authorization", format!("bEARER   {ONE}"))],
            vec![plain(ONE)],
            vec![cookie(ONE)],
            vec![
                bearer_line(ONE),
                plain(ONE),
                plain(ONE),
                cookie(ONE),
                cookie(ONE),
            ],
            vec![("authorization", "Basic dTpw".to_owned()), plain(ONE)],
            vec![bearer_line(""), plain(""), cookie(ONE)],
        ] {
            assert_eq!(token(&lines), Ok(one), "{lines:?}");
        }
    }

    #[test]
    fn different_tokens_are_ambiguous_wherever_they_stand() {
        for lines in [
            vec![bearer_line(ONE), bearer_line(TWO)],
            vec![bearer_line(ONE), plain(TWO)],
            vec![plain(ONE), plain(TWO)],
            vec![plain(ONE), cookie(TWO)],
            vec![cookie(ONE), cookie(TWO)],
            vec![cookie(&format!("{ONE}; sid={TWO}"))],
            vec![plain(ONE), cookie("junk")],
        ] {
            assert_eq!(token(&lines), Err(Denial::TokenAmbiguous), "{lines:?}");
        }
    }

    #[test]
    fn nothing_is_missing_and_junk_is_malformed() {
        for lines in [
            vec![],
            vec![("authorization", "Basic dTpw".to_owned())],
            vec![("authorization", "Bearer".to_owned())],
            vec![("authorization", format!("Bearer{ONE}"))],
            vec![("cookie", format!("SID={ONE}"))],
            vec![plain(" "), cookie("")],
        ] {
            assert_eq!(token(&lines), Err(Denial::TokenMissing), "{lines:?}");
        }
        for junk in [
            "short",
            "sgw_x",
            "ä-0123456789abcdef0123456789abcdef",
            "a b 0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(token(&[plain(junk)]), Err(Denial::TokenMalformed), "{junk}");
        }
    }
}
