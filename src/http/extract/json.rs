//! JSON texts into our types, strictly: an object is an object, a word is a word, and what is wrong is told without
//! repeating values, which may be secrets.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::place::{self, Malformed};
use super::wording::{NAME_SHOWN, what_is_wrong};
use crate::http::error::{ApiError, FieldError, Place};
use crate::model::json::{self, JsonFault};

pub(super) fn parse_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, ApiError> {
    let at = |pointer: String, detail: String, place: Option<Place>| {
        ApiError::InvalidBody(vec![FieldError {
            pointer,
            detail,
            place,
        }])
    };
    let compact = json::compact(text).map_err(|error| {
        let detail = error.fault.to_string();
        match place::of_fault(text) {
            Some(Malformed { rule, place }) if error.fault == JsonFault::Syntax => {
                at(error.pointer, format!("{detail}: {rule}"), Some(place))
            }
            _ => at(error.pointer, detail, None),
        }
    })?;
    let mut reader = serde_json::Deserializer::from_str(&compact);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let (pointer, place) = (pointer(error.path()), place::of(text, error.path()));
        at(
            pointer,
            what_is_wrong(&error.into_inner().to_string()),
            place,
        )
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
