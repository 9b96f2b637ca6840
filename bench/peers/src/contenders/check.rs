//! Nothing is measured that does not do its work: live is told from unknown, and who has no memory asks Redis.

use super::{HttpContender, LookUp};
use crate::load::{Requests, call, each};

/// Requests of the check, or all if there are fewer.
const REQUESTS: usize = 1_000;

/// Reads that are allowed beside them: a copy may be read anew.
const OTHERS: u64 = 50;

pub(super) fn check(contender: &HttpContender) {
    let address = contender.server.address;
    call(address, &contender.unknown, |response| {
        contender.bad.check(response);
    });
    // Also warms the cache, where there is one.
    each(address, &contender.requests, |response| {
        contender.good.check(response);
    });
    let count = REQUESTS.min(contender.requests.len());
    let some: Requests = (0..count)
        .map(|index| contender.requests.get(index))
        .collect();
    let Some(redis) = &contender.redis else {
        return;
    };
    let before = redis.served().reads;
    each(address, &some, |response| contender.good.check(response));
    let reads = redis.served().reads - before;
    match contender.look_up {
        LookUp::EachTime => assert!(reads >= count as u64, "{reads} reads for {count} requests"),
        LookUp::FromMemory => assert!(reads <= OTHERS, "{reads} reads for {count} requests"),
    }
}
