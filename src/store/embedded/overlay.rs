//! A file that is not written to: what is written stands in memory, above it.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use super::locks::locks_of_file;

const BLOCK: usize = 4_096;

type Block = [u8; BLOCK];

#[derive(Debug)]
pub(super) struct Overlay<F> {
    file: F,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    length: u64,
    /// What of the file shows.
    shown: u64,
    blocks: HashMap<u64, Box<Block>>,
}

impl<F: StorageBackend> Overlay<F> {
    pub(super) fn over(file: F) -> io::Result<Self> {
        let length = file.len()?;
        let written = Mutex::new(Written {
            length,
            shown: length,
            blocks: HashMap::new(),
        });
        Ok(Self { file, written })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn block(&self, written: &Written, number: u64) -> io::Result<Box<Block>> {
        if let Some(block) = written.blocks.get(&number) {
            return Ok(block.clone());
        }
        let mut block = Box::new([0; BLOCK]);
        let start = number * BLOCK as u64;
        let shown = written.shown.saturating_sub(start);
        let shown = usize::try_from(shown).map_or(BLOCK, |shown| shown.min(BLOCK));
        if let Some(shown) = block.get_mut(..shown)
            && !shown.is_empty()
        {
            self.file.read(start, shown)?;
        }
        Ok(block)
    }
}

/// The parts that bytes at an offset have in blocks: the number of the block, where in it, and how many.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut at = offset;
    let mut left = length;
    std::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        let within = usize::try_from(at % BLOCK as u64).unwrap_or(0);
        let taken = left.min(BLOCK - within);
        let part = (at / BLOCK as u64, within, taken);
        at += taken as u64;
        left -= taken;
        Some(part)
    })
}

impl<F: StorageBackend> StorageBackend for Overlay<F> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        if offset.saturating_add(out.len() as u64) > written.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut rest = out;
        for (number, within, taken) in parts(offset, rest.len()) {
            let block = self.block(&written, number)?;
            let (out, after) = rest.split_at_mut(taken);
            let bytes = block.get(within..within + taken);
            out.copy_from_slice(bytes.unwrap_or_default());
            rest = after;
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut written = self.written();
        if length < written.length {
            let end = length.div_ceil(BLOCK as u64);
            written.blocks.retain(|number, _| *number < end);
            written.shown = written.shown.min(length);
            let kept = usize::try_from(length % BLOCK as u64).unwrap_or(0);
            let last = written.blocks.get_mut(&(length / BLOCK as u64));
            if let Some(cut) = last.and_then(|block| block.get_mut(kept..)) {
                cut.fill(0);
            }
        }
        written.length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written();
        let mut rest = data;
        for (number, within, taken) in parts(offset, data.len()) {
            let mut block = self.block(&written, number)?;
            let (data, after) = rest.split_at(taken);
            if let Some(bytes) = block.get_mut(within..within + taken) {
                bytes.copy_from_slice(data);
            }
            written.blocks.insert(number, block);
            rest = after;
        }
        written.length = written.length.max(offset + data.len() as u64);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    locks_of_file!();
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    #[test]
    fn what_is_written_shows_above_the_file_and_leaves_it_as_it_was() {
        let file = InMemoryBackend::new();
        file.set_len(10_000).unwrap();
        file.write(0, &[1; 10_000]).unwrap();
        let overlay = Overlay::over(file).unwrap();
        overlay.write(4_000, &[2; 5_000]).unwrap();
        overlay.set_len(9_500).unwrap();
        overlay.set_len(12_000).unwrap();
        let mut all = vec![9; 12_000];
        overlay.read(0, &mut all).unwrap();
        let expected = [vec![1; 4_000], vec![2; 5_000], vec![1; 500], vec![0; 2_500]];
        assert_eq!(all, expected.concat());
        assert!(overlay.read(11_999, &mut [0; 2]).is_err());
        let mut below = vec![0; 10_000];
        overlay.file.read(0, &mut below).unwrap();
        assert_eq!(below, [1; 10_000]);
    }
}
