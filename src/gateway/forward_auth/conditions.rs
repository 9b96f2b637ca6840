//! What a proxy asks of a session beside being live. All conditions must hold.

use crate::model::attribute::AttributeName;
use crate::model::forward_auth::{Denial, InvalidCondition};
use crate::model::session::{Device, Session};

/// Conditions on a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conditions {
    required: Vec<(AttributeName, Box<str>)>,
    devices: Vec<Device>,
}

impl Conditions {
    /// Adds `attribute:value`. A string compares by its text, any other value by its compact JSON.
    pub fn require(&mut self, text: &str) -> Result<(), InvalidCondition> {
        let (name, value) = text.split_once(':').ok_or(InvalidCondition::NoValue)?;
        let name = AttributeName::parse(name).map_err(InvalidCondition::Attribute)?;
        self.required.push((name, value.into()));
        Ok(())
    }

    /// Adds a device that the session must run on.
    pub fn require_device(&mut self, text: &str) -> Result<(), InvalidCondition> {
        let device = Device::parse(text).map_err(InvalidCondition::Device)?;
        self.devices.push(device);
        Ok(())
    }

    pub(super) fn check(&self, session: &Session) -> Result<(), Denial> {
        let holds = |(name, wanted): &(AttributeName, Box<str>)| {
            let value = session.attributes.get(name);
            value.is_some_and(|value| value.to_text() == **wanted)
        };
        if !self.required.iter().all(holds) {
            return Err(Denial::RequirementNotMet);
        }
        let runs_on = |device| session.device.as_ref() == Some(device);
        if self.devices.iter().all(runs_on) {
            Ok(())
        } else {
            Err(Denial::DeviceMismatch)
        }
    }
}
