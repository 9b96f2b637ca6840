//! What serde says of input, in our words: the rule that is broken and what is allowed, never the input itself.

/// The most characters of a name that a client sent and is told again.
pub(super) const NAME_SHOWN: usize = 32;

/// serde names the value it did not expect, which may be a secret: only what was expected is told, in words that do not
/// speak of our types.
pub(super) fn what_is_wrong(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    let message = match message.split_once(", expected ") {
        Some((start, expected)) => match named(start, "unknown field") {
            Some(name) => {
                let name: String = name.chars().take(NAME_SHOWN).collect();
                format!("`{name}` is not known here; expected {expected}")
            }
            None => format!("must be {}", in_words(expected)),
        },
        None => unexpected(message),
    };
    message
        .chars()
        .filter(|character| !character.is_control())
        .take(400)
        .collect()
}

/// The name after these words.
fn named<'a>(message: &'a str, words: &str) -> Option<&'a str> {
    message
        .strip_prefix(words)?
        .strip_prefix(" `")?
        .strip_suffix('`')
}

fn unexpected(message: &str) -> String {
    if let Some(name) = named(message, "missing field") {
        return format!("`{name}` is missing");
    }
    if let Some(name) = named(message, "duplicate field") {
        return format!("`{name}` may be given only once");
    }
    match message {
        "invalid IP address syntax" => "must be an IP address".to_owned(),
        "provided string was not `true` or `false`" => "must be true or false".to_owned(),
        _ => message.to_owned(),
    }
}

fn in_words(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number of 64 bits, 0 or more",
        "i64" => "a whole number of 64 bits",
        "IP address" | "IPv4 address" | "IPv6 address" => "an IP address",
        "a boolean" | "`true` or `false`" => "true or false",
        "a map" => "an object",
        _ if expected.starts_with("struct ") => "an object",
        _ => expected,
    }
}
