//! JSON read one way only: no duplicate names, no lone surrogates, bounded depth, and numbers kept as written.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

/// The deepest nesting a body may have; the body itself is level 1.
pub const MAX_DEPTH: usize = 32;

/// What is wrong with a JSON text, and where (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{fault}")]
pub struct InvalidJson {
    /// JSON Pointer to the place.
    pub pointer: String,
    /// What is wrong there.
    pub fault: JsonFault,
}

/// The ways a JSON text can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JsonFault {
    /// RFC 8259 does not allow it; also invalid UTF-8 and lone surrogates.
    #[error("is not valid JSON")]
    Syntax,
    /// The same name twice in one object.
    #[error("repeats a name of the same object")]
    DuplicateName,
    /// Deeper than [`MAX_DEPTH`].
    #[error("is nested deeper than 32 levels")]
    TooDeep,
}

impl JsonFault {
    fn here(self) -> InvalidJson {
        InvalidJson {
            pointer: String::new(),
            fault: self,
        }
    }
}

impl InvalidJson {
    fn under(mut self, name: &str) -> Self {
        // A pointer helps a person; one of the length of the input would only echo it.
        if self.pointer.len() < 256 {
            let name: String = name.chars().take(64).collect();
            self.pointer = format!(
                "/{}{}",
                name.replace('~', "~0").replace('/', "~1"),
                self.pointer
            );
        }
        self
    }
}

/// The same JSON without white space, if it is good at every level.
pub fn compact(text: &[u8]) -> Result<String, InvalidJson> {
    if let Some(plain) = plain_string(text) {
        return Ok(plain.to_owned());
    }
    let value: &RawValue =
        serde_json::from_slice(text).map_err(|_syntax| JsonFault::Syntax.here())?;
    let mut out = String::with_capacity(text.len());
    write_value(value, MAX_DEPTH, &mut out)?;
    Ok(out)
}

/// The text, if it is a JSON string that has one form only: most attributes are, and are read often.
fn plain_string(text: &[u8]) -> Option<&str> {
    let inner = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    let is_plain = inner.iter().all(plain);
    is_plain.then(|| str::from_utf8(text).ok()).flatten()
}

fn write_value(value: &RawValue, levels: usize, out: &mut String) -> Result<(), InvalidJson> {
    let text = value.get();
    let levels = levels
        .checked_sub(1)
        .ok_or_else(|| JsonFault::TooDeep.here())?;
    match text.as_bytes().first() {
        Some(b'{') => write_object(&members(text)?, levels, out),
        Some(b'[') => write_array(text, levels, out),
        Some(b'"') => {
            let text: Cow<'_, str> = parse::<Text<'_>>(text)?.0;
            write_text(&text, out);
            Ok(())
        }
        Some(_) | None => {
            out.push_str(text);
            Ok(())
        }
    }
}

fn write_object(
    members: &[(Cow<'_, str>, &RawValue)],
    levels: usize,
    out: &mut String,
) -> Result<(), InvalidJson> {
    let mut names = HashSet::with_capacity(members.len());
    out.push('{');
    for (place, (name, value)) in members.iter().enumerate() {
        if !names.insert(name.as_ref()) {
            return Err(JsonFault::DuplicateName.here().under(name));
        }
        if place > 0 {
            out.push(',');
        }
        write_text(name, out);
        out.push(':');
        write_value(value, levels, out).map_err(|fault| fault.under(name))?;
    }
    out.push('}');
    Ok(())
}

fn write_array(text: &str, levels: usize, out: &mut String) -> Result<(), InvalidJson> {
    out.push('[');
    for (place, item) in parse::<Items<'_>>(text)?.0.into_iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        write_value(item, levels, out).map_err(|fault| fault.under(&place.to_string()))?;
    }
    out.push(']');
    Ok(())
}

fn write_text(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// The members of a JSON object in their order, names unescaped, values as written.
pub(super) fn members(object: &str) -> Result<Vec<(Cow<'_, str>, &RawValue)>, InvalidJson> {
    parse::<Members<'_>>(object).map(|members| members.0)
}

/// What a JSON string says; `None` for any other value.
pub(super) fn text(value: &str) -> Option<Cow<'_, str>> {
    let is_string = value.starts_with('"');
    let text = is_string.then(|| parse::<Text<'_>>(value).ok())?;
    text.map(|text| text.0)
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, InvalidJson> {
    serde_json::from_str(text).map_err(|_syntax| JsonFault::Syntax.here())
}

struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsText;
        impl<'de> Visitor<'de> for AsText {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(AsText)
    }
}

struct Items<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsItems;
        impl<'de> Visitor<'de> for AsItems {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(AsItems)
    }
}

struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsMembers;
        impl<'de> Visitor<'de> for AsMembers {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    members.push((name.0, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(AsMembers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> (JsonFault, String) {
        let error = compact(text.as_bytes()).unwrap_err();
        (error.fault, error.pointer)
    }

    #[test]
    fn numbers_and_text_stay_exactly_what_they_were() {
        let text = r#" { "n" : [9007199254740993, 123456789012345678901234567890, 1e400, -0, 1.10], "t": "\u0000é" } "#;
        let expected = r#"{"n":[9007199254740993,123456789012345678901234567890,1e400,-0,1.10],"t":"\u0000é"}"#;
        assert_eq!(compact(text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn what_can_be_read_two_ways_is_refused() {
        assert_eq!(
            fault(r#"{"a":1,"\u0061":2}"#),
            (JsonFault::DuplicateName, "/a".into())
        );
        assert_eq!(
            fault(r#"{"x":[{"b":1,"b":1}]}"#),
            (JsonFault::DuplicateName, "/x/0/b".into())
        );
        assert_eq!(fault(r#"{"x":"\ud800"}"#).0, JsonFault::Syntax);
        assert_eq!(
            compact(b"\xef\xbb\xbf{}").unwrap_err().fault,
            JsonFault::Syntax
        );
        assert_eq!(compact(b"\"\xff\"").unwrap_err().fault, JsonFault::Syntax);
    }

    #[test]
    fn thirty_two_levels_fit_and_one_more_does_not() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(compact(nested(32).as_bytes()).is_ok());
        assert_eq!(fault(&nested(33)).0, JsonFault::TooDeep);
        assert_eq!(fault(&nested(100_000)).0, JsonFault::TooDeep);
    }
}
