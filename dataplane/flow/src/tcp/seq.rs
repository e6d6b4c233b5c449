//! Sequence numbers: comparison modulo 2^32 (RFC 9293, 3.4).

/// How far `a` is after `b`; negative if before.
#[inline(always)]
pub(crate) const fn diff(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

/// Whether `a` is before `b`.
#[inline(always)]
pub(crate) const fn lt(a: u32, b: u32) -> bool {
    diff(a, b) < 0
}

/// Whether `a` is `b` or before it.
#[inline(always)]
pub(crate) const fn leq(a: u32, b: u32) -> bool {
    diff(a, b) <= 0
}

/// Whether `a` is after `b`.
#[inline(always)]
pub(crate) const fn gt(a: u32, b: u32) -> bool {
    diff(a, b) > 0
}

/// Whether `a` is `b` or after it.
#[inline(always)]
pub(crate) const fn geq(a: u32, b: u32) -> bool {
    diff(a, b) >= 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_goes_on_over_the_wrap() {
        assert!(lt(0xffff_fff0, 0x10) && gt(0x10, 0xffff_fff0));
        assert!(leq(7, 7) && geq(7, 7) && !lt(7, 7) && !gt(7, 7));
        assert_eq!(diff(5, 0xffff_ffff), 6);
    }
}
