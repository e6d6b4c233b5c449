//! Urgent data: the byte that an urgent pointer names, which receivers take out of the stream (RFC
//! 6093, 3.1), and sequence numbers in a stream that it was taken out of.

use super::seq;

/// What becomes of urgent data (Suricata's `stream.reassembly.urgent.policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum UrgentPolicy {
    /// The last byte of urgent data, the one before the urgent pointer, is no part of the stream:
    /// what sockets do unless told otherwise.
    OutOfBand,
    /// It is a byte like any other. Suricata's default.
    #[default]
    Inline,
    /// Segments with urgent data are no part of the stream.
    Drop,
    /// It is a hole in the stream.
    Gap,
}

/// Bytes of one direction that are taken out at most; what comes after stays in.
const MOST: usize = 64;

/// The sequence numbers of bytes that were taken out of one direction, ascending.
#[derive(Debug, Default)]
pub(crate) struct Urgent(Vec<u32>);

impl Urgent {
    /// Takes the byte at `at` out. False: there were too many.
    pub(crate) fn take(&mut self, at: u32) -> bool {
        let place = self.0.partition_point(|known| seq::lt(*known, at));
        if self.0.get(place) == Some(&at) {
            return true;
        }
        let fits = self.0.len() < MOST;
        if fits {
            self.0.insert(place, at);
        }
        fits
    }

    /// Where a sequence number is in a stream without the bytes that were taken out.
    pub(crate) fn placed(&self, seq: u32) -> u32 {
        let before = self.0.partition_point(|taken| seq::lt(*taken, seq));
        seq.wrapping_sub(before as u32)
    }

    /// Whether the byte at `at` was taken out.
    pub(crate) fn has(&self, at: u32) -> bool {
        self.0.contains(&at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_placed_without_what_was_taken_out_over_the_wrap() {
        let mut urgent = Urgent::default();
        for at in [5, u32::MAX, 1, 5] {
            assert!(urgent.take(at));
        }
        let placed = [u32::MAX, 0, 1, 2, 5, 6].map(|seq| urgent.placed(seq));
        assert_eq!(placed, [u32::MAX, u32::MAX, 0, 0, 3, 3]);
        assert!(urgent.has(5) && !urgent.has(6));
    }

    #[test]
    fn no_more_than_so_many_bytes_are_taken_out() {
        let mut urgent = Urgent::default();
        assert!((0..MOST as u32).all(|at| urgent.take(at)));
        assert!(!urgent.take(1000) && urgent.take(3));
    }
}
