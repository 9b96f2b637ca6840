//! Who the user is, as headers. Every header is always there, empty when there is nothing to say, so that one that a
//! client sent cannot survive; and all of them together fit into the smallest buffer of a proxy.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::setting_text::{InvalidProxySetting, parts};
use crate::gateway::forward_auth::Identity;
use crate::model::attribute::AttributeName;
use crate::model::session::Device;

const LOGIN_ID: HeaderName = HeaderName::from_static("x-auth-login-id");
const SESSION_ID: HeaderName = HeaderName::from_static("x-auth-session-id");
const DEVICE: HeaderName = HeaderName::from_static("x-auth-device");
const EXPIRES_AT: HeaderName = HeaderName::from_static("x-auth-expires-at");
const OMITTED: HeaderName = HeaderName::from_static("x-auth-omitted");

const FIXED: [HeaderName; 5] = [LOGIN_ID, SESSION_ID, DEVICE, EXPIRES_AT, OMITTED];

/// Starts the header of every exported attribute.
const ATTRIBUTE_PREFIX: &str = "x-auth-attr-";

/// A longer value, encoded, is left out.
const MAX_VALUE_BYTES: usize = 1024;

/// All lines together, names and separators included: nginx reads a whole head into 4 KiB, and the rest of the answer
/// needs its part.
const MAX_TOTAL_BYTES: usize = 3 * 1024;

/// What the lines of exported attributes may take while they are empty, and all their names in `X-Auth-Omitted`: the
/// rest holds every identity and at least one value.
const MAX_NAMES_BYTES: usize = 1024;

/// Bytes of a header line beside its name and value: `: ` and the line end.
const LINE_BYTES: usize = 4;

/// All but visible ASCII, and `%` itself.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// The attributes that proxies are told, with the names of their headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exports {
    attributes: Vec<(AttributeName, HeaderName)>,
    room_for_values: usize,
}

impl Default for Exports {
    fn default() -> Self {
        Self::of(Vec::new())
    }
}

impl Exports {
    /// Reads names of attributes; each makes a header of its own.
    pub fn parse(text: &str) -> Result<Self, InvalidProxySetting> {
        let mut attributes: Vec<(AttributeName, HeaderName)> = Vec::new();
        for name in parts(text) {
            let header = header_of(name)?;
            if attributes.iter().any(|(_, known)| *known == header) {
                return Err(InvalidProxySetting::Collision);
            }
            let name = AttributeName::parse(name);
            let name = name.map_err(|_invalid| InvalidProxySetting::AttributeName)?;
            attributes.push((name, header));
        }
        if names_bytes(&attributes) > MAX_NAMES_BYTES {
            return Err(InvalidProxySetting::TooManyNames);
        }
        Ok(Self::of(attributes))
    }

    fn of(attributes: Vec<(AttributeName, HeaderName)>) -> Self {
        let fixed: usize = FIXED.iter().map(line_bytes).sum();
        let taken = fixed + names_bytes(&attributes);
        Self {
            attributes,
            room_for_values: MAX_TOTAL_BYTES.saturating_sub(taken),
        }
    }

    /// All of them, with nothing in them.
    pub(super) fn of_nobody(&self) -> HeaderMap {
        let attributes = self.attributes.iter().map(|(_, header)| header.clone());
        let names = FIXED.into_iter().chain(attributes);
        names
            .map(|name| (name, HeaderValue::from_static("")))
            .collect()
    }

    pub(super) fn headers(&self, identity: &Identity) -> HeaderMap {
        let session = identity.session();
        let mut lines = Lines {
            headers: HeaderMap::with_capacity(2 * (FIXED.len() + self.attributes.len())),
            room: self.room_for_values,
            omitted: String::new(),
        };
        let device = session.device.as_ref().map_or("", Device::as_str);
        lines.add(LOGIN_ID, "login_id", session.login_id.as_str());
        lines.add(SESSION_ID, "session_id", &session.session_id.to_string());
        lines.add(DEVICE, "device", device);
        lines.add(EXPIRES_AT, "expires_at", &identity.expires_at().to_string());
        for (name, header) in &self.attributes {
            let value = session.attributes.get(name);
            let text = value.map_or(Cow::Borrowed(""), |value| value.to_text());
            lines.add(header.clone(), name.as_str(), &text);
        }
        lines.finish()
    }
}

fn header_of(attribute: &str) -> Result<HeaderName, InvalidProxySetting> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if attribute.is_empty() || !attribute.bytes().all(allowed) {
        return Err(InvalidProxySetting::AttributeName);
    }
    let name = format!("{ATTRIBUTE_PREFIX}{}", attribute.replace(['_', '.'], "-"));
    HeaderName::try_from(name).map_err(|_invalid| InvalidProxySetting::AttributeName)
}

fn line_bytes(name: &HeaderName) -> usize {
    name.as_str().len() + LINE_BYTES
}

fn names_bytes(attributes: &[(AttributeName, HeaderName)]) -> usize {
    let bytes = |(name, header): &(AttributeName, HeaderName)| {
        line_bytes(header) + name.as_str().len() + ",".len()
    };
    attributes.iter().map(bytes).sum()
}

struct Lines {
    headers: HeaderMap,
    room: usize,
    omitted: String,
}

impl Lines {
    /// `told_as` names the value if it is too long to be sent.
    fn add(&mut self, header: HeaderName, told_as: &str, text: &str) {
        let encoded: Cow<'_, str> = utf8_percent_encode(text, ENCODED).into();
        let fits = encoded.len() <= MAX_VALUE_BYTES.min(self.room);
        let value = HeaderValue::from_str(&encoded).ok().filter(|_value| fits);
        if let Some(value) = value {
            self.room -= value.len();
            self.headers.insert(header, value);
            return;
        }
        if !self.omitted.is_empty() {
            self.omitted.push(',');
        }
        self.omitted.push_str(told_as);
        self.headers.insert(header, HeaderValue::from_static(""));
    }

    fn finish(mut self) -> HeaderMap {
        let omitted = HeaderValue::try_from(self.omitted);
        let omitted = omitted.unwrap_or(HeaderValue::from_static(""));
        self.headers.insert(OMITTED, omitted);
        self.headers
    }
}
