//! How people call this program.

use std::ffi::OsStr;
use std::path::Path;

/// What to type for this program in any directory: its name if a shell found it by that, else where it is.
pub(crate) fn program() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    let is_bare = Path::new(&called).file_name() == Some(&*called);
    let place = if is_bare {
        None
    } else {
        std::env::current_exe().ok()
    };
    quoted(place.as_deref().map_or(&called, Path::as_os_str))
}

/// As a shell reads it back.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
    if word.chars().all(is_plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_is_quoted() {
        for (word, wanted) in [
            (
                "/opt/sgw-1.0/session-gateway",
                "/opt/sgw-1.0/session-gateway",
            ),
            ("/my files/sgw", "'/my files/sgw'"),
            ("/ana's/$HOME", r"'/ana'\''s/$HOME'"),
        ] {
            assert_eq!(quoted(OsStr::new(word)), wanted);
        }
    }
}
