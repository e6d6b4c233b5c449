//! Whether checksums mean anything where these packets come from: where a sender's NIC fills them in
//! after the mirror has taken its copy, they do not.

use crate::counters::Counters;
use crate::settings::Settings;

/// Packets whose checksums are looked at before `checksums_auto` decides, as in Suricata.
const SAMPLE: u32 = 1000;

/// Packets after which it decides, where the matter is plain.
const EARLY: u32 = 128;

/// What the checksums of a port's packets are like.
#[derive(Debug, Default)]
pub(crate) struct Checksums {
    seen: u32,
    wrong: u32,
    /// They are no longer looked at.
    pub(crate) untrusted: bool,
}

impl Checksums {
    /// Takes note of a packet that was looked at.
    #[inline]
    pub(crate) fn note(&mut self, settings: &Settings, wrong: bool, counters: &Counters) {
        if settings.checksums_auto && self.seen < SAMPLE {
            self.seen += 1;
            self.wrong += u32::from(wrong);
            let many = match self.seen {
                EARLY => self.wrong > EARLY / 4,
                SAMPLE => self.wrong > SAMPLE / 10,
                _ => return,
            };
            self.untrusted |= many;
            counters.checksums_untrusted.set(u64::from(self.untrusted));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After so many packets of which one in `every` is wrong: whether they are trusted no more.
    fn untrusted(packets: u32, every: u32) -> bool {
        let settings = Settings { checksums_auto: true, ..Settings::default() };
        let (mut sample, counters) = (Checksums::default(), Counters::default());
        (0..packets).for_each(|n| sample.note(&settings, n % every == 0, &counters));
        assert_eq!(counters.checksums_untrusted.get() == 1, sample.untrusted);
        sample.untrusted
    }

    #[test]
    fn checksums_are_given_up_where_many_are_wrong_and_only_there() {
        assert!(!untrusted(EARLY - 1, 2) && untrusted(EARLY, 2), "one direction of two");
        assert!(!untrusted(EARLY, 8) && untrusted(SAMPLE, 8));
        assert!(!untrusted(10 * SAMPLE, 20));
    }
}
