//! Room on the file system that a file holds, so that no other program takes it. It is given back piece by piece to
//! writes that must go on while the disk is full, and taken again as soon as there is room.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FallocateFlags, fallocate, fstatvfs};
use rustix::io::Errno;

/// What is given back at a time: more than one group of endings needs, little enough that others take little of it.
pub(super) const PIECE: u64 = 1 << 20;

/// The greatest and the smallest reserve that nobody has set, and its part of the file system in between.
const MOST: u64 = 64 << 20;
const LEAST: u64 = 16 << 20;
const PART: u64 = 20;

/// The file system that the store is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Space {
    /// Bytes of the whole of it.
    pub(super) total: u64,
    /// Bytes that can still be written to it.
    pub(super) available: u64,
}

/// A file of a certain size, as far as there was room for it.
#[derive(Debug)]
pub(super) struct Reserve {
    file: File,
    size: u64,
    held: Mutex<u64>,
}

impl Reserve {
    /// What is there of it; [`refill`](Self::refill) takes the rest.
    pub(super) fn open(path: &Path, size: Option<u64>) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let size = match size {
            Some(size) => size,
            None => (space(&file)?.total / PART).clamp(LEAST, MOST),
        };
        let mut held = file.metadata()?.len();
        if held > size {
            file.set_len(size)?;
            held = size;
        }
        Ok(Self {
            file,
            size,
            held: Mutex::new(held),
        })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    fn held(&self) -> MutexGuard<'_, u64> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn space(&self) -> io::Result<Space> {
        space(&self.file)
    }

    /// How much of it is there.
    pub(super) fn len(&self) -> u64 {
        *self.held()
    }

    /// Whether enough of it is there that more may be kept.
    pub(super) fn is_enough(&self) -> bool {
        self.len() >= self.size / 2
    }

    /// Takes what is missing, as far as there is room, and tells whether all of it is there.
    pub(super) fn refill(&self) -> io::Result<bool> {
        let mut held = self.held();
        if *held < self.size {
            let pieces = self.space()?.available / PIECE;
            let wanted = self.size.min(*held + pieces * PIECE);
            if wanted > *held {
                if let Err(error) = self.allocate(*held, wanted) {
                    self.file.set_len(*held)?;
                    return Err(error);
                }
                *held = wanted;
            }
        }
        Ok(*held >= self.size)
    }

    /// Gives a piece of it back to the file system; tells whether there was one.
    pub(super) fn give_back(&self) -> io::Result<bool> {
        let mut held = self.held();
        if *held == 0 {
            return Ok(false);
        }
        let rest = held.saturating_sub(PIECE);
        self.file.set_len(rest)?;
        *held = rest;
        Ok(true)
    }

    fn allocate(&self, from: u64, to: u64) -> io::Result<()> {
        match fallocate(&self.file, FallocateFlags::empty(), from, to - from) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.write_zeros(from, to),
            Err(error) => Err(error.into()),
            Ok(()) => Ok(()),
        }
    }

    /// Takes the room on file systems that give none to a file before it is written.
    fn write_zeros(&self, from: u64, to: u64) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        let mut at = from;
        while at < to {
            let length = usize::try_from(to - at).map_or(ZEROS.len(), |rest| rest.min(ZEROS.len()));
            let (zeros, _) = ZEROS.split_at(length);
            self.file.write_all_at(zeros, at)?;
            at += length as u64;
        }
        (&self.file).flush()
    }
}

fn space(file: &File) -> io::Result<Space> {
    let told = fstatvfs(file)?;
    Ok(Space {
        total: told.f_blocks.saturating_mul(told.f_frsize),
        available: told.f_bavail.saturating_mul(told.f_frsize),
    })
}
