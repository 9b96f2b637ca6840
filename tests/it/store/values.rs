//! Values and names: kept to the byte.

use session_gateway::model::attribute::{AttributeLimit, MAX_ATTRIBUTES, MAX_TOTAL_BYTES};
use session_gateway::model::id::SessionId;
use session_gateway::model::record::{SessionChange, Unchangeable};
use session_gateway::rules::refusal::Refusal;
use tokio::task::JoinSet;

use super::backend::{Backend, attribute, merge, refusal, target, value};

contract! {
    values_are_kept_exactly,
    names_are_any_text,
    a_large_session_is_kept_whole,
    sums_stay_within_64_bits,
    the_number_of_attributes_has_an_exact_limit,
    the_bytes_of_attributes_have_an_exact_limit,
    a_merged_value_has_the_limit_of_any_value,
    nested_merges_never_lose_each_other,
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

async fn refused(b: &Backend, session_id: SessionId, change: SessionChange) -> Unchangeable {
    let before = b.live(session_id).await;
    let changed = b.stores.sessions.change(target(session_id), change).await;
    let Refusal::Unchangeable(why) = refusal(changed) else {
        panic!("the change itself should be refused");
    };
    assert_eq!(b.live(session_id).await, before);
    why
}

fn put(name: &str, json: &str) -> SessionChange {
    SessionChange::PutAttribute(attribute(name), value(json))
}

fn add(name: &str, by: i64) -> SessionChange {
    SessionChange::IncrementAttribute(attribute(name), by)
}

async fn sums_stay_within_64_bits(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    for (held, by, sum) in [
        ("9007199254740993", 1, 9_007_199_254_740_994),
        ("-0", 1, 1),
        ("0", i64::MIN, i64::MIN),
        ("9223372036854775806", 1, i64::MAX),
        ("-9223372036854775807", -1, i64::MIN),
    ] {
        b.put(session_id, "counter", held).await;
        assert_eq!(b.increment(target(session_id), by).await.unwrap(), sum);
    }
    for (held, by) in [
        ("9223372036854775807", 1),
        ("-9223372036854775808", -1),
        ("9223372036854775808", -1),
        ("1.0", 1),
        ("1e2", 1),
        ("\"1\"", 1),
        ("null", 1),
        ("{}", 1),
    ] {
        b.put(session_id, "counter", held).await;
        let why = refused(b, session_id, add("counter", by)).await;
        assert_eq!(why, Unchangeable::NotANumber, "{held} and {by}");
    }
}

async fn the_number_of_attributes_has_an_exact_limit(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    let names: Vec<_> = (0..MAX_ATTRIBUTES)
        .map(|number| number.to_string())
        .collect();
    let all: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let sessions = &b.stores.sessions;
    sessions
        .change(target(session_id), merge(&all))
        .await
        .unwrap();
    let count = Unchangeable::Limit(AttributeLimit::Count);
    for change in [
        put("more", "1"),
        add("more", 1),
        merge(&[("more", "{}")]),
        merge(&[("1", "null"), ("more", "1"), ("and more", "1")]),
    ] {
        assert_eq!(refused(b, session_id, change).await, count);
    }
    for change in [
        put("1", "2"),
        add("1", 1),
        merge(&[("1", "null"), ("more", "1")]),
    ] {
        sessions.change(target(session_id), change).await.unwrap();
    }
}

async fn the_bytes_of_attributes_have_an_exact_limit(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    for name in ["a", "b", "c"] {
        b.put(session_id, name, &text(65_535)).await;
    }
    b.put(session_id, "n", "9").await;
    b.put(session_id, "d", &text(65_533)).await;
    let session = b.live(session_id).await;
    let attributes = session.attributes.iter();
    let total: usize = attributes
        .map(|(name, value)| name.as_str().len() + value.as_json().len())
        .sum();
    assert_eq!(total, MAX_TOTAL_BYTES);
    let limit = Unchangeable::Limit(AttributeLimit::Total);
    for change in [
        put("e", "1"),
        put("d", &text(65_534)),
        add("n", 1),
        add("m", 1),
        merge(&[("e", "{}")]),
    ] {
        assert_eq!(refused(b, session_id, change).await, limit);
    }
    let sessions = &b.stores.sessions;
    for change in [add("n", -1), merge(&[("a", "null"), ("e", "{\"b\":[1]}")])] {
        sessions.change(target(session_id), change).await.unwrap();
    }
}

async fn a_merged_value_has_the_limit_of_any_value(b: &Backend) {
    let session_id = b.open("alice").await.session_id;
    let part = |name: &str| format!("{{\"{name}\":\"{}\"}}", "x".repeat(40_000));
    let sessions = &b.stores.sessions;
    let first = merge(&[("deep", &part("a"))]);
    sessions.change(target(session_id), first).await.unwrap();
    let why = refused(b, session_id, merge(&[("deep", &part("b"))])).await;
    assert_eq!(why, Unchangeable::Limit(AttributeLimit::Value));
    let other = merge(&[("deep", "{\"a\":null,\"c\":{\"d\":1}}")]);
    let changed = sessions.change(target(session_id), other).await.unwrap();
    let deep = changed.session.attributes.get(&attribute("deep")).cloned();
    assert_eq!(deep, Some(value("{\"c\":{\"d\":1}}")));
    b.end(session_id).await;
    let late = sessions
        .change(target(session_id), merge(&[("deep", &part("b"))]))
        .await;
    assert!(matches!(refusal(late), Refusal::SessionEnded(_)));
}

async fn nested_merges_never_lose_each_other(b: &Backend) {
    const WRITERS: u64 = 100;
    let session_id = b.open("alice").await.session_id;
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let store = b.stores.sessions.clone();
        writers.spawn(async move {
            let part = format!("{{\"n{number}\":{number}}}");
            let write = merge(&[("deep", &part)]);
            store.change(target(session_id), write).await.unwrap();
        });
    }
    writers.join_all().await;
    let session = b.live(session_id).await;
    assert_eq!(session.version, WRITERS + 1);
    let deep = session.attributes.get(&attribute("deep")).unwrap();
    for number in 0..WRITERS {
        assert!(deep.as_json().contains(&format!("\"n{number}\":{number}")));
    }
}
