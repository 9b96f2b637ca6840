//! The records of idempotency keys. Most keys are new, so the first write is made before anything is read.

use async_trait::async_trait;
use deadpool_redis::redis;

use super::RedisStore;
use super::client::Client;
use super::connections::{Effect, Slot};
use super::fields::Fields;
use super::formats::{Formats, WITH_REMAINS};
use super::hashes::{Change, Hash, HashWrite, Next, Seen, Value};
use crate::rules::idempotency::{Claim, IdempotencyRecord, claim};
use crate::store::{IdempotencyRecordKey, IdempotencyStore, StoreError};

/// What error messages call it.
const RECORD: &str = "idempotency record";
const FIELDS: &[&str] = &["f", "p", "d", "u", "q", "a"];

#[async_trait]
impl IdempotencyStore for RedisStore {
    async fn claim(
        &self,
        key: IdempotencyRecordKey,
        fingerprint: [u8; 32],
        sealed_entropy: Vec<u8>,
    ) -> Result<Claim, StoreError> {
        let hash = hash(&self.client, &key);
        let unseen = Seen {
            fields: Fields::new(),
            now: self.client.clock(hash.slot).now,
        };
        let formats = &self.client.formats;
        let decide = |seen: &Seen| {
            let held = record(seen, formats)?;
            let (claim, next) = claim(held, fingerprint, &sealed_entropy, seen.now);
            Ok((claim, next.map(|next| next_record(next, formats.written()))))
        };
        let decided = self.client.decide_over(&hash, unseen, Effect::Once, decide);
        Ok(decided.await?.0)
    }

    fn may_keep_remains(&self) -> bool {
        self.client.formats.written() >= WITH_REMAINS
    }

    async fn keep_answer(
        &self,
        key: IdempotencyRecordKey,
        sealed_answer: Vec<u8>,
    ) -> Result<(), StoreError> {
        // Nothing is read before: in a record whose time is over an answer is never looked at.
        let formats = &self.client.formats;
        let mut write = HashWrite {
            seen: vec![("f", formats.written().to_string().into())],
            changes: vec![("a".into(), Change::Put(sealed_answer))],
            ..HashWrite::default()
        };
        let hash = hash(&self.client, &key);
        loop {
            let written = self.client.write_hash(&hash, &write, Effect::Repeatable);
            let Err(seen) = written.await? else {
                return Ok(());
            };
            // The record may be of another format than is written by now.
            match seen.format(RECORD, formats)? {
                Some(format) => write.seen = vec![("f", format.to_vec())],
                None => return Ok(()),
            }
        }
    }

    async fn release(&self, key: IdempotencyRecordKey) -> Result<(), StoreError> {
        let mut delete = redis::cmd("DEL");
        delete.arg(self.client.keys.idempotency_record(&key.0));
        self.client.command(Slot::Hash(key.0), &delete).await?;
        Ok(())
    }
}

fn hash(client: &Client, key: &IdempotencyRecordKey) -> Hash {
    Hash {
        slot: Slot::Hash(key.0),
        key: client.keys.idempotency_record(&key.0),
        fields: FIELDS,
    }
}

fn record(seen: &Seen, formats: &Formats) -> Result<Option<IdempotencyRecord>, StoreError> {
    if seen.format(RECORD, formats)?.is_none() {
        return Ok(None);
    }
    let read = || {
        Some(IdempotencyRecord {
            until: seen.moment("q")?,
            fingerprint: seen.bytes("p")?.try_into().ok()?,
            sealed_entropy: seen.bytes("d")?.to_vec(),
            lease_until: seen.moment("u")?,
            sealed_answer: seen.bytes("a").map(<[u8]>::to_vec),
        })
    };
    Ok(read())
}

/// What is granted once is granted later too: only writes change that.
fn next_record(record: IdempotencyRecord, format: u64) -> Next {
    let mut fields = vec![
        ("f", Value::Bytes(format.to_string().into())),
        ("p", Value::Bytes(record.fingerprint.to_vec())),
        ("d", Value::Bytes(record.sealed_entropy)),
        ("u", Value::Moment(record.lease_until)),
        ("q", Value::Moment(record.until)),
    ];
    fields.extend(
        record
            .sealed_answer
            .map(|answer| ("a", Value::Bytes(answer))),
    );
    Next {
        fields,
        holds_until: None,
        until: Some(record.until),
    }
}
