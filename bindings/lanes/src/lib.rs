//! Eight numbers of 32 bits side by side, one of each of eight packets, where the processor has AVX2: one instruction
//! does for eight what it would do for one.
//!
//! Values of [`U32x8`] come from an [`Avx2`] alone, of which there is one only where the processor has these
//! instructions. They are of use within [`Avx2::run`], where what is done with them becomes instructions in a row and
//! not calls.

mod arithmetic;

use std::arch::x86_64::*;

/// How many packets are side by side.
pub const LANES: usize = 8;

/// The processor has AVX2.
#[derive(Debug, Clone, Copy)]
pub struct Avx2(());

/// Eight numbers of 32 bits. Comparisons give all ones where they hold, and zero elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct U32x8(__m256i);

/// Something to be done for eight packets at a time. A trait and not a closure, which cannot be told to become part of
/// what calls it: operations on lanes would be calls.
pub trait Work {
    /// What it comes to.
    type Done;

    /// Does it. To be `#[inline(always)]`, as all that it calls.
    fn work(self, avx: Avx2) -> Self::Done;
}

/// The numbers that an instruction gives which looks at no memory.
macro_rules! lanes {
    ($instruction:expr) => {
        // SAFETY: there is an `Avx2`, or a value that was made by one: the processor has the instruction.
        $crate::U32x8(unsafe { $instruction })
    };
}
use lanes;

impl Avx2 {
    /// Does this processor have it?
    pub fn detect() -> Option<Self> {
        std::arch::is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    /// Does some work with these instructions at the compiler's hand.
    #[inline(always)]
    pub fn run<W: Work>(self, work: W) -> W::Done {
        #[target_feature(enable = "avx2")]
        fn inner<W: Work>(avx: Avx2, work: W) -> W::Done {
            work.work(avx)
        }
        // SAFETY: the processor has what the function is compiled for.
        unsafe { inner(self, work) }
    }

    /// The same number eight times.
    #[inline(always)]
    pub fn all(self, value: u32) -> U32x8 {
        lanes!(_mm256_set1_epi32(value.cast_signed()))
    }

    /// These numbers.
    #[inline(always)]
    pub fn of(self, values: &[u32; LANES]) -> U32x8 {
        // SAFETY: as many bytes are read as there are, wherever they begin; the processor has the instruction.
        U32x8(unsafe { _mm256_loadu_si256(values.as_ptr().cast()) })
    }

    /// The first, second, third and fourth four bytes of each row, as numbers whose lowest byte stands first.
    #[inline(always)]
    pub fn columns(self, rows: [&[u8; 16]; LANES]) -> [U32x8; 4] {
        let pair = |low: &[u8; 16], high: &[u8; 16]| {
            // SAFETY: the 16 bytes that a row has are read, wherever they begin; the processor has the instructions.
            unsafe {
                let low = _mm_loadu_si128(low.as_ptr().cast());
                let high = _mm_loadu_si128(high.as_ptr().cast());
                _mm256_set_m128i(high, low)
            }
        };
        let [a, b, c, d, e, f, g, h] = rows;
        let (ae, bf, cg, dh) = (pair(a, e), pair(b, f), pair(c, g), pair(d, h));
        let ab = [lanes!(_mm256_unpacklo_epi32(ae, bf)), lanes!(_mm256_unpackhi_epi32(ae, bf))];
        let cd = [lanes!(_mm256_unpacklo_epi32(cg, dh)), lanes!(_mm256_unpackhi_epi32(cg, dh))];
        [
            lanes!(_mm256_unpacklo_epi64(ab[0].0, cd[0].0)),
            lanes!(_mm256_unpackhi_epi64(ab[0].0, cd[0].0)),
            lanes!(_mm256_unpacklo_epi64(ab[1].0, cd[1].0)),
            lanes!(_mm256_unpackhi_epi64(ab[1].0, cd[1].0)),
        ]
    }
}

impl U32x8 {
    /// The numbers one by one.
    #[inline(always)]
    pub fn to_array(self) -> [u32; LANES] {
        let mut values = [0; LANES];
        // SAFETY: as many bytes are written as there is room for; the processor has the instruction.
        unsafe { _mm256_storeu_si256(values.as_mut_ptr().cast(), self.0) };
        values
    }

    /// A bit for each whose highest bit is set, the first one's lowest: for what a comparison gives.
    #[inline(always)]
    pub fn mask(self) -> u8 {
        // SAFETY: no memory is looked at; the processor has the instruction.
        unsafe { _mm256_movemask_ps(_mm256_castsi256_ps(self.0)) as u8 }
    }

    /// Of each the word of a table that has its number, whose lowest bits count. One by one: the instruction that
    /// gathers words takes longer on many processors.
    #[inline(always)]
    pub fn words_of<const N: usize>(self, table: &[u32; N]) -> Self {
        const { assert!(N.is_power_of_two() && N <= 1 << 31) };
        let number = lanes!(_mm256_and_si256(self.0, _mm256_set1_epi32(N as i32 - 1)));
        let [a, b, c, d, e, f, g, h] = number.to_array();
        let word = |number: u32| table[number as usize & (N - 1)].cast_signed();
        lanes!(_mm256_set_epi32(
            word(h),
            word(g),
            word(f),
            word(e),
            word(d),
            word(c),
            word(b),
            word(a)
        ))
    }

    /// The bits of a set that have these numbers, of which the lowest nine bits count: each 1 or 0.
    #[inline(always)]
    pub fn bits_of(self, set: &[u64; 8]) -> Self {
        // SAFETY: all 64 bytes are read and no others; the processor has the instructions.
        let [low, high] = unsafe {
            let start = set.as_ptr().cast::<__m256i>();
            [_mm256_loadu_si256(start), _mm256_loadu_si256(start.add(1))]
        };
        // As words of 32 bits, of which the lower half of a word is the first.
        let word = self.shr::<5>();
        let low = lanes!(_mm256_permutevar8x32_epi32(low, word.0));
        let high = lanes!(_mm256_permutevar8x32_epi32(high, word.0));
        let is_high = lanes!(_mm256_srai_epi32::<31>(word.shl::<28>().0));
        let bit = lanes!(_mm256_and_si256(self.0, _mm256_set1_epi32(31)));
        let found = is_high.choose(high, low).shr_each(bit);
        lanes!(_mm256_and_si256(found.0, _mm256_set1_epi32(1)))
    }
}
