//! A new token in the place of another.

use super::stored::StoredSession;
use super::txn::Txn;
use crate::model::event::Change;
use crate::model::rotation::Exchange;
use crate::model::session::{EndReason, Ended};
use crate::model::session_token::Standing;
use crate::store::{Lookup, OpError, Refusal, Rotated, TokenRotation};

pub(super) fn rotate(txn: &mut Txn<'_>, asked: TokenRotation) -> Result<Rotated, OpError> {
    let scope = &asked.access.scope;
    match txn.meet(asked.session_id)? {
        Lookup::Live(stored) if scope.covers(&stored.record.session.service_id) => {
            exchange(txn, *stored, asked)
        }
        Lookup::Ended(tombstone)
            if scope.covers(&tombstone.service_id)
                && tombstone.standing(&asked.presented, txn.now) != Standing::Never =>
        {
            Err(Refusal::SessionEnded(tombstone).into())
        }
        Lookup::Live(_) | Lookup::Ended(_) | Lookup::Unknown => Err(Refusal::TokenUnknown.into()),
    }
}

fn exchange(
    txn: &mut Txn<'_>,
    mut stored: StoredSession,
    asked: TokenRotation,
) -> Result<Rotated, OpError> {
    let by = asked.access.service_id;
    let record = &mut stored.record;
    match record.rotate(&asked.presented, asked.successor, asked.grace, txn.now) {
        Exchange::Done => {
            txn.append_for(
                &stored.record.session,
                txn.now,
                Change::SessionRotated { by },
            )?;
            txn.save(stored.clone())?;
            Ok(Rotated::Now(Box::new(txn.shared.shown(stored, txn.now))))
        }
        Exchange::Again => Ok(Rotated::Now(Box::new(txn.shared.shown(stored, txn.now)))),
        Exchange::Before(sealed) => {
            let session = Box::new(txn.shared.shown(stored, txn.now));
            Ok(Rotated::Before(session, sealed))
        }
        Exchange::Reused => {
            let ended = Ended::by_service(EndReason::TokenReuse, txn.now, by);
            let kept = txn.end(&stored, ended)?;
            Err(Refusal::SessionEnded(Box::new(kept.value)).into())
        }
        Exchange::Unknown => Err(Refusal::TokenUnknown.into()),
    }
}
