//! Rotations of tokens that a failover has taken back.

use std::time::Duration;

use super::super::call::{List, call, table};
use super::super::connections::Effect;
use super::super::record::SESSION;
use super::super::streams;
use super::{Recovery, STEP};
use crate::model::Timestamp;
use crate::model::id::{ServiceId, SessionId};
use crate::model::token::CredentialHash;
use crate::store::node::recovery::Made;
use crate::store::{Partition, StoreError};

table! {
    struct RotationMade<'a> {
        id: SessionId,
        presented: CredentialHash,
        hash: CredentialHash,
        sealed: &'a [u8],
        at: Timestamp,
        grace: Duration,
        by: &'a ServiceId,
    }
}

call! {
    struct RotateAgain<'a>: "rotate_again.lua", "allow-oom", [SHARD, SESSION, SWAP_TOKEN] {
        rotations: List<RotationMade<'a>>,
    }
    SESSION, replicated: false, effect: Effect::Repeatable;
    (self, reply) -> u64 { "done" => reply.number()?.unsigned_abs(), }
}

impl Recovery {
    /// How many sessions of a shard had a token again that was rotated.
    pub(super) async fn rotate_again(&self, shard: Partition) -> Result<u64, StoreError> {
        let slot = streams::slot(shard);
        let mut count = 0;
        for made in self.log.rotations(shard).chunks(STEP) {
            let rotations = List(made.iter().map(RotationMade::of).collect());
            count += self.client.call(slot, &RotateAgain { rotations }).await?;
        }
        Ok(count)
    }
}

impl<'a> RotationMade<'a> {
    fn of(made: &'a Made) -> Self {
        let rotation = &made.rotation;
        Self {
            id: rotation.session_id,
            presented: rotation.presented,
            hash: rotation.successor.hash,
            sealed: &rotation.successor.sealed.0,
            at: made.at,
            grace: rotation.grace,
            by: &rotation.access.service_id,
        }
    }
}
