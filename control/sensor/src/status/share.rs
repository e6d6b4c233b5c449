//! Whether a part of a growing whole is large, decided anew whenever enough has been added.

/// The share of `part` in `whole`, told once `ENOUGH` has been added to the whole: large from `PERCENT`
/// on.
#[derive(Debug, Default)]
pub(super) struct Share<const ENOUGH: u64, const PERCENT: u64> {
    part: u64,
    whole: u64,
    is_large: bool,
}

impl<const ENOUGH: u64, const PERCENT: u64> Share<ENOUGH, PERCENT> {
    /// The counts have come to these; is the share of what was added last large?
    pub(super) fn look(&mut self, part: u64, whole: u64) -> bool {
        let added = whole.saturating_sub(self.whole);
        if added >= ENOUGH {
            let share = part.saturating_sub(self.part).saturating_mul(100);
            self.is_large = share >= added.saturating_mul(PERCENT);
            (self.part, self.whole) = (part, whole);
        }
        self.is_large
    }
}
