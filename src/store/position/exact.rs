//! A position in the feed as the position in each partition.

use super::numbers::{put, take};
use super::{History, Position};

/// A position in a partition, and whose history it is a position in, if that was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::store) struct Checkpoint {
    pub(super) position: Position,
    pub(super) history: Option<History>,
}

impl Checkpoint {
    pub(super) fn new(position: Position, history: Option<History>) -> Self {
        Self { position, history }
    }
}

/// The histories there are, then for each partition the moment, counted from the earliest, the number, and which of the
/// histories, in numbers of few bytes.
pub(super) fn put_all(bytes: &mut Vec<u8>, checkpoints: &[Checkpoint]) {
    let moments = checkpoints.iter().map(|at| at.position.millis);
    let earliest = moments.filter(|millis| *millis > 0).min().unwrap_or(1);
    let mut histories: Vec<History> = Vec::new();
    for history in checkpoints.iter().filter_map(|at| at.history) {
        if !histories.contains(&history) {
            histories.push(history);
        }
    }
    bytes.extend(earliest.to_be_bytes());
    put(bytes, u64::try_from(histories.len()).unwrap_or(0));
    bytes.extend(histories.iter().flat_map(|history| history.0));
    for Checkpoint { position, history } in checkpoints {
        let since = position.millis.saturating_add(1).saturating_sub(earliest);
        put(bytes, since);
        put(bytes, position.number);
        let which = histories.iter().position(|known| Some(*known) == *history);
        let which = which.and_then(|at| u64::try_from(at + 1).ok());
        put(bytes, which.unwrap_or(0));
    }
}

pub(super) fn take_all(rest: &[u8], count: usize) -> Option<Vec<Checkpoint>> {
    let (earliest, mut rest) = rest.split_first_chunk::<8>()?;
    let earliest = u64::from_be_bytes(*earliest);
    let known = usize::try_from(take(&mut rest)?).ok()?;
    let (histories, mut rest) = rest.split_at_checked(known.checked_mul(4)?)?;
    let (histories, _) = histories.as_chunks::<4>();
    let mut checkpoints = Vec::with_capacity(count);
    for _partition in 0..count {
        let (since, number) = (take(&mut rest)?, take(&mut rest)?);
        let millis = match since {
            0 => 0,
            since => earliest.checked_add(since)?.checked_sub(1)?,
        };
        let history = match take(&mut rest)? {
            0 => None,
            which => Some(History(*histories.get(usize::try_from(which - 1).ok()?)?)),
        };
        checkpoints.push(Checkpoint {
            position: Position { millis, number },
            history,
        });
    }
    rest.is_empty().then_some(checkpoints)
}
