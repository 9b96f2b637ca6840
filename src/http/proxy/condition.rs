//! What a proxy asks of a session beside being live. All conditions must hold; one that cannot be read is an error,
//! never none.

use axum::http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use super::refusal::{InvalidCondition, Refusal};
use crate::model::attribute::AttributeName;
use crate::model::session::{Device, Session};

const REQUIRE: HeaderName = HeaderName::from_static("x-auth-require");
const REQUIRE_DEVICE: HeaderName = HeaderName::from_static("x-auth-require-device");

/// The query parameter with the page to send a user to.
pub(super) const LOGIN_URL: &str = "login_url";

/// Conditions on a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Conditions {
    required: Vec<(AttributeName, Box<str>)>,
    devices: Vec<Device>,
}

impl Conditions {
    /// Reads those of a request. The query must be the operator's: a client's own would be no condition.
    pub(super) fn read(headers: &HeaderMap, query: &str) -> Result<Self, InvalidCondition> {
        let mut conditions = Self::default();
        for value in headers.get_all(REQUIRE) {
            let text = str::from_utf8(value.as_bytes());
            conditions.require(text.map_err(|_bytes| InvalidCondition::Header)?)?;
        }
        for value in headers.get_all(REQUIRE_DEVICE) {
            let text = str::from_utf8(value.as_bytes());
            conditions.require_device(text.map_err(|_bytes| InvalidCondition::Header)?)?;
        }
        conditions.read_query(query)?;
        Ok(conditions)
    }

    fn read_query(&mut self, query: &str) -> Result<(), InvalidCondition> {
        if percent_decode_str(query).decode_utf8().is_err() {
            return Err(InvalidCondition::Query);
        }
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "require" => self.require(&value)?,
                "device" => self.require_device(&value)?,
                LOGIN_URL => {}
                _ => return Err(InvalidCondition::UnknownParameter),
            }
        }
        Ok(())
    }

    fn require(&mut self, text: &str) -> Result<(), InvalidCondition> {
        let (name, value) = text.split_once(':').ok_or(InvalidCondition::NoValue)?;
        let name = AttributeName::parse(name).map_err(InvalidCondition::Attribute)?;
        self.required.push((name, value.into()));
        Ok(())
    }

    fn require_device(&mut self, text: &str) -> Result<(), InvalidCondition> {
        let device = Device::parse(text).map_err(InvalidCondition::Device)?;
        self.devices.push(device);
        Ok(())
    }

    /// Whether all of them hold.
    pub(super) fn check(&self, session: &Session) -> Result<(), Refusal> {
        let holds = |(name, wanted): &(AttributeName, Box<str>)| {
            let value = session.attributes.get(name);
            value.is_some_and(|value| value.to_text() == **wanted)
        };
        if !self.required.iter().all(holds) {
            return Err(Refusal::RequirementNotMet);
        }
        let runs_on = |device| session.device.as_ref() == Some(device);
        if self.devices.iter().all(runs_on) {
            Ok(())
        } else {
            Err(Refusal::DeviceMismatch)
        }
    }
}
