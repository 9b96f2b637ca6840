//! A change of a session as steps that a script takes. Only the merging of nested objects is computed here.

use super::super::call::table;
use super::super::fields::{state_text, stats_text, user_agent};
use crate::model::attribute::{AttributeName, AttributePatch, AttributeValue, Attributes};
use crate::model::record::{Field, SessionChange, SessionUpdate};

table! {
    /// One step: what is to be done with which attribute or field. What it needs neither of is empty.
    struct Step {
        kind: &'static str,
        name: String,
        value: Vec<u8>,
        held: Vec<u8>,
    }
}

/// A change as the script takes it: its steps, and what the event tells.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub(super) all: Vec<Step>,
    attributes: Vec<AttributeName>,
    fields: Vec<&'static str>,
}

impl Steps {
    fn step(&mut self, kind: &'static str, name: &str, value: &[u8]) {
        self.all.push(Step {
            kind,
            name: name.to_owned(),
            value: value.to_vec(),
            held: Vec::new(),
        });
    }

    fn attribute(&mut self, kind: &'static str, name: &AttributeName, value: &[u8]) {
        self.attributes.push(name.clone());
        self.step(kind, name.as_str(), value);
    }

    /// A value in the place of the one it was merged with, if that still stands. Nothing is one that is too long: the
    /// script answers so if nothing else stands against the change.
    fn swap(
        &mut self,
        name: &AttributeName,
        held: Option<&AttributeValue>,
        patch: &AttributeValue,
    ) {
        // Merged here and not by the script: Lua reads JSON numbers as doubles.
        let merged = AttributeValue::merged_with(held, patch).ok();
        let text = |value: &AttributeValue| value.as_json().as_bytes().to_vec();
        self.attribute("swap", name, &merged.as_ref().map(text).unwrap_or_default());
        if let Some(step) = self.all.last_mut() {
            step.held = held.map(text).unwrap_or_default();
        }
    }

    /// What a change does; objects are merged with what the session holds of them.
    pub(super) fn of(change: &SessionChange, held: Option<&Attributes>) -> Self {
        let mut steps = Self::default();
        match change {
            SessionChange::MergeAttributes(patch) => steps.merge(patch, held),
            SessionChange::PutAttribute(name, value) => {
                steps.attribute("put", name, value.as_json().as_bytes());
            }
            SessionChange::RemoveAttribute(name) => steps.attribute("remove", name, b""),
            SessionChange::IncrementAttribute(name, by) => {
                steps.attribute("add", name, by.to_string().as_bytes());
            }
            SessionChange::Update(update) => steps.update(update),
        }
        steps
    }

    fn merge(&mut self, patch: &AttributePatch, held: Option<&Attributes>) {
        for (name, value) in patch.iter() {
            if value.is_null() {
                self.attribute("drop", name, b"");
            } else if value.is_object() {
                self.swap(name, held.and_then(|held| held.get(name)), value);
            } else {
                self.attribute("set", name, value.as_json().as_bytes());
            }
        }
    }

    fn update(&mut self, update: &SessionUpdate) {
        if let Some(state) = update.state {
            self.fields.push("state");
            self.step("field", "s", state_text(state).as_bytes());
        }
        self.field("device", "D", &update.device, ToString::to_string);
        self.field("device_id", "I", &update.device_id, ToString::to_string);
        self.field(
            "connection_id",
            "C",
            &update.connection_id,
            ToString::to_string,
        );
        self.field("client_ip", "A", &update.client_ip, ToString::to_string);
        self.field("client_port", "P", &update.client_port, ToString::to_string);
        let text = match &update.user_agent {
            Field::Keep => None,
            Field::Clear => Some(""),
            Field::Set(text) => Some(text.as_str()),
        };
        if let Some(text) = text {
            self.user_agent(text);
        }
        self.field("server_addr", "S", &update.server_addr, ToString::to_string);
        self.field("stats", "T", &update.stats, stats_text);
    }

    fn field<T>(
        &mut self,
        name: &'static str,
        letter: &str,
        field: &Field<T>,
        text: impl Fn(&T) -> String,
    ) {
        match field {
            Field::Keep => return,
            Field::Clear => self.step("clear", letter, b""),
            Field::Set(value) => self.step("field", letter, text(value).as_bytes()),
        }
        self.fields.push(name);
    }

    fn user_agent(&mut self, text: &str) {
        self.fields.push("user_agent");
        let (pieces, empty) = user_agent(text);
        for (name, piece) in pieces {
            self.step("field", &name, &piece);
        }
        for name in empty {
            self.step("clear", &name, b"");
        }
    }

    /// The names of the attributes that change, a line each.
    pub(super) fn attributes(&self) -> String {
        let names: Vec<_> = self.attributes.iter().map(AttributeName::as_str).collect();
        names.join("\n")
    }

    /// The names of the fields that change, a line each.
    pub(super) fn fields(&self) -> String {
        self.fields.join("\n")
    }
}
