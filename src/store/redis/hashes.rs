//! Records in hashes of their own, and guarded writes to them: what is decided from a record as it was seen is written
//! if it still stands so.
//!
//! Their moments are the server's plain time, which a failover to a slower clock takes back; that of the shards never
//! goes back behind their last event. Here it need not: none of these writes tells an event, so no order of moments is
//! promised to anybody, and a time that counts twice only keeps a lease, an answer or a profile that much longer.

use std::time::Duration;

use tokio::time::Instant;

use super::call::{List, call, table};
use super::client::Client;
use super::connections::{Effect, Slot};
use super::fields::Fields;
use super::formats::Formats;
use super::reply::{Reply, newer};
use crate::model::Timestamp;
use crate::store::StoreError;

#[derive(Debug)]
pub(super) struct Hash {
    pub(super) slot: Slot,
    pub(super) key: Vec<u8>,
    /// The fields that it may have.
    pub(super) fields: &'static [&'static str],
}

/// What stood in a hash at a moment of its server's clock.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) fields: Fields,
    pub(super) now: Timestamp,
}

#[derive(Debug)]
pub(super) enum Value {
    Bytes(Vec<u8>),
    /// It is written as far from the moment of the write as it is from the moment of the decision.
    Moment(Timestamp),
}

/// What is decided to stand in a hash.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) fields: Vec<(&'static str, Value)>,
    /// The moment at which time alone would change the decision.
    pub(super) holds_until: Option<Timestamp>,
    /// Until when any of it counts.
    pub(super) until: Option<Timestamp>,
}

/// A write to a hash, and what it was decided from.
#[derive(Debug, Default)]
pub(super) struct HashWrite {
    pub(super) seen: Vec<(&'static str, Vec<u8>)>,
    pub(super) holds_until: Option<Timestamp>,
    pub(super) changes: Vec<(Vec<u8>, Change)>,
    pub(super) ttl: Option<Duration>,
    /// Whether a server that is full takes it too, as it does what only takes away.
    pub(super) when_full: bool,
}

#[derive(Debug)]
pub(super) enum Change {
    Put(Vec<u8>),
    /// A moment is put that lies this many milliseconds after the write.
    PutMoment(i64),
    Drop,
}

impl Seen {
    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        let mut fields = self.fields.iter();
        let (_, value) = fields.find(|(field, _)| field == name.as_bytes())?;
        Some(value)
    }

    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        std::str::from_utf8(self.bytes(name)?).ok()?.parse().ok()
    }

    pub(super) fn moment(&self, name: &str) -> Option<Timestamp> {
        self.number(name).map(Timestamp::from_millis)
    }

    /// The format of the record, if there is one; an error if it is a newer one.
    pub(super) fn format(
        &self,
        record: &'static str,
        formats: &Formats,
    ) -> Result<Option<&[u8]>, StoreError> {
        match self.bytes("f") {
            Some(format) if formats.reads(format) != Some(true) => Err(newer(record, format)),
            format => Ok(format),
        }
    }

    /// The write that leaves `next` of what was seen.
    fn write(&self, fields: &[&'static str], decided: Next) -> HashWrite {
        let value = |name: &&'static str| (*name, self.bytes(name).unwrap_or_default().to_vec());
        let names = self.fields.iter().map(|(name, _)| name);
        let stays = |name: &&Vec<u8>| {
            let mut kept = decided.fields.iter();
            kept.any(|(kept, _)| kept.as_bytes() == name.as_slice())
        };
        let dropped = names.filter(|name| !stays(name));
        let mut changes: Vec<_> = dropped.map(|name| (name.clone(), Change::Drop)).collect();
        for (name, value) in decided.fields {
            let change = match value {
                Value::Bytes(bytes) if self.bytes(name) == Some(&bytes) => continue,
                Value::Bytes(bytes) => Change::Put(bytes),
                Value::Moment(moment) if self.moment(name) == Some(moment) => continue,
                Value::Moment(moment) => Change::PutMoment(moment.millis() - self.now.millis()),
            };
            changes.push((name.into(), change));
        }
        HashWrite {
            seen: fields.iter().map(value).collect(),
            holds_until: decided.holds_until,
            changes,
            ttl: decided.until.map(|until| until.since(self.now)),
            when_full: false,
        }
    }
}

table! {
    struct FieldChange {
        name: Vec<u8>,
        how: &'static str,
        value: Vec<u8>,
    }
}

table! {
    struct GuardedWrite {
        holds_until: Option<Timestamp>,
        ttl: Option<Duration>,
        names: List<&'static str>,
        values: List<Vec<u8>>,
        changes: List<FieldChange>,
    }
}

call! {
    struct ReadHash: "read_hash.lua", "no-writes", [CLOCK] {}
    "record", replicated: false, effect: Effect::Repeatable;
    (self, reply) -> Seen { "seen" => seen(reply)?, }
}

call! {
    struct WriteHash: "write_hash.lua", "", [CLOCK] {
        write: GuardedWrite,
    }, with {
        effect: Effect,
    }
    "record", replicated: false, effect: self.effect;
    (self, reply) -> Result<Timestamp, Seen> {
        "done" => Ok(reply.moment()?),
        "seen" => Err(seen(reply)?),
    }
}

// The same for a server that is full.
call! {
    struct WriteFullHash: "write_hash.lua", "allow-oom", [CLOCK] {
        write: GuardedWrite,
    }, with {
        effect: Effect,
    }
    "record", replicated: false, effect: self.effect;
    (self, reply) -> Result<Timestamp, Seen> {
        "done" => Ok(reply.moment()?),
        "seen" => Err(seen(reply)?),
    }
}

impl HashWrite {
    fn only_drops(&self) -> bool {
        let drops = |(_, change): &(_, Change)| matches!(change, Change::Drop);
        self.changes.iter().all(drops)
    }

    fn guarded(&self) -> GuardedWrite {
        let (names, values): (Vec<_>, Vec<_>) = self.seen.iter().cloned().unzip();
        let changes = self.changes.iter().map(|(name, change)| {
            let (how, value) = match change {
                Change::Put(bytes) => ("=", bytes.clone()),
                Change::PutMoment(millis) => ("+", millis.to_string().into_bytes()),
                Change::Drop => ("-", Vec::new()),
            };
            FieldChange {
                name: name.clone(),
                how,
                value,
            }
        });
        GuardedWrite {
            holds_until: self.holds_until,
            // A TTL of nothing would be an error.
            ttl: self.ttl.map(|ttl| ttl.max(Duration::from_millis(1))),
            names: List(names),
            values: List(values),
            changes: List(changes.collect()),
        }
    }
}

impl Client {
    pub(super) async fn see(&self, hash: &Hash) -> Result<Seen, StoreError> {
        self.call_on(hash.slot, hash.key.clone(), &ReadHash {})
            .await
    }

    /// Writes to a hash and tells the moment, or what stands there instead of what was seen.
    pub(super) async fn write_hash(
        &self,
        hash: &Hash,
        write: &HashWrite,
        effect: Effect,
    ) -> Result<Result<Timestamp, Seen>, StoreError> {
        let (slot, key) = (hash.slot, hash.key.clone());
        let when_full = write.when_full || write.only_drops();
        let write = write.guarded();
        if when_full {
            self.call_on(slot, key, &WriteFullHash { write, effect })
                .await
        } else {
            self.call_on(slot, key, &WriteHash { write, effect }).await
        }
    }

    /// Decides over what was seen and writes it; decides again over what stands there if it does not stand so any more,
    /// as long as an operation may be tried again. Tells the outcome with its moment.
    pub(super) async fn decide_over<T>(
        &self,
        hash: &Hash,
        mut seen: Seen,
        effect: Effect,
        decide: impl Fn(&Seen) -> Result<(T, Option<Next>), StoreError> + Send + Sync,
    ) -> Result<(T, Timestamp), StoreError> {
        let deadline = self.connections.operation_deadline();
        loop {
            let (outcome, next) = decide(&seen)?;
            let Some(next) = next else {
                return Ok((outcome, seen.now));
            };
            let write = seen.write(hash.fields, next);
            seen = match self.write_hash(hash, &write, effect).await? {
                Ok(now) => return Ok((outcome, now)),
                Err(_) if Instant::now() >= deadline => return Err(StoreError::Overloaded),
                Err(present) => present,
            };
        }
    }
}

fn seen(reply: &mut Reply) -> Result<Seen, StoreError> {
    let now = reply.moment()?;
    let fields = reply.fields()?;
    Ok(Seen { fields, now })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::RedisSettings;
    use super::super::connections::Deadlines;
    use super::super::connections::tests::servers::RedisServer;
    use super::super::connections::tests::settings;
    use super::*;

    const DEADLINES: Deadlines = Deadlines {
        wait: Duration::from_millis(100),
        command: Duration::from_millis(400),
        connect: Duration::from_secs(5),
    };

    #[tokio::test]
    async fn a_write_that_somebody_always_overtakes_is_given_up_by_the_deadline_of_an_operation() {
        let server = RedisServer::start().await;
        let settings = RedisSettings {
            deadlines: DEADLINES,
            ..settings(&server.url())
        };
        let client = Client::open(&settings, 0).await.unwrap();
        let hash = Hash {
            slot: Slot::Hash([7; 32]),
            key: b"hash".to_vec(),
            fields: &["f"],
        };
        let attempts = AtomicUsize::new(0);
        let overtaken = |_: &Seen| {
            attempts.fetch_add(1, Ordering::Relaxed);
            let next = Next {
                fields: vec![("f", Value::Bytes("1".into()))],
                holds_until: Some(Timestamp::from_millis(0)),
                until: None,
            };
            Ok(((), Some(next)))
        };
        let seen = client.see(&hash).await.unwrap();
        let begun = Instant::now();
        let decided = client.decide_over(&hash, seen, Effect::Once, overtaken);
        let given_up = decided.await;
        assert!(
            matches!(given_up, Err(StoreError::Overloaded)),
            "{given_up:?}"
        );
        assert!(begun.elapsed() >= DEADLINES.wait + DEADLINES.command);
        assert!(begun.elapsed() < 4 * DEADLINES.command);
        assert!(attempts.into_inner() > 1);
        let left = client.see(&hash).await.unwrap();
        assert_eq!(left.format("hash", &client.formats).unwrap(), None);
    }
}
