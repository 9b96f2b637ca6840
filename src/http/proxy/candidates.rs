//! Reads off a request what may be the user's token. Where nothing stands, nobody is asked.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::settings::{ExternalTokens, ProxySettings, TokenCookie};
use crate::gateway::forward_auth::Candidate;
use crate::model::forward_auth::{Denial, TokenPlace, TokenPlaces};
use crate::model::token::PresentedToken;

const SESSION_TOKEN: HeaderName = HeaderName::from_static("x-session-token");

/// What may be the token of a request, in the order in which it counts; the same text in several places is one.
pub(super) fn read(
    headers: &HeaderMap,
    places: &TokenPlaces,
    settings: &ProxySettings,
) -> Result<Vec<Candidate>, Denial> {
    let mut known: Vec<&[u8]> = Vec::new();
    let mut candidates = Vec::new();
    for (place, text) in texts(headers, settings.token_cookie.as_ref()) {
        if text.is_empty() || known.contains(&text) || !places.include(place) {
            continue;
        }
        let token = str::from_utf8(text).ok().and_then(PresentedToken::parse);
        let is_own = token.is_some_and(|token| token.session_id.is_some());
        if settings.external_tokens == ExternalTokens::Off && !is_own {
            continue;
        }
        if known.len() == TokenPlace::MAX_TOKENS {
            return Err(Denial::TooManyTokens);
        }
        known.push(text);
        candidates.push(Candidate { place, token });
    }
    if candidates.is_empty() {
        return Err(Denial::TokenMissing);
    }
    Ok(candidates)
}

fn texts<'a>(
    headers: &'a HeaderMap,
    cookie: Option<&'a TokenCookie>,
) -> impl Iterator<Item = (TokenPlace, &'a [u8])> {
    let values = |name| headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let plain = values(SESSION_TOKEN).map(<[u8]>::trim_ascii);
    let bearer = values(header::AUTHORIZATION).filter_map(credential);
    let cookies = cookie
        .into_iter()
        .flat_map(move |cookie| values(header::COOKIE).flat_map(|header| cookie.values(header)));
    let plain = plain.map(|text| (TokenPlace::Header, text));
    let bearer = bearer.map(|text| (TokenPlace::Bearer, text));
    plain
        .chain(bearer)
        .chain(cookies.map(|text| (TokenPlace::Cookie, text)))
}

/// The token behind `Bearer` (RFC 6750, section 2.1) or `DPoP` (RFC 9449, section 7.1); other schemes are not for us.
fn credential(authorization: &[u8]) -> Option<&[u8]> {
    let end = authorization.iter().position(|byte| *byte == b' ')?;
    let (scheme, token) = authorization.split_at_checked(end)?;
    let is_ours = scheme.eq_ignore_ascii_case(b"Bearer") || scheme.eq_ignore_ascii_case(b"DPoP");
    is_ours.then_some(token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "one-0123456789abcdef0123456789abcdef";
    const TWO: &str = "two-0123456789abcdef0123456789abcdef";

    fn candidates(
        lines: &[(&'static str, String)],
        external_tokens: ExternalTokens,
    ) -> Result<Vec<Candidate>, Denial> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(*name, value);
        }
        let settings = ProxySettings {
            token_cookie: TokenCookie::parse("sid").unwrap(),
            external_tokens,
            ..ProxySettings::default()
        };
        read(&headers, &TokenPlaces::default(), &settings)
    }

    fn found(lines: &[(&'static str, String)]) -> Result<Vec<Candidate>, Denial> {
        candidates(lines, ExternalTokens::On)
    }

    fn at(place: TokenPlace, text: &str) -> Candidate {
        let token = PresentedToken::parse(text);
        Candidate { place, token }
    }

    fn bearer(token: &str) -> (&'static str, String) {
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
        let (header, bearing, cookies) =
            (TokenPlace::Header, TokenPlace::Bearer, TokenPlace::Cookie);
        for (lines, place) in [
            (vec![bearer(ONE)], bearing),
            (vec![("authorization", format!("bEARER   {ONE}"))], bearing),
            (vec![("authorization", format!("DPoP {ONE}"))], bearing),
            (vec![plain(ONE)], header),
            (vec![cookie(ONE)], cookies),
            (vec![cookie(&format!("\"{ONE}\""))], cookies),
            (
                vec![bearer(ONE), plain(ONE), cookie(&format!("\"{ONE}\""))],
                header,
            ),
            (
                vec![("authorization", "Basic dTpw".to_owned()), plain(ONE)],
                header,
            ),
            (vec![bearer(""), plain(""), cookie(ONE)], cookies),
        ] {
            assert_eq!(found(&lines), Ok(vec![at(place, ONE)]), "{lines:?}");
        }
    }

    #[test]
    fn different_tokens_stand_in_their_order_and_are_not_too_many() {
        let lines = [
            cookie(&format!("{TWO}; sid=junk")),
            bearer(ONE),
            plain("junk"),
        ];
        assert_eq!(
            found(&lines),
            Ok(vec![
                at(TokenPlace::Header, "junk"),
                at(TokenPlace::Bearer, ONE),
                at(TokenPlace::Cookie, TWO),
            ])
        );
        let numbered = |count: usize| (0..count).map(|n| plain(&n.to_string())).collect();
        let mut eight: Vec<_> = numbered(8);
        eight.push(plain("7"));
        assert_eq!(found(&eight).unwrap().len(), 8);
        let nine: Vec<_> = numbered(9);
        assert_eq!(found(&nine), Err(Denial::TooManyTokens));
    }

    #[test]
    fn only_own_tokens_are_read_if_others_are_off() {
        let own = format!("sgw_{}", "A".repeat(64));
        let lines: Vec<_> = [plain(ONE), bearer("sgw_x"), plain("junk"), cookie(&own)].into();
        let own = at(TokenPlace::Cookie, &own);
        assert_eq!(candidates(&lines, ExternalTokens::Off), Ok(vec![own]));
        let foreign = candidates(&[plain(ONE)], ExternalTokens::Off);
        assert_eq!(foreign, Err(Denial::TokenMissing));
    }

    #[test]
    fn nothing_is_missing_and_junk_is_of_no_form() {
        for lines in [
            vec![],
            vec![("authorization", "Basic dTpw".to_owned())],
            vec![("authorization", "Bearer".to_owned())],
            vec![("authorization", format!("Bearer{ONE}"))],
            vec![("cookie", format!("SID={ONE}"))],
            vec![plain(" "), cookie(""), cookie("\"\"")],
        ] {
            assert_eq!(found(&lines), Err(Denial::TokenMissing), "{lines:?}");
        }
        for junk in [
            "short",
            "sgw_x",
            "ä-0123456789abcdef0123456789abcdef",
            "a b 0123456789abcdef0123456789abcdef",
        ] {
            let candidate = Candidate {
                place: TokenPlace::Header,
                token: None,
            };
            assert_eq!(found(&[plain(junk)]), Ok(vec![candidate]), "{junk}");
        }
    }
}
