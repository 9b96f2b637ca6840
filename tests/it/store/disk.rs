//! A disk in memory that remembers what is synced, fails on command, and can lose its power.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Platter>);

#[derive(Debug, Default)]
struct Platter {
    state: Mutex<State>,
    healed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Change>,
    fault: Option<Fault>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

/// What goes wrong from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Syncing fails; what was written may be lost.
    Sync,
    /// Writing fails.
    Write,
    /// There is no room left for it to grow.
    Full,
    /// Syncing panics, as a bug below the store would.
    Panic,
    /// Syncing does not come back until the disk is healed.
    Hang,
}

/// What a write is cut into when the power fails.
const SECTOR: usize = 512;

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        let locked = self.0.state.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fail(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    pub(crate) fn heal(&self) {
        self.state().fault = None;
        self.0.healed.notify_all();
    }

    /// A disk with what this one holds if its power fails now: all that was synced, and of the rest the sectors that
    /// `survives` says.
    pub(crate) fn after_power_cut(&self, mut survives: impl FnMut() -> bool) -> Self {
        let state = self.state();
        let mut bytes = state.synced.clone();
        for change in &state.unsynced {
            match change {
                Change::Length(length) if survives() => bytes.resize(*length, 0),
                Change::Length(_) => {}
                Change::Write(offset, data) => {
                    for (sector, data) in data.chunks(SECTOR).enumerate() {
                        if survives() {
                            write(&mut bytes, offset + sector * SECTOR, data);
                        }
                    }
                }
            }
        }
        Self(Arc::new(Platter {
            state: Mutex::new(State {
                synced: bytes.clone(),
                bytes,
                ..State::default()
            }),
            healed: Condvar::new(),
        }))
    }

    /// The same bytes on a disk of its own, all synced and without faults.
    pub(crate) fn copy(&self) -> Self {
        self.after_power_cut(|| true)
    }
}

fn write(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

impl State {
    fn fault(&self, faults: &[Fault], kind: io::ErrorKind) -> io::Result<()> {
        match self.fault {
            Some(fault) if faults.contains(&fault) => Err(io::Error::new(kind, "injected")),
            Some(_) | None => Ok(()),
        }
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        self.fault(&[Fault::Write], io::ErrorKind::Other)?;
        let end = match &change {
            Change::Write(offset, data) => offset + data.len(),
            Change::Length(length) => *length,
        };
        if end > self.bytes.len() {
            self.fault(&[Fault::Full], io::ErrorKind::StorageFull)?;
        }
        apply(&mut self.bytes, &change);
        self.unsynced.push(change);
        Ok(())
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(offset, data) => write(bytes, *offset, data),
        Change::Length(length) => bytes.resize(*length, 0),
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = index(offset);
        let state = self.state();
        let bytes = state.bytes.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.state().change(Change::Length(index(length)))
    }

    fn sync_data(&self) -> io::Result<()> {
        let hangs = |state: &mut State| state.fault == Some(Fault::Hang);
        let healed = self.0.healed.wait_while(self.state(), hangs);
        let mut state = healed.unwrap_or_else(PoisonError::into_inner);
        assert!(state.fault != Some(Fault::Panic), "injected");
        state.fault(&[Fault::Sync], io::ErrorKind::Other)?;
        let State {
            synced, unsynced, ..
        } = &mut *state;
        for change in unsynced.drain(..) {
            apply(synced, &change);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let change = Change::Write(index(offset), data.to_vec());
        self.state().change(change)
    }
}
