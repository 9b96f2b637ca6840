//! A change of a session as steps that a script takes. Only the merging of nested objects is computed here.

use super::super::args::Args;
use super::super::fields::{state_text, stats_text, user_agent};
use crate::model::attribute::{AttributeName, AttributePatch, AttributeValue, Attributes};
use crate::model::record::{Field, SessionChange, SessionUpdate};
use crate::model::session::SessionState;

/// A change as the script takes it: its steps, and what the event tells.
#[derive(Debug, Default)]
pub(super) struct Plan {
    steps: Vec<Vec<u8>>,
    count: usize,
    touches: bool,
    attributes: Vec<AttributeName>,
    fields: Vec<&'static str>,
}

impl Plan {
    fn step(&mut self, kind: &str, name: &str, values: &[&[u8]]) {
        self.count += 1;
        self.steps.push(kind.into());
        self.steps.push(name.into());
        self.steps.extend(values.iter().map(|value| value.to_vec()));
    }

    fn attribute(&mut self, kind: &str, name: &AttributeName, values: &[&[u8]]) {
        self.touches = true;
        self.attributes.push(name.clone());
        self.step(kind, name.as_str(), values);
    }

    /// What a change does; objects are merged with what the session holds of them.
    pub(super) fn of(change: &SessionChange, held: Option<&Attributes>) -> Self {
        let mut plan = Self::default();
        match change {
            SessionChange::MergeAttributes(patch) => plan.merge(patch, held),
            SessionChange::PutAttribute(name, value) => {
                plan.attribute("put", name, &[value.as_json().as_bytes()]);
            }
            SessionChange::RemoveAttribute(name) => plan.attribute("remove", name, &[b"1"]),
            SessionChange::IncrementAttribute(name, by) => {
                plan.attribute("add", name, &[by.to_string().as_bytes()]);
            }
            SessionChange::Update(update) => plan.update(update),
        }
        plan
    }

    fn merge(&mut self, patch: &AttributePatch, held: Option<&Attributes>) {
        for (name, value) in patch.iter() {
            if value.is_null() {
                self.attribute("remove", name, &[b"0"]);
            } else if value.is_object() {
                let old = held.and_then(|held| held.get(name));
                let merged = AttributeValue::merged_with(old, value);
                let text = |value: &AttributeValue| value.as_json().as_bytes().to_vec();
                let old = old.map_or_else(Vec::new, text);
                let new = merged.as_ref().map_or_else(|_too_long| Vec::new(), text);
                self.attribute("swap", name, &[&old, &new]);
            } else {
                self.attribute("set", name, &[value.as_json().as_bytes()]);
            }
        }
    }

    fn update(&mut self, update: &SessionUpdate) {
        self.touches = update.state == Some(SessionState::Active);
        if let Some(state) = update.state {
            self.fields.push("state");
            self.step("field", "s", &[state_text(state).as_bytes()]);
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
            Field::Clear => self.step("clear", letter, &[]),
            Field::Set(value) => self.step("field", letter, &[text(value).as_bytes()]),
        }
        self.fields.push(name);
    }

    fn user_agent(&mut self, text: &str) {
        self.fields.push("user_agent");
        let (pieces, empty) = user_agent(text);
        for (name, piece) in pieces {
            self.step("field", &name, &[&piece]);
        }
        for name in empty {
            self.step("clear", &name, &[]);
        }
    }

    pub(super) fn into_args(self, args: Args) -> Args {
        let names: Vec<_> = self.attributes.iter().map(AttributeName::as_str).collect();
        args.flag(self.touches)
            .text(&names.join("\n"))
            .text(&self.fields.join("\n"))
            .show(self.count)
            .all(self.steps)
    }
}
