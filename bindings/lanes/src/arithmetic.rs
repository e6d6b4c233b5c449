//! Operations of one instruction on each of eight numbers.

use std::arch::x86_64::*;
use std::ops::{Add, BitAnd, BitOr, BitXor, Mul};

use crate::{U32x8, lanes};

impl U32x8 {
    /// Moved towards the lowest bit by so many.
    #[inline(always)]
    pub fn shr<const BY: i32>(self) -> Self {
        lanes!(_mm256_srli_epi32::<BY>(self.0))
    }

    /// Moved towards the highest bit by so many.
    #[inline(always)]
    pub fn shl<const BY: i32>(self) -> Self {
        lanes!(_mm256_slli_epi32::<BY>(self.0))
    }

    /// Each moved towards the lowest bit by its own number.
    #[inline(always)]
    pub fn shr_each(self, by: Self) -> Self {
        lanes!(_mm256_srlv_epi32(self.0, by.0))
    }

    /// The bytes of each in reverse order.
    #[inline(always)]
    pub fn swap_bytes(self) -> Self {
        let order = lanes!(_mm256_set_epi64x(
            0x0c0d0e0f_08090a0b,
            0x04050607_00010203,
            0x0c0d0e0f_08090a0b,
            0x04050607_00010203
        ));
        lanes!(_mm256_shuffle_epi8(self.0, order.0))
    }

    /// Where they are the same.
    #[inline(always)]
    pub fn is(self, other: Self) -> Self {
        lanes!(_mm256_cmpeq_epi32(self.0, other.0))
    }

    /// Where this one is greater; both are below 2^31.
    #[inline(always)]
    pub fn is_above(self, other: Self) -> Self {
        lanes!(_mm256_cmpgt_epi32(self.0, other.0))
    }

    /// The greater of each two.
    #[inline(always)]
    pub fn max(self, other: Self) -> Self {
        lanes!(_mm256_max_epu32(self.0, other.0))
    }

    /// Of each the first where this is all ones, the second where it is zero.
    #[inline(always)]
    pub fn choose(self, first: Self, second: Self) -> Self {
        lanes!(_mm256_blendv_epi8(second.0, first.0, self.0))
    }

    /// This one where the other is zero, zero where it is all ones.
    #[inline(always)]
    pub fn and_not(self, other: Self) -> Self {
        lanes!(_mm256_andnot_si256(other.0, self.0))
    }
}

/// An operator that is one instruction.
macro_rules! operator {
    ($operator:ident, $method:ident, $instruction:ident) => {
        impl $operator for U32x8 {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                lanes!($instruction(self.0, other.0))
            }
        }
    };
}

operator!(Add, add, _mm256_add_epi32);
operator!(Mul, mul, _mm256_mullo_epi32);
operator!(BitAnd, bitand, _mm256_and_si256);
operator!(BitOr, bitor, _mm256_or_si256);
operator!(BitXor, bitxor, _mm256_xor_si256);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Avx2, LANES, Work};

    type Numbers = [u32; LANES];

    fn each(a: Numbers, b: Numbers, of: impl Fn(u32, u32) -> u32) -> Numbers {
        std::array::from_fn(|at| of(a[at], b[at]))
    }

    fn truth(holds: bool) -> u32 {
        if holds { u32::MAX } else { 0 }
    }

    struct Columns<'a>(&'a [[u8; 16]; LANES]);

    impl Work for Columns<'_> {
        type Done = [Numbers; 4];

        #[inline(always)]
        fn work(self, avx: Avx2) -> Self::Done {
            avx.columns(self.0.each_ref()).map(U32x8::to_array)
        }
    }

    proptest! {
        #[test]
        fn each_number_is_as_it_would_be_by_itself(a: Numbers, b: Numbers, set: [u64; 8]) {
            let Some(avx) = Avx2::detect() else { return Ok(()) };
            {
                let (x, y) = (avx.of(&a), avx.of(&b));
                let low = avx.all(u32::MAX >> 1);
                prop_assert_eq!((x + y).to_array(), each(a, b, u32::wrapping_add));
                prop_assert_eq!((x * y).to_array(), each(a, b, u32::wrapping_mul));
                prop_assert_eq!((x & y).to_array(), each(a, b, |a, b| a & b));
                prop_assert_eq!((x | y).to_array(), each(a, b, |a, b| a | b));
                prop_assert_eq!((x ^ y).to_array(), each(a, b, |a, b| a ^ b));
                prop_assert_eq!(x.max(y).to_array(), each(a, b, u32::max));
                prop_assert_eq!(x.and_not(y).to_array(), each(a, b, |a, b| a & !b));
                prop_assert_eq!(x.shr::<5>().to_array(), a.map(|a| a >> 5));
                prop_assert_eq!(x.shl::<7>().to_array(), a.map(|a| a << 7));
                let by = y & avx.all(31);
                prop_assert_eq!(x.shr_each(by).to_array(), each(a, b, |a, b| a >> (b & 31)));
                prop_assert_eq!(x.swap_bytes().to_array(), a.map(u32::swap_bytes));
                prop_assert_eq!(x.is(x).mask(), u8::MAX);
                prop_assert_eq!(x.is(y).to_array(), each(a, b, |a, b| truth(a == b)));
                let above = (x & low).is_above(y & low);
                let expected = each(a, b, |a, b| truth(a & u32::MAX >> 1 > b & u32::MAX >> 1));
                prop_assert_eq!(above.to_array(), expected);
                let mask = expected.iter().rev().fold(0, |mask, it| mask << 1 | (it & 1) as u8);
                prop_assert_eq!(above.mask(), mask);
                let chosen = above.choose(x, y).to_array();
                let either = std::array::from_fn(|at| if expected[at] != 0 { a[at] } else { b[at] });
                prop_assert_eq!(chosen, either);
                let bits = a.map(|a| (set[(a >> 6 & 7) as usize] >> (a & 63) & 1) as u32);
                prop_assert_eq!(x.bits_of(&set).to_array(), bits);
                let table: [u32; 1024] = std::array::from_fn(|at| at as u32 * 3);
                prop_assert_eq!(x.words_of(&table).to_array(), a.map(|a| (a & 1023) * 3));
            }
        }

        #[test]
        fn columns_are_of_the_rows_in_their_order(rows: [[u8; 16]; LANES]) {
            let Some(avx) = Avx2::detect() else { return Ok(()) };
            let columns = avx.run(Columns(&rows));
            for (at, row) in rows.iter().enumerate() {
                let (words, _) = row.as_chunks::<4>();
                for (word, column) in words.iter().zip(columns) {
                    prop_assert_eq!(column[at], u32::from_le_bytes(*word));
                }
            }
        }
    }
}
