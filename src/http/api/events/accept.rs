//! Which form of the feed a request wants, by its `Accept` (RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, HeaderValue, header};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Page,
    Stream,
}

/// How much something is wanted: 0 to 1,000 thousandths.
type Weight = u16;

impl Form {
    /// A stream has no end, so it is for those who name it, and do not want JSON more. What cannot be read counts as
    /// nothing.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).iter();
        let texts = values.filter_map(|value: &HeaderValue| value.to_str().ok());
        let ranges: Vec<(String, Weight)> = texts
            .flat_map(|text| text.split(','))
            .filter_map(range)
            .collect();
        let weight = |name: &str| {
            let named = ranges.iter().find(|(range, _)| range == name);
            named.map(|(_, weight)| *weight)
        };
        let Some(stream) = weight("text/event-stream").filter(|weight| *weight > 0) else {
            return Self::Page;
        };
        let named = weight("application/json");
        let any = weight("application/*").or_else(|| weight("*/*"));
        match (named, any) {
            (Some(page), _) if page >= stream => Self::Page,
            (None, Some(page)) if page > stream => Self::Page,
            _ => Self::Stream,
        }
    }
}

/// A media range and its weight. Parameters other than `q` make no difference here.
fn range(text: &str) -> Option<(String, Weight)> {
    let mut pieces = text.split(';').map(str::trim);
    let name = pieces.next()?.to_ascii_lowercase();
    let mut weight = 1_000;
    for piece in pieces {
        if let Some(("q" | "Q", value)) = piece.split_once('=') {
            weight = thousandths(value)?;
        }
    }
    Some((name, weight))
}

/// `0`, `0.5`, `1.000`: at most three digits after the point.
fn thousandths(text: &str) -> Option<Weight> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    if rest.len() > 3 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let rest: Weight = format!("{rest:0<3}").parse().ok()?;
    match (whole, rest) {
        ("0", rest) => Some(rest),
        ("1", 0) => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accepts: &[&'static str], form: Form) {
        let values = accepts
            .iter()
            .map(|text| (header::ACCEPT, HeaderValue::from_static(text)));
        assert_eq!(
            Form::wanted(&values.collect::<HeaderMap>()),
            form,
            "{accepts:?}"
        );
    }

    #[test]
    fn a_stream_is_for_those_who_name_it() {
        for accept in [
            "text/event-stream",
            "Text/Event-Stream",
            "text/event-stream;q=0.001",
            "text/event-stream; charset=utf-8; q=0.5, text/html",
            "text/event-stream, */*",
            "application/json;q=0.8, text/event-stream",
            "application/json;q=0.8, text/event-stream;q=0.9",
            "application/json;q=0, text/event-stream;q=0.1, */*",
            "application/json;q=2, text/event-stream;q=0.1",
        ] {
            check(&[accept], Form::Stream);
        }
    }

    #[test]
    fn anybody_else_gets_json() {
        check(&[], Form::Page);
        for accept in [
            "",
            "*/*",
            "text/*",
            "application/json",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "text/event-stream;q=0",
            "text/event-stream;q=x",
            "application/json, text/event-stream",
            "text/event-stream, application/json",
            "text/event-stream;q=0.5, */*;q=0.6",
            "text/event-stream;q=0.5, application/*",
            "text/event-streams",
        ] {
            check(&[accept], Form::Page);
        }
    }

    #[test]
    fn several_headers_are_one() {
        check(&["text/html", "text/event-stream"], Form::Stream);
        check(&["text/event-stream", "application/json"], Form::Page);
    }
}
