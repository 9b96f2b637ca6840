//! Records in hashes of their own, and guarded writes to them: what is decided from a record as it was seen is written
//! if it still stands so.

use super::args::Args;
use super::client::Client;
use super::fields::Fields;
use super::link::{Effect, Script, Slot};
use super::reply::{Reply, newer};
use super::scripts;
use crate::model::Timestamp;
use crate::store::StoreError;

/// The format of these records, which stands in the field `f`.
pub(super) const FORMAT: &str = "1";
/// How often a write is decided again because somebody else wrote.
const ATTEMPTS: usize = 100;

/// Where a record is.
#[derive(Debug)]
pub(super) struct Hash {
    /// What error messages call it.
    pub(super) record: &'static str,
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

/// The value of a field.
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

    /// Whether there is a record; an error if it is of a newer format.
    pub(super) fn is_there(&self, record: &'static str) -> Result<bool, StoreError> {
        match self.bytes("f") {
            None => Ok(false),
            Some(format) if format == FORMAT.as_bytes() => Ok(true),
            Some(format) => Err(newer(record, &String::from_utf8_lossy(format))),
        }
    }

    /// The arguments of the write that leaves `next` of what was seen in these fields, and the script for it: what only
    /// takes away is done by a server that is full, too.
    fn write(&self, fields: &[&str], next: &Next) -> (&'static Script, Args) {
        let seen = |name: &&str| self.bytes(name).unwrap_or_default().to_vec();
        let args = Args::new()
            .maybe(next.holds_until.map(Timestamp::millis))
            // A TTL of nothing would be an error.
            .maybe(
                next.until
                    .map(|until| until.since(self.now).as_millis().max(1)),
            )
            .show(fields.len())
            .all(fields.iter().map(|name| name.as_bytes().to_vec()))
            .all(fields.iter().map(seen));
        let stays = |name: &[u8]| next.fields.iter().any(|(kept, _)| kept.as_bytes() == name);
        let gone = self.fields.iter().filter(|(name, _)| !stays(name));
        let args = gone.fold(args, |args, (name, _)| args.bytes(name).text("-").text(""));
        let changed = next.fields.iter().filter(|(name, value)| match value {
            Value::Bytes(bytes) => self.bytes(name) != Some(bytes),
            Value::Moment(moment) => self.moment(name) != Some(*moment),
        });
        let args = changed.fold(args, |args, (name, value)| match value {
            Value::Bytes(bytes) => args.text(name).text("=").bytes(bytes),
            Value::Moment(moment) => {
                let later = moment.millis() - self.now.millis();
                args.text(name).text("+").show(later)
            }
        });
        if next.fields.is_empty() {
            (&scripts::CLEAR_HASH, args)
        } else {
            (&scripts::WRITE_HASH, args)
        }
    }
}

impl Client {
    /// What stands in a hash.
    pub(super) async fn see(&self, hash: &Hash) -> Result<Seen, StoreError> {
        let (script, effect) = (&scripts::READ_HASH, Effect::Repeatable);
        let mut reply = self.run_on_hash(hash, script, Args::new(), effect).await?;
        match reply.text()?.as_str() {
            "seen" => read(&mut reply),
            word => Err(reply.unexpected(hash.record, word)),
        }
    }

    /// Leaves `next` in a hash and tells the moment, or what stands there instead of what was seen.
    pub(super) async fn write_hash(
        &self,
        hash: &Hash,
        seen: &Seen,
        next: &Next,
        effect: Effect,
    ) -> Result<Result<Timestamp, Seen>, StoreError> {
        let (script, args) = seen.write(hash.fields, next);
        let mut reply = self.run_on_hash(hash, script, args, effect).await?;
        match reply.text()?.as_str() {
            "done" => reply.moment().map(Ok),
            "seen" => read(&mut reply).map(Err),
            word => Err(reply.unexpected(hash.record, word)),
        }
    }

    async fn run_on_hash(
        &self,
        hash: &Hash,
        script: &Script,
        args: Args,
        effect: Effect,
    ) -> Result<Reply, StoreError> {
        let moment = Args::new().maybe(self.test_moment().map(Timestamp::millis));
        let (keys, args) = (vec![hash.key.clone()], moment.all(args.0));
        self.run_bare(hash.slot, script, keys, args, effect).await
    }

    /// Decides over what was seen and writes it; decides again over what stands there if it does not stand so any more.
    /// Tells the outcome with its moment.
    pub(super) async fn decide_over<T>(
        &self,
        hash: &Hash,
        mut seen: Seen,
        effect: Effect,
        decide: impl Fn(&Seen) -> Result<(T, Option<Next>), StoreError> + Send + Sync,
    ) -> Result<(T, Timestamp), StoreError> {
        for _attempt in 0..ATTEMPTS {
            let (outcome, next) = decide(&seen)?;
            let Some(next) = next else {
                return Ok((outcome, seen.now));
            };
            match self.write_hash(hash, &seen, &next, effect).await? {
                Ok(now) => return Ok((outcome, now)),
                Err(present) => seen = present,
            }
        }
        Err(StoreError::Overloaded)
    }
}

fn read(reply: &mut Reply) -> Result<Seen, StoreError> {
    let now = reply.moment()?;
    let fields = reply.fields()?;
    Ok(Seen { fields, now })
}
