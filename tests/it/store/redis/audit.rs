//! The invariants of what is stored, checked on the bare keys: records, indexes and feed tell the same, and everything
//! but services and endless bans has its time.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_redis::redis::streams::StreamRangeReply;
use deadpool_redis::redis::{Commands, Connection, cmd, from_redis_value};
use sha2::{Digest, Sha256};

type Bytes = Vec<u8>;
type Fields = BTreeMap<String, Bytes>;

/// In which a record may be written.
const FORMATS: [&[u8]; 3] = [b"1", b"2", b"3"];

/// The name of the key that heartbeats write; it says nothing of sessions.
const HEARTBEAT: &[u8] = b"b";

/// What lies under one hash tag.
#[derive(Debug, Default)]
struct Shard {
    records: BTreeMap<Bytes, Fields>,
    logins: BTreeMap<Bytes, BTreeSet<Bytes>>,
    ids: BTreeSet<Bytes>,
    expiries: BTreeMap<Bytes, i64>,
    /// How many sessions each owner has, by format and owner.
    counts: BTreeMap<(Bytes, Bytes), u64>,
}

/// Fails if anything in a master, of what lies under a prefix, contradicts anything else; gives all its keys.
pub(crate) fn audit(redis: &mut Connection, prefix: &str) -> Vec<Bytes> {
    let mut keys: Vec<Bytes> = redis.keys(format!("{prefix}:*")).unwrap();
    // Expiries before records: uses of sessions may still be written, and move only the records' forward.
    keys.sort_unstable_by(|a, b| b.cmp(a));
    let endless = ["{services}:r", "{services}:f", "keys"]
        .map(|name| format!("{prefix}:{name}").into_bytes());
    let mut shards: BTreeMap<String, Shard> = BTreeMap::new();
    for key in &keys {
        let ttl: i64 = redis.pttl(key).unwrap();
        // A key whose time is over meanwhile answers -2.
        let endless = endless.contains(key) || is_endless_ban(redis, key, prefix);
        assert!(endless || ttl != -1, "{} has no TTL", key.escape_ascii());
        match in_shard(key, prefix) {
            Some((_, name)) if name == HEARTBEAT => {}
            Some((_, [b'p', b':', login @ ..])) => check_profile(redis, key, login),
            Some((tag, name)) => read(redis, key, name, shards.entry(tag).or_default()),
            None => {}
        }
    }
    for (tag, shard) in &shards {
        check(shard);
        let stream = format!("{prefix}:{{{tag}}}:e");
        check_feed(redis, &stream, shard);
    }
    keys
}

/// Profiles stand for themselves: nothing points to them, and nothing is told of them.
fn check_profile(redis: &mut Connection, key: &[u8], login: &[u8]) {
    let fields: BTreeMap<String, Bytes> = redis.hgetall(key).unwrap();
    // Its time may be over meanwhile.
    if let Some(of) = fields.get("l") {
        assert_eq!(Sha256::digest(of)[..16], *login, "the key of a profile");
        assert!(FORMATS.contains(&&*fields["f"]), "the format");
    }
}

fn is_endless_ban(redis: &mut Connection, key: &[u8], prefix: &str) -> bool {
    let is_ban = in_shard(key, prefix).is_some_and(|(_, name)| name.starts_with(b"m:"));
    is_ban && redis.hget::<_, _, Bytes>(key, "q").unwrap().is_empty()
}

/// The tag and the rest of a key that has the tag of a shard.
fn in_shard<'a>(key: &'a [u8], prefix: &str) -> Option<(String, &'a [u8])> {
    let rest = key.strip_prefix(prefix.as_bytes())?.strip_prefix(b":{")?;
    let (tag, rest) = rest.split_at_checked(2)?;
    let name = rest.strip_prefix(b"}:")?;
    Some((String::from_utf8(tag.to_vec()).ok()?, name))
}

fn read(redis: &mut Connection, key: &[u8], name: &[u8], shard: &mut Shard) {
    match name {
        [b's', b':', id @ ..] => {
            let fields: BTreeMap<Bytes, Bytes> = redis.hgetall(key).unwrap();
            let fields = fields.into_iter();
            let fields = fields.map(|(name, value)| (String::from_utf8(name).unwrap(), value));
            shard.records.insert(id.to_vec(), fields.collect());
        }
        [b'l', b':', login @ ..] => {
            let members = redis.zrange(key, 0, -1).unwrap();
            shard.logins.insert(login.to_vec(), members);
        }
        b"i" => shard.ids = redis.zrange(key, 0, -1).unwrap(),
        b"x" => {
            let scored: Vec<(Bytes, i64)> = redis.zrange_withscores(key, 0, -1).unwrap();
            shard.expiries = scored.into_iter().collect();
        }
        [b'n', b':', format @ ..] => {
            let counts: BTreeMap<Bytes, u64> = redis.hgetall(key).unwrap();
            let of_format = |(owner, count)| ((format.to_vec(), owner), count);
            shard.counts.extend(counts.into_iter().map(of_format));
        }
        _ => {}
    }
}

fn number(fields: &Fields, name: &str) -> i64 {
    let text = std::str::from_utf8(&fields[name]).unwrap();
    text.parse().unwrap()
}

fn check(shard: &Shard) {
    let live: BTreeSet<_> = shard
        .records
        .iter()
        .filter(|(_, fields)| is_live(fields))
        .collect();
    let ids: BTreeSet<Bytes> = live.iter().map(|(id, _)| (*id).clone()).collect();
    assert_eq!(ids, shard.ids, "the index of ids");
    let filed: BTreeSet<Bytes> = shard.expiries.keys().cloned().collect();
    assert_eq!(ids, filed, "the index of expiries");
    let of_logins: BTreeSet<Bytes> = shard.logins.values().flatten().cloned().collect();
    assert_eq!(ids, of_logins, "the indexes of logins");
    check_counts(&live, &shard.counts);
    for (id, fields) in &shard.records {
        assert!(FORMATS.contains(&&*fields["f"]), "the format");
        assert_eq!(&fields["d"], id, "the id in its record");
        check_former_tokens(fields);
    }
    for (id, fields) in live {
        let login = &Sha256::digest(&fields["l"])[..16];
        assert_eq!(fields["k"], login, "the key of the login");
        assert!(shard.logins[login].contains(id));
        assert!(shard.expiries[id] <= number(fields, "i"), "filed too late");
        check_attributes(fields);
    }
}

/// What versions before have ended that count nothing stays in the count of the first format, which goes with its sessions.
fn check_counts(live: &BTreeSet<(&Bytes, &Fields)>, told: &BTreeMap<(Bytes, Bytes), u64>) {
    let mut expected = counts(live);
    for ((format, owner), count) in told {
        let held = expected
            .remove(&(format.clone(), owner.clone()))
            .unwrap_or(0);
        let is_right = held == *count || (format == b"1" && held < *count);
        assert!(is_right, "{} has {held}, not {count}", owner.escape_ascii());
    }
    assert_eq!(expected, BTreeMap::new(), "owners that are not counted");
}

fn counts(live: &BTreeSet<(&Bytes, &Fields)>) -> BTreeMap<(Bytes, Bytes), u64> {
    let mut counts = BTreeMap::new();
    for (_, fields) in live {
        if let Some(format) = fields.get("N") {
            let registration = fields.get("O").cloned().unwrap_or_default();
            let owner = [&registration[..], b" ", &fields["o"]].concat();
            *counts.entry((format.clone(), owner)).or_default() += 1;
        }
    }
    counts
}

/// Either nothing of a rotation or all of it, each small enough for a small hash.
fn check_former_tokens(fields: &Fields) {
    let live = is_live(fields);
    for (name, needed) in [("F", true), ("G", true), ("R", live), ("X", live)] {
        let there = fields.get(name);
        let expected = needed && fields.contains_key("h");
        assert_eq!(there.is_some(), expected, "the field {name}");
        assert!(
            there.is_none_or(|value| value.len() <= 64),
            "{name} is long"
        );
    }
    let Some(previous) = fields.get("h") else {
        return;
    };
    let (marks, ends) = (&fields["F"], &fields["G"]);
    assert_eq!((marks.len() % 8, marks.len()), (0, ends.len()));
    assert_eq!(marks[marks.len() - 8..], previous[..8], "the last mark");
    assert!(!fields.contains_key("c"), "rotated into no own token");
}

fn is_live(fields: &Fields) -> bool {
    !fields.contains_key("r") || fields.contains_key("E")
}

fn check_attributes(fields: &Fields) {
    let attributes: Vec<_> = fields
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("a:")?, value)))
        .collect();
    let bytes: usize = attributes
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    assert_eq!(
        number(fields, "n"),
        i64::try_from(attributes.len()).unwrap()
    );
    assert_eq!(number(fields, "z"), i64::try_from(bytes).unwrap());
}

/// The stories of sessions, unless their beginnings are gone.
fn check_feed(redis: &mut Connection, stream: &str, shard: &Shard) {
    let entries: StreamRangeReply = redis.xrange_all(stream).unwrap();
    let appended: usize = cmd("XINFO")
        .arg("STREAM")
        .arg(stream)
        .query::<BTreeMap<String, deadpool_redis::redis::Value>>(redis)
        .map(|mut info| from_redis_value(info.remove("entries-added").unwrap()).unwrap())
        .unwrap();
    if appended > entries.ids.len() {
        return;
    }
    let mut stories: BTreeMap<Bytes, Vec<Fields>> = BTreeMap::new();
    for entry in entries.ids {
        let fields = entry.map.into_iter();
        let fields: Fields = fields
            .map(|(name, value)| (name, from_redis_value(value).unwrap()))
            .collect();
        // Bans are about no session.
        if let Some(id) = fields.get("s").cloned() {
            stories.entry(id).or_default().push(fields);
        }
    }
    for (id, story) in &stories {
        check_story(story);
        let ended = story.last().unwrap()["t"] == b"e";
        let live = shard.records.get(id).is_some_and(is_live);
        assert_eq!(live, !ended, "{} is told otherwise", id.escape_ascii());
    }
    for id in shard.records.keys() {
        assert!(stories.contains_key(id), "nothing is told of a session");
    }
}

/// A session may be opened again under its id when nothing is told of it any more.
fn check_story(story: &[Fields]) {
    let (mut version, mut live) = (1, false);
    for entry in story {
        match entry["t"].as_slice() {
            b"c" => {
                assert!(!live, "created twice");
                (version, live) = (1, true);
            }
            b"w" => {
                assert!(live, "changed before or after its life");
                let grows = i64::from(entry["w"] != b"expires_at");
                assert_eq!(number(entry, "v"), version + grows, "a version is missing");
                version += grows;
            }
            b"r" => assert!(live, "rotated before or after its life"),
            b"e" => {
                assert!(live, "ended twice");
                live = false;
            }
            other => panic!("{other:?} is no event of a session"),
        }
    }
}
