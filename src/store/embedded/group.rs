//! A group of writes: one transaction, one sync, and then everybody is answered.

use std::error::Error as StdError;
use std::sync::Arc;

use redb::Durability;

use super::job::{GroupFailure, Job, TornJob};
use super::room::{Course, Purpose, Shortage};
use super::txn::Txn;
use super::volume::Fault;
use super::{Shared, verify};
use crate::model::event::Event;
use crate::store::Origin;
use crate::store::node::activity::SessionActivity;
use crate::telemetry::log::with_causes;
use crate::telemetry::panics::contain;

/// Whether a group had anything to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Something,
    Nothing,
}

/// Writes with who waits for them, and uses that are due.
#[derive(Default)]
pub(super) struct Round {
    pub(super) jobs: Vec<(Purpose, Box<dyn Job>)>,
    pub(super) activity: Vec<SessionActivity>,
}

impl Round {
    /// Writes everything for which there is room, and answers everybody.
    pub(super) fn write(self, shared: &Shared, shortage: &mut Shortage) {
        let volume = shared.engine.volume();
        match shortage.course(volume) {
            Course::Together => {
                volume.spend_reserve(false);
                self.write_one(shared, shortage, Purpose::Keep);
            }
            Course::Apart => {
                let (keeping, releasing) = self.apart();
                volume.spend_reserve(true);
                releasing.write_if_tried(shared, shortage, Purpose::Release);
                volume.spend_reserve(false);
                keeping.write_if_tried(shared, shortage, Purpose::Keep);
            }
        }
    }

    fn apart(self) -> (Self, Self) {
        let is_keeping = |(purpose, _): &(Purpose, _)| *purpose == Purpose::Keep;
        let (keeping, releasing) = self.jobs.into_iter().partition(is_keeping);
        let keeping = Self {
            jobs: keeping,
            activity: Vec::new(),
        };
        let releasing = Self {
            jobs: releasing,
            activity: self.activity,
        };
        (keeping, releasing)
    }

    fn write_if_tried(self, shared: &Shared, shortage: &mut Shortage, purpose: Purpose) {
        if self.jobs.is_empty() && self.activity.is_empty() {
            return;
        }
        if shortage.tries(purpose, shared.engine.volume()) {
            return self.write_one(shared, shortage, purpose);
        }
        shared.engine.volume().set_full(true);
        self.answer(Some(&GroupFailure::NoRoom));
    }

    fn write_one(mut self, shared: &Shared, shortage: &mut Shortage, purpose: Purpose) {
        if self.jobs.is_empty() && self.activity.is_empty() {
            return;
        }
        let outcome = self.attempt(shared);
        match &outcome {
            Ok(written) => {
                let now = shared.now();
                for touch in &self.activity {
                    shared.activity.written(*touch, now);
                }
                // A group that wrote nothing has found out nothing.
                if *written == Written::Something {
                    shortage.found_room(purpose, shared.engine.volume());
                }
            }
            Err(GroupFailure::NoRoom) => shortage.found_none(purpose, shared.engine.volume()),
            Err(GroupFailure::Engine(_) | GroupFailure::Panicked(_)) => {
                shared.stop_writes();
                tracing::error!(error = ?outcome, "the store takes no more writes");
            }
            Err(GroupFailure::Torn | GroupFailure::Stopped) => {}
        }
        self.answer(outcome.as_ref().err());
    }

    fn answer(self, failure: Option<&GroupFailure>) {
        for (_, job) in self.jobs {
            job.answer(failure);
        }
    }

    /// After a write that found no room the engine is open again, with the file as it was, or is opened by the next one.
    fn attempt(&mut self, shared: &Shared) -> Result<Written, GroupFailure> {
        if shared.writes_stopped() {
            return Err(GroupFailure::Stopped);
        }
        let volume = shared.engine.volume();
        volume.forget_fault();
        let outcome = contain(|| {
            shared.engine.ensure_open().map_err(failed)?;
            self.commit(shared)
        });
        let outcome = outcome.unwrap_or_else(|panic| Err(GroupFailure::Panicked(panic)));
        if outcome.is_err() && volume.fault() == Some(Fault::NoRoom) {
            volume.spend_reserve(true);
            if let Err(error) = shared.engine.open_again() {
                tracing::warn!(error = with_causes(&error), "store.not_open");
            }
            return Err(GroupFailure::NoRoom);
        }
        outcome
    }

    /// Runs the group in one transaction. When this returns without an error, the group is on the disk, visible, and told
    /// to the listeners.
    fn commit(&mut self, shared: &Shared) -> Result<Written, GroupFailure> {
        let mut write = shared.engine.begin_write().map_err(failed)?;
        write
            .set_durability(Durability::Immediate)
            .map_err(failed)?;
        // Opening after a crash then takes no walk over the whole file.
        write.set_quick_repair(shared.on_disk);
        match self.run(shared, &write) {
            Ok(Some(written)) => {
                write.commit().map_err(failed)?;
                for (event, origin) in &written {
                    shared.listeners.event(event, *origin);
                }
                Ok(Written::Something)
            }
            Ok(None) => {
                write.abort().map_err(failed)?;
                Ok(Written::Nothing)
            }
            Err(failure) => {
                write.abort().map_err(failed)?;
                Err(failure)
            }
        }
    }

    /// What listeners are told of the group, if anything was written.
    fn run(
        &mut self,
        shared: &Shared,
        write: &redb::WriteTransaction,
    ) -> Result<Option<Vec<(Event, Origin)>>, GroupFailure> {
        let mut txn = Txn::open(write, shared).map_err(failed)?;
        for (_, job) in &mut self.jobs {
            job.run(&mut txn).map_err(|TornJob| GroupFailure::Torn)?;
        }
        txn.begin_job();
        for touch in &self.activity {
            let written = verify::write_touch(&mut txn, *touch);
            if written.is_err() && txn.job_wrote {
                return Err(GroupFailure::Torn);
            }
        }
        txn.finish().map_err(failed)?;
        Ok(txn.group_wrote.then_some(txn.told))
    }
}

fn failed(error: impl StdError + Send + Sync + 'static) -> GroupFailure {
    GroupFailure::Engine(Arc::new(error))
}
