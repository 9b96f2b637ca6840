//! What is told when somebody sets the wall clock. The clock of the store goes on as before; only at the next start it
//! begins with what the wall clock shows then.

use crate::clock::Clock;
use crate::model::health::{Risk, StoreWarning};

/// Milliseconds that the wall clock must be off to be told of: less is no step that anybody would notice.
const STEP: i64 = 1_000;

/// Tells the log once of each step.
#[derive(Debug, Default)]
pub(super) struct StepLog {
    told: i64,
}

impl StepLog {
    pub(super) fn look(&mut self, clock: &dyn Clock) {
        let offset = clock.wall_clock_offset();
        if offset.abs_diff(self.told) >= STEP.unsigned_abs() {
            self.told = offset;
            tracing::warn!(offset_ms = offset, "clock.stepped");
        }
    }
}

/// What an operator should know of the wall clock, if it was set.
pub(super) fn warning(clock: &dyn Clock) -> Option<StoreWarning> {
    let offset = clock.wall_clock_offset();
    (offset.abs() >= STEP).then(|| StoreWarning {
        code: Risk::ClockStepped,
        detail: format!(
            "the wall clock is {} s {} the time of the gateway, as it was set while that ran; set it right, or restart \
             the gateway to go by it",
            offset.abs() / 1_000,
            if offset > 0 { "ahead of" } else { "behind" },
        ),
    })
}
