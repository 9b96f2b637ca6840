//! Short texts with rules: each is a type of its own that only its `parse` makes.

use thiserror::Error;

/// A text that breaks the rules of its type. The message names the rule and never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidText {
    /// Nothing where something is needed.
    #[error("must not be empty")]
    Empty,
    /// More bytes than the type holds.
    #[error("must be at most {max} bytes long")]
    TooLong {
        /// The most bytes it may have.
        max: usize,
    },
    /// A character of Unicode's category Cc, or one outside the type's alphabet.
    #[error("must not contain control characters")]
    Control,
    /// `.` and `..` mean something else in a path.
    #[error("must not be `.` or `..`")]
    Dots,
    /// A character outside `A-Z a-z 0-9 . _ -`.
    #[error("may only contain letters A-Z and a-z, digits, `.`, `_` and `-`")]
    NotAWord,
}

/// Any UTF-8 without control characters.
pub(super) fn printable(text: &str, max: usize) -> Result<(), InvalidText> {
    if text.is_empty() {
        return Err(InvalidText::Empty);
    }
    if text.len() > max {
        return Err(InvalidText::TooLong { max });
    }
    if text.chars().any(char::is_control) {
        Err(InvalidText::Control)
    } else {
        Ok(())
    }
}

/// Printable, and safe as a path segment.
pub(super) fn segment(text: &str, max: usize) -> Result<(), InvalidText> {
    printable(text, max)?;
    if matches!(text, "." | "..") {
        Err(InvalidText::Dots)
    } else {
        Ok(())
    }
}

/// `[A-Za-z0-9._-]`, and safe as a path segment.
pub(super) fn word(text: &str, max: usize) -> Result<(), InvalidText> {
    segment(text, max)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(InvalidText::NotAWord)
    }
}

/// Makes a newtype over text that only `parse` (and deserialising, through it) can build. The document tells its rule as a
/// pattern that all kinds of regular expressions read alike; lengths are those of ASCII.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, printable, max = $max:tt, example = $example:tt) => {
        $crate::model::text::text_type! {
            $(#[$doc])* $name, printable, r"^[^\x00-\x1f\x7f-\x9f]+$", max = $max, example = $example
        }
    };
    ($(#[$doc:meta])* $name:ident, segment, max = $max:tt, example = $example:tt) => {
        $crate::model::text::text_type! {
            $(#[$doc])* $name, segment,
            r"^([^.\x00-\x1f\x7f-\x9f]|\.[^.\x00-\x1f\x7f-\x9f]|\.\.[^\x00-\x1f\x7f-\x9f])[^\x00-\x1f\x7f-\x9f]*$",
            max = $max, example = $example
        }
    };
    ($(#[$doc:meta])* $name:ident, word, max = $max:tt, example = $example:tt) => {
        $crate::model::text::text_type! {
            $(#[$doc])* $name, word,
            r"^([A-Za-z0-9_-]|\.[A-Za-z0-9_-]|\.\.[A-Za-z0-9._-])[A-Za-z0-9._-]*$", max = $max, example = $example
        }
    };
    ($(#[$doc:meta])* $name:ident, $rule:ident, $pattern:tt, max = $max:tt, example = $example:tt) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, utoipa::ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = String, min_length = 1, max_length = $max, pattern = $pattern, example = $example)]
        pub struct $name(Box<str>);

        impl $name {
            /// Takes the text if it keeps the rules of the type.
            pub fn parse(text: &str) -> Result<Self, $crate::model::InvalidText> {
                $crate::model::text::$rule(text, $max)?;
                Ok(Self(text.into()))
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(super) use text_type;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_named() {
        assert_eq!(printable("", 4), Err(InvalidText::Empty));
        assert_eq!(printable("äää", 5), Err(InvalidText::TooLong { max: 5 }));
        assert_eq!(printable("a\r\nb", 9), Err(InvalidText::Control));
        assert_eq!(segment("..", 9), Err(InvalidText::Dots));
        assert_eq!(word("a/b", 9), Err(InvalidText::NotAWord));
        assert_eq!(word("A-z.0_9", 9), Ok(()));
    }
}
