//! A look at a whole burst before its turn: which of its packets are in nobody's scope, told eight at a time.

use dpdk::{Burst, Mbuf};
use lanes::{Avx2, LANES, Work};
use wire::FRONT;

use super::BURST;
use crate::pipeline::Glancing;

/// What is known of a burst's packets by their places. Nothing at first.
#[derive(Debug)]
pub(super) struct Seen {
    /// A bit for each that is plain.
    plain: u64,
    /// A bit for each of these that is in nobody's scope.
    nobodys: u64,
    /// Bytes of each that may be.
    lengths: [u32; BURST],
    /// What all of these come to.
    all: Run,
}

/// Packets in a row that are in nobody's scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) packets: usize,
    pub(super) bytes: u64,
    /// Bytes of the longest.
    pub(super) longest: u32,
}

const _: () = assert!(BURST == u64::BITS as usize && BURST.is_multiple_of(LANES));

impl Run {
    #[inline(always)]
    fn of(
        packets: usize,
        bytes: impl IntoIterator<Item = u32>,
        lengths: impl IntoIterator<Item = u32>,
    ) -> Self {
        // Of a burst's packets a number of 32 bits holds all bytes: one has less than 2^16 in its first segment.
        let bytes: u32 = bytes.into_iter().sum();
        Self { packets, bytes: bytes.into(), longest: lengths.into_iter().max().unwrap_or(0) }
    }
}

impl Seen {
    pub(super) const fn nothing() -> Self {
        let all = Run { packets: 0, bytes: 0, longest: 0 };
        Self { plain: 0, nobodys: 0, lengths: [0; BURST], all }
    }

    /// Is the packet at this place known to be in somebody's scope?
    #[inline(always)]
    pub(super) fn is_somebodys(&self, at: usize) -> bool {
        (self.plain & !self.nobodys).checked_shr(at as u32).is_some_and(|bits| bits & 1 != 0)
    }

    /// Those of a burst that begin at this place of it.
    #[inline(always)]
    pub(super) fn run(&self, from: usize) -> Run {
        let packets = self.nobodys.checked_shr(from as u32).unwrap_or(0).trailing_ones() as usize;
        if packets == self.all.packets {
            return self.all;
        }
        let lengths = self.lengths.get(from..from + packets).unwrap_or(&[]).iter().copied();
        Run::of(packets, lengths.clone(), lengths)
    }
}

/// Looks at the packets of a burst and brings their first line of data; `is_alike` tells which of them may be looked at
/// side by side.
pub(super) struct Look<'a, F> {
    pub(super) seen: &'a mut Seen,
    pub(super) eye: Glancing<'a>,
    pub(super) burst: &'a Burst<BURST>,
    pub(super) is_alike: F,
}

impl<F: Fn(&Mbuf, &[u8]) -> bool> Work for Look<'_, F> {
    type Done = ();

    #[inline(always)]
    fn work(self, avx: Avx2) {
        let Self { seen: Seen { plain, nobodys, lengths, all }, eye, burst, is_alike } = self;
        let mut fronts = [&[0; FRONT]; BURST];
        for ((slot, front), length) in burst.behind(0).iter().zip(&mut fronts).zip(&mut *lengths) {
            let Some(mbuf) = slot.as_ref().filter(|mbuf| mbuf.is_contiguous()) else { continue };
            let frame = mbuf.data();
            prefetch::at(frame.as_ptr());
            if let Some(begin) = frame.first_chunk()
                && is_alike(mbuf, frame)
            {
                (*front, *length) = (begin, frame.len() as u32);
            }
        }
        let (fronts, lengths) = (fronts.as_chunks().0, lengths.as_chunks().0);
        let (mut bytes, mut longest) = (avx.all(0), avx.all(0));
        let (mut all_plain, mut all_nobodys) = (0, 0);
        for at in 0..burst.len().div_ceil(LANES) {
            if let (Some(fronts), Some(lengths)) = (fronts.get(at), lengths.get(at)) {
                let told = eye.are_nobodys(avx, fronts, lengths);
                all_plain |= u64::from(told.plain) << (at * LANES);
                all_nobodys |= u64::from(told.holds) << (at * LANES);
                (bytes, longest) = (bytes + avx.of(lengths), longest.max(avx.of(lengths)));
            }
        }
        (*plain, *nobodys) = (all_plain, all_nobodys);
        *all = Run::of(burst.len(), bytes.to_array(), longest.to_array());
    }
}
