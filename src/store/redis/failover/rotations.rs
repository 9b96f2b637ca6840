//! Rotations of tokens that a failover has taken back.

use super::super::args::Args;
use super::super::link::Effect;
use super::super::places;
use super::super::scripts;
use super::{Recovery, STEP};
use crate::store::node::recovery::Made;
use crate::store::{Partition, StoreError};

impl Recovery {
    /// How many sessions of a shard had a token again that was rotated.
    pub(super) async fn rotate_again(&self, shard: Partition) -> Result<u64, StoreError> {
        let slot = places::slot(shard);
        let mut count = 0;
        for made in self.log.rotations(shard).chunks(STEP) {
            let args = made.iter().fold(Args::new().show(made.len()), with);
            let effect = Effect::Repeatable;
            let mut reply = self
                .client
                .run(slot, &scripts::ROTATE_AGAIN, args, effect)
                .await?;
            reply.text()?;
            count += reply.number()?.unsigned_abs();
        }
        Ok(count)
    }
}

fn with(args: Args, made: &Made) -> Args {
    let rotation = &made.rotation;
    args.bytes(rotation.session_id.as_bytes())
        .bytes(rotation.presented.as_bytes())
        .bytes(rotation.successor.hash.as_bytes())
        .bytes(&rotation.successor.sealed.0)
        .show(made.at.millis())
        .millis(rotation.grace)
        .show(&rotation.access.service_id)
}
