//! Attributes: what services keep in a session. Values are JSON, kept exactly as they were written.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use litemap::LiteMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use thiserror::Error;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, schema::AdditionalProperties};
use utoipa::{PartialSchema, ToSchema};

use super::json::{self, InvalidJson};
use super::text::text_type;

text_type! {
    /// The name of an attribute: any UTF-8 without control characters.
    AttributeName, segment, max = 128, example = "visits"
}

/// The most attributes a session may have.
pub const MAX_ATTRIBUTES: usize = 256;

/// The most bytes one value may have as compact JSON text.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;

/// The most bytes the names and values of a session may have together.
pub const MAX_TOTAL_BYTES: usize = 256 * 1024;

/// A limit on attributes that a write would break. Nothing of the write is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AttributeLimit {
    /// See [`MAX_ATTRIBUTES`].
    #[error("a session has at most {MAX_ATTRIBUTES} attributes")]
    Count,
    /// See [`MAX_TOTAL_BYTES`].
    #[error("the attributes of a session have at most {MAX_TOTAL_BYTES} bytes together")]
    Total,
    /// See [`MAX_VALUE_BYTES`].
    #[error("an attribute value has at most {MAX_VALUE_BYTES} bytes as JSON text")]
    Value,
}

/// Why a text is no attribute value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidValue {
    /// Not JSON as the gateway reads it.
    #[error(transparent)]
    Json(#[from] InvalidJson),
    /// Longer than [`MAX_VALUE_BYTES`].
    #[error(transparent)]
    TooLong(#[from] AttributeLimit),
}

/// One JSON value, as compact text.
#[derive(Clone, PartialEq, Eq)]
pub struct AttributeValue(Box<str>);

impl AttributeValue {
    /// Reads any JSON value.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidValue> {
        Self::within_limit(json::compact(text)?).map_err(InvalidValue::from)
    }

    fn within_limit(text: String) -> Result<Self, AttributeLimit> {
        if text.len() > MAX_VALUE_BYTES {
            Err(AttributeLimit::Value)
        } else {
            Ok(Self(text.into_boxed_str()))
        }
    }

    /// The compact JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// A string by its text, any other value as compact JSON.
    #[must_use]
    pub fn to_text(&self) -> Cow<'_, str> {
        json::text(&self.0).unwrap_or(Cow::Borrowed(&self.0))
    }

    /// The value as a 64-bit integer, if it is written as one.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// Whether it is an object, which as a patch merges.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.0.starts_with('{')
    }

    /// Whether it is `null`, which as a patch removes.
    #[must_use]
    pub fn is_null(&self) -> bool {
        &*self.0 == "null"
    }

    /// This value with a JSON merge patch applied (RFC 7396, section 2).
    pub fn merged_with(target: Option<&Self>, patch: &Self) -> Result<Self, AttributeLimit> {
        let target = target.map_or("null", |value| &value.0);
        Self::within_limit(merge(target, &patch.0).into_owned())
    }
}

impl From<i64> for AttributeValue {
    fn from(number: i64) -> Self {
        Self(number.to_string().into_boxed_str())
    }
}

/// Both texts are compact JSON of our own making, which always reads back; what would not is left as the patch has it.
fn merge<'a>(target: &'a str, patch: &'a str) -> Cow<'a, str> {
    let Some(patch_members) = patch
        .starts_with('{')
        .then(|| json::members(patch).ok())
        .flatten()
    else {
        return Cow::Borrowed(patch);
    };
    let target_members = target
        .starts_with('{')
        .then(|| json::members(target).ok())
        .flatten()
        .unwrap_or_default();
    // Members are put together as the texts they are: read as numbers, 2^53 + 1 and its like would lose digits. In order
    // of names, so that the same merge made twice gives the same bytes: a compare of bytes guards them in Redis.
    let mut merged: BTreeMap<Cow<'_, str>, Cow<'_, str>> = target_members
        .into_iter()
        .map(|(name, value)| (name, Cow::Borrowed(value.get())))
        .collect();
    for (name, value) in patch_members {
        if value.get() == "null" {
            merged.remove(&name);
        } else {
            let old = merged.remove(&name).unwrap_or(Cow::Borrowed("null"));
            let new = merge(&old, value.get()).into_owned();
            merged.insert(name, Cow::Owned(new));
        }
    }
    let mut text = String::from("{");
    for (name, value) in merged {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&serde_json::Value::from(name.as_ref()).to_string());
        text.push(':');
        text.push_str(&value);
    }
    text.push('}');
    Cow::Owned(text)
}

impl fmt::Debug for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AttributeValue({} bytes)", self.0.len())
    }
}

impl Serialize for AttributeValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            let raw: &RawValue =
                serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
            raw.serialize(serializer)
        } else {
            serializer.serialize_str(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for AttributeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let raw = Box::<RawValue>::deserialize(deserializer)?;
            Self::parse(raw.get().as_bytes()).map_err(de::Error::custom)
        } else {
            let text = String::deserialize(deserializer)?;
            // What is no JSON, on a damaged disk, could not be told either.
            let _json: &RawValue = serde_json::from_str(&text).map_err(de::Error::custom)?;
            Ok(Self(text.into_boxed_str()))
        }
    }
}

impl PartialSchema for AttributeValue {
    fn schema() -> RefOr<Schema> {
        let mut any = ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::SchemaType::AnyValue)
            .build();
        any.description = Some("Any JSON value.".to_owned());
        any.examples = vec![serde_json::json!(3)];
        any.into()
    }
}

impl ToSchema for AttributeValue {}

/// The attributes of a session, by name. Mostly few, and many sessions are kept in memory: so they stand side by side.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "BTreeMap<AttributeName, AttributeValue>")]
pub struct Attributes(LiteMap<AttributeName, AttributeValue>);

impl Attributes {
    /// The value of one attribute.
    #[must_use]
    pub fn get(&self, name: &AttributeName) -> Option<&AttributeValue> {
        self.0.get(name)
    }

    /// All attributes in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&AttributeName, &AttributeValue)> {
        self.0.iter()
    }

    /// Whether they are within all limits.
    pub fn check(&self) -> Result<(), AttributeLimit> {
        if self.0.len() > MAX_ATTRIBUTES {
            return Err(AttributeLimit::Count);
        }
        if self.bytes() > MAX_TOTAL_BYTES {
            Err(AttributeLimit::Total)
        } else {
            Ok(())
        }
    }

    /// The bytes of all names and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let pairs = self.0.iter();
        pairs
            .map(|(name, value)| name.as_str().len() + value.0.len())
            .sum()
    }

    /// Sets one attribute and tells whether it was there before.
    pub fn set(&mut self, name: AttributeName, value: AttributeValue) -> bool {
        self.0.insert(name, value).is_some()
    }

    /// Removes one attribute and tells whether it was there.
    pub fn remove(&mut self, name: &AttributeName) -> bool {
        self.0.remove(name).is_some()
    }

    /// Applies a merge patch to all of them.
    pub fn merge(&mut self, patch: &AttributePatch) -> Result<(), AttributeLimit> {
        for (name, value) in &patch.0 {
            if value.is_null() {
                self.0.remove(name);
            } else if value.is_object() {
                let merged = AttributeValue::merged_with(self.0.get(name), value)?;
                self.0.insert(name.clone(), merged);
            } else {
                self.0.insert(name.clone(), value.clone());
            }
        }
        Ok(())
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl From<BTreeMap<AttributeName, AttributeValue>> for Attributes {
    fn from(attributes: BTreeMap<AttributeName, AttributeValue>) -> Self {
        attributes.into_iter().collect()
    }
}

impl FromIterator<(AttributeName, AttributeValue)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (AttributeName, AttributeValue)>>(attributes: I) -> Self {
        Self(attributes.into_iter().collect())
    }
}

/// An object of any values.
pub(super) fn map_schema(description: &str, example: serde_json::Value) -> RefOr<Schema> {
    ObjectBuilder::new()
        .description(Some(description))
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .examples([example])
        .into()
}

impl PartialSchema for Attributes {
    fn schema() -> RefOr<Schema> {
        map_schema(
            "Attributes by name; values are any JSON.",
            serde_json::json!({"role": "admin", "visits": 3}),
        )
    }
}

impl ToSchema for Attributes {}

/// A JSON merge patch of attributes (RFC 7396): `null` removes, objects merge, all else replaces.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct AttributePatch(BTreeMap<AttributeName, AttributeValue>);

impl AttributePatch {
    /// The names it speaks of.
    pub fn names(&self) -> impl Iterator<Item = &AttributeName> {
        self.0.keys()
    }

    /// What it says of each name.
    pub fn iter(&self) -> impl Iterator<Item = (&AttributeName, &AttributeValue)> {
        self.0.iter()
    }
}

impl FromIterator<(AttributeName, AttributeValue)> for AttributePatch {
    fn from_iter<I: IntoIterator<Item = (AttributeName, AttributeValue)>>(patch: I) -> Self {
        Self(patch.into_iter().collect())
    }
}

impl PartialSchema for AttributePatch {
    fn schema() -> RefOr<Schema> {
        map_schema(
            "JSON merge patch (RFC 7396): null removes an attribute, objects merge, all else replaces.",
            serde_json::json!({"role": "admin", "cart": {"items": 2}, "visits": null}),
        )
    }
}

impl ToSchema for AttributePatch {}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> AttributeValue {
        AttributeValue::parse(text.as_bytes()).unwrap()
    }

    /// The examples of RFC 7396, appendix A, that have an object as patch.
    #[test]
    fn merging_follows_rfc_7396() {
        for (target, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                r#"{"a":{"b":"d"}}"#,
            ),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            let merged = AttributeValue::merged_with(Some(&value(target)), &value(patch)).unwrap();
            assert_eq!(merged.as_json(), result);
        }
    }

    #[test]
    fn a_value_one_byte_over_the_limit_is_refused() {
        let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
        assert!(AttributeValue::parse(text(MAX_VALUE_BYTES).as_bytes()).is_ok());
        let over = AttributeValue::parse(text(MAX_VALUE_BYTES + 1).as_bytes());
        assert_eq!(over, Err(InvalidValue::TooLong(AttributeLimit::Value)));
    }

    #[test]
    fn only_whole_numbers_of_64_bits_count() {
        assert_eq!(value("-9223372036854775808").as_i64(), Some(i64::MIN));
        for text in ["9223372036854775808", "1.0", "1e2", "\"1\"", "null"] {
            assert_eq!(value(text).as_i64(), None, "{text}");
        }
    }
}
