//! JSON texts into our types, strictly: an object is an object, a word is a word, and what is wrong is told without
//! repeating values, which may be secrets.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::http::error::{ApiError, FieldError};
use crate::model::json;

/// The most characters of a name that a client sent and is told again.
const NAME_SHOWN: usize = 32;

pub(super) fn parse_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, ApiError> {
    let at = |pointer: String, detail: String| {
        ApiError::InvalidBody(vec![FieldError { pointer, detail }])
    };
    let compact =
        json::compact(text).map_err(|error| at(error.pointer, error.fault.to_string()))?;
    let mut reader = serde_json::Deserializer::from_str(&compact);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        at(pointer, what_is_wrong(&error.into_inner().to_string()))
    })
}

/// A type that is read from a JSON object only. What serde derives for a struct would take an array too.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsObject<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for AsObject<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(AsObject(PhantomData))
    }
}

/// For a field that is an object or null.
pub fn optional_object<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let object = Option::<Object<T>>::deserialize(deserializer)?;
    Ok(object.map(|object| object.0))
}

/// For a field that is one of a few words. What serde derives for an enum would take an object too.
pub fn word<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    let reader: StrDeserializer<'_, D::Error> = text.as_ref().into_deserializer();
    T::deserialize(reader)
}

/// For a word that may be left out or null.
pub fn optional_word<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let found = Option::<Word<T>>::deserialize(deserializer)?;
    Ok(found.map(|word| word.0))
}

/// For a field that may be left out, but is not null: in a condition that would be none.
pub fn given<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// The same for a word.
pub fn given_word<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    word(deserializer).map(Some)
}

#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
struct Word<T>(#[serde(deserialize_with = "word")] T);

fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let name = match segment {
            serde_path_to_error::Segment::Seq { index } => index.to_string(),
            serde_path_to_error::Segment::Map { key } => key.chars().take(NAME_SHOWN).collect(),
            serde_path_to_error::Segment::Enum { variant } => variant.clone(),
            serde_path_to_error::Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    }
    pointer
}

/// serde names the value it did not expect, which may be a secret: only what was expected is told, in words that do not
/// speak of our types.
pub(super) fn what_is_wrong(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    let message = match message.split_once(", expected ") {
        Some((start, expected)) if start.starts_with("unknown field `") => {
            let name = start
                .trim_start_matches("unknown field `")
                .trim_end_matches('`');
            let name: String = name.chars().take(NAME_SHOWN).collect();
            format!("`{name}` is not known here; expected {expected}")
        }
        Some((_, expected)) => format!("must be {}", in_words(expected)),
        None => message.to_owned(),
    };
    message
        .chars()
        .filter(|character| !character.is_control())
        .take(400)
        .collect()
}

fn in_words(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number in its range",
        "i64" => "a whole number of 64 bits",
        "IP address" | "IPv4 address" | "IPv6 address" => "an IP address",
        "a boolean" | "`true` or `false`" => "true or false",
        "a map" => "an object",
        _ if expected.starts_with("struct ") => "an object",
        _ => expected,
    }
}
