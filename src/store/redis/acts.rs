//! What a script did to sessions, as the end of its answer tells it.

use std::time::Duration;

use super::Inner;
use super::fields::reason_of;
use super::reply::Reply;
use crate::store::{Act, StoreError};

impl Inner {
    /// Takes it from an answer, and tells it.
    pub(super) fn tell_acts(&self, reply: &mut Reply) -> Result<(), StoreError> {
        let mut acts = reply.last()?;
        while !acts.is_empty() {
            if let Some(act) = read(&mut acts.list()?)? {
                self.listeners.acted(&act);
            }
        }
        Ok(())
    }
}

/// `None` if this version does not know it.
fn read(act: &mut Reply) -> Result<Option<Act>, StoreError> {
    Ok(match act.text()?.as_str() {
        "opened" => Some(Act::Opened),
        "ended" => {
            let reason = reason_of(&act.text()?);
            let lived = Duration::from_millis(u64::try_from(act.number()?).unwrap_or(0));
            reason.map(|reason| Act::Ended { reason, lived })
        }
        _ => None,
    })
}
