//! Where in a JSON text something is wrong, for who reads it in an editor.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;
use serde_path_to_error::{Path, Segment};

use crate::http::error::Place;

/// What a text has that is no JSON.
pub(super) struct Malformed {
    pub(super) rule: String,
    pub(super) place: Place,
}

/// What the parser tripped over, if it is the form of the text.
pub(super) fn of_fault(text: &[u8]) -> Option<Malformed> {
    // Texts are only read as values: an escape that is no character is not seen before.
    let error = match serde_json::from_slice::<&RawValue>(text) {
        Err(error) => error,
        Ok(_) => serde_json::from_slice::<serde_json::Value>(text).err()?,
    };
    if !error.is_syntax() && !error.is_eof() {
        return None;
    }
    let told = error.to_string();
    let rule = told.split(" at line ").next().unwrap_or_default();
    Some(Malformed {
        rule: rule.replace("EOF while parsing", "ends within"),
        place: Place {
            line: error.line(),
            // Behind the end of a line there is none yet.
            column: error.column().max(1),
        },
    })
}

/// Where the value at a path begins, or the last on the way to it that there is.
pub(super) fn of(text: &[u8], path: &Path) -> Option<Place> {
    let text = str::from_utf8(text).ok()?;
    let mut value: &RawValue = serde_json::from_str(text).ok()?;
    for segment in path {
        match member(value, segment) {
            Some(found) => value = found,
            None => break,
        }
    }
    let offset = value
        .get()
        .as_ptr()
        .addr()
        .checked_sub(text.as_ptr().addr())?;
    let before = text.get(..offset)?;
    let line = before.rsplit('\n').next().unwrap_or_default();
    Some(Place {
        line: before.matches('\n').count() + 1,
        column: line.len() + 1,
    })
}

fn member<'a>(value: &'a RawValue, segment: &Segment) -> Option<&'a RawValue> {
    match segment {
        Segment::Map { key } => {
            let members: HashMap<Cow<'_, str>, &RawValue> =
                serde_json::from_str(value.get()).ok()?;
            members.get(key.as_str()).copied()
        }
        Segment::Seq { index } => {
            let items: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
            items.get(*index).copied()
        }
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}
