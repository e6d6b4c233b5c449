//! Mirrors that cut packets to a length: learnt from packets that say they are longer, all of them cut at
//! the same length, where nothing longer ever comes.

use wire::{MalformedKind, Reject};

/// Packets cut at the same length before it is taken for the mirror's.
const ENOUGH: u32 = 16;

/// The least that a mirror is taken to leave of a packet.
const LEAST: usize = 64;

/// Whether and where a port's packets are cut.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    /// The longest packet that came.
    longest: usize,
    /// Packets of this length that said they were longer.
    cut: u32,
}

impl Slices {
    /// Takes note of a packet's length.
    #[inline]
    pub(crate) fn note(&mut self, length: usize) {
        if length > self.longest {
            // What was cut before was not cut by the mirror.
            (self.longest, self.cut) = (length, 0);
        }
    }

    /// A packet that was noted is refused: was it cut by the mirror?
    #[cold]
    pub(crate) fn has_cut(&mut self, length: usize, reject: Reject) -> bool {
        if reject != Reject::Malformed(MalformedKind::Truncated)
            || length != self.longest
            || length < LEAST
        {
            return false;
        }
        self.cut = self.cut.saturating_add(1);
        self.cut > ENOUGH
    }

    /// Where packets are cut, if they are.
    pub(crate) fn length(&self) -> Option<usize> {
        (self.cut > ENOUGH).then_some(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUT: Reject = Reject::Malformed(MalformedKind::Truncated);

    fn come(slices: &mut Slices, length: usize, reject: Reject) -> bool {
        slices.note(length);
        slices.has_cut(length, reject)
    }

    #[test]
    fn packets_cut_at_the_longest_length_of_all_were_cut_by_the_mirror() {
        let mut slices = Slices::default();
        for _ in 0..ENOUGH {
            assert!(!come(&mut slices, 128, CUT));
            slices.note(80);
        }
        assert!(come(&mut slices, 128, CUT));
        assert_eq!(slices.length(), Some(128));
        assert!(!come(&mut slices, 128, Reject::BadChecksum));
        assert!(!come(&mut slices, 100, CUT), "somebody else has cut that");
        // A longer packet shows that the mirror does not cut.
        slices.note(1514);
        assert_eq!(slices.length(), None);
        assert!(!come(&mut slices, 128, CUT));
    }
}
