//! Values and names: kept to the byte.

use session_gateway::model::record::SessionChange;

use super::backend::{Backend, attribute, target, value};

contract! {
    values_are_kept_exactly,
    names_are_any_text,
    a_large_session_is_kept_whole,
}

async fn values_are_kept_exactly(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    for json in [
        r#""\u0000""#,
        "9007199254740993",
        "1e400",
        "-0.0",
        "123456789012345678901234567890",
        "null",
        r#""äöü \ud83d\ude00 😀""#,
        r#"{"z":1,"a":[{},[],"",false]}"#,
    ] {
        let written = b.put(session_id, "value", json).await;
        let read = b.live(session_id).await;
        assert_eq!(read, written);
        assert_eq!(read.attributes.get(&attribute("value")), Some(&value(json)));
    }
}

async fn names_are_any_text(b: &Backend) {
    let long = "n".repeat(128);
    let names = ["a/b", "a b", "%2F", "\u{202e}", "ключ", "...", &long];
    let session_id = b.open("login/with \"everything\" ☃").await.session_id;
    for name in names {
        b.put(session_id, name, "1").await;
    }
    let session = b.live(session_id).await;
    assert_eq!(session.attributes.iter().count(), names.len());
    for name in names {
        let removed = SessionChange::RemoveAttribute(attribute(name));
        let changed = b.stores.sessions.change(target(session_id), removed).await;
        changed.unwrap();
    }
}

async fn a_large_session_is_kept_whole(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    let big = format!("\"{}\"", "x".repeat(60 * 1024));
    for name in ["a", "b", "c", "d"] {
        b.put(session_id, name, &big).await;
    }
    let session = b.live(session_id).await;
    for name in ["a", "b", "c", "d"] {
        let kept = session.attributes.get(&attribute(name)).unwrap();
        assert_eq!(kept.as_json(), big);
    }
}
