//! The credentials of a service, as a request carries them: HTTP Basic (RFC 7617) or `X-Service-Id` with
//! `X-Service-Secret`. Other schemes of `Authorization` belong to somebody else and are passed over.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::gateway::auth::{Credentials, Presented};
use crate::model::id::ServiceId;

const SERVICE_ID: HeaderName = HeaderName::from_static("x-service-id");
const SERVICE_SECRET: HeaderName = HeaderName::from_static("x-service-secret");

/// Something was presented that no service can have meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Malformed;

/// Reads the credentials of a request, if it carries any. Both kinds at once must agree.
pub(super) fn presented(headers: &HeaderMap) -> Presented {
    found(read(headers))
}

/// Whether a request says that it is one of the built-in service to the API; only the secret beside that proves it.
pub fn is_of_admin<B>(request: &Request<B>) -> bool {
    let names_admin = |headers| match presented(headers) {
        Presented::Credentials(credentials) => credentials.service_id == ServiceId::admin(),
        Presented::Nothing | Presented::Malformed => false,
    };
    request.uri().path().starts_with("/v1/") && names_admin(request.headers())
}

/// Reads `X-Service-Id` and `X-Service-Secret` alone, where `Authorization` is somebody else's.
pub(in crate::http) fn presented_pair(headers: &HeaderMap) -> Presented {
    found(service_headers(headers))
}

fn found(read: Result<Option<Credentials>, Malformed>) -> Presented {
    match read {
        Ok(None) => Presented::Nothing,
        Ok(Some(credentials)) => Presented::Credentials(credentials),
        Err(Malformed) => Presented::Malformed,
    }
}

fn read(headers: &HeaderMap) -> Result<Option<Credentials>, Malformed> {
    match (basic(headers)?, service_headers(headers)?) {
        (Some(basic), Some(pair)) if basic != pair => Err(Malformed),
        (basic, pair) => Ok(basic.or(pair)),
    }
}

fn credentials(service_id: &[u8], secret: &[u8]) -> Result<Credentials, Malformed> {
    let service_id = std::str::from_utf8(service_id)
        .ok()
        .and_then(|text| ServiceId::parse(text).ok())
        .ok_or(Malformed)?;
    Ok(Credentials {
        service_id,
        secret: Zeroizing::new(secret.to_vec()),
    })
}

fn basic(headers: &HeaderMap) -> Result<Option<Credentials>, Malformed> {
    let Some(value) = single(headers, &header::AUTHORIZATION)? else {
        return Ok(None);
    };
    let (scheme, encoded) =
        split_at_byte(value.as_bytes(), b' ').unwrap_or((value.as_bytes(), b""));
    if !scheme.eq_ignore_ascii_case(b"Basic") {
        return Ok(None);
    }
    let decoded = STANDARD.decode(encoded.trim_ascii());
    let decoded = Zeroizing::new(decoded.map_err(|_not_base64| Malformed)?);
    let (service_id, secret) = split_at_byte(&decoded, b':').ok_or(Malformed)?;
    credentials(service_id, secret).map(Some)
}

fn service_headers(headers: &HeaderMap) -> Result<Option<Credentials>, Malformed> {
    match (
        single(headers, &SERVICE_ID)?,
        single(headers, &SERVICE_SECRET)?,
    ) {
        (None, None) => Ok(None),
        (Some(id), Some(secret)) => credentials(id.as_bytes(), secret.as_bytes()).map(Some),
        (Some(_), None) | (None, Some(_)) => Err(Malformed),
    }
}

fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Malformed> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Malformed);
    }
    Ok(first)
}

fn split_at_byte(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let mut parts = bytes.splitn(2, |byte| *byte == separator);
    Some((parts.next()?, parts.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[(&'static str, &str)]) -> Result<Option<Credentials>, Malformed> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        super::read(&headers)
    }

    fn basic_of(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn both_kinds_are_read() {
        let wanted = credentials(b"shop", b"s3:cret").unwrap();
        assert_eq!(
            read(&[("authorization", &basic_of("shop:s3:cret"))]),
            Ok(Some(wanted.clone()))
        );
        assert_eq!(
            read(&[
                (
                    "authorization",
                    &basic_of("shop:s3:cret").replacen('B', "b", 1)
                ),
                ("x-service-id", "shop"),
                ("x-service-secret", "s3:cret"),
            ]),
            Ok(Some(wanted))
        );
    }

    #[test]
    fn nothing_for_services_is_nothing() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("authorization", "Bearer sgw_x")]), Ok(None));
    }

    #[test]
    fn what_cannot_be_meant_is_malformed() {
        let good = basic_of("shop:secret");
        let id = ("x-service-id", "shop");
        let secret = ("x-service-secret", "secret");
        for lines in [
            vec![("authorization", "Basic")],
            vec![("authorization", "Basic ???")],
            vec![("authorization", basic_of("no colon").as_str())],
            vec![("authorization", basic_of(":secret").as_str())],
            vec![("authorization", basic_of("sh op:secret").as_str())],
            vec![("authorization", good.as_str()), ("authorization", &good)],
            vec![
                ("authorization", basic_of("other:secret").as_str()),
                id,
                secret,
            ],
            vec![
                ("authorization", basic_of("shop:other").as_str()),
                id,
                secret,
            ],
            vec![("authorization", good.as_str()), id],
            vec![id],
            vec![secret],
            vec![id, id, secret],
            vec![id, secret, secret],
        ] {
            assert_eq!(read(&lines), Err(Malformed), "{lines:?}");
        }
    }

    #[test]
    fn the_secret_does_not_print() {
        let printed = format!("{:?}", credentials(b"shop", b"hush").unwrap());
        assert!(
            printed.contains("shop") && !printed.contains("hush"),
            "{printed}"
        );
    }
}
