//! Requests that are made before the load begins.

/// Many requests in one piece of memory.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Requests {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[index]]
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for Requests {
    fn from_iter<I: IntoIterator<Item = T>>(requests: I) -> Self {
        let mut all = Self::default();
        for request in requests {
            all.bytes.extend_from_slice(request.as_ref());
            all.ends.push(all.bytes.len());
        }
        all
    }
}

/// Draws requests at random (xorshift), cheaply and the same in every run.
#[derive(Debug)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: usize) -> Self {
        Self(0x9E37_79B9_7F4A_7C15 ^ (seed as u64 + 1))
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}
