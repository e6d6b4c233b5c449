//! Alerts that a core lost, by signature: a table of fixed size with one writer and any number of readers.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::counters::Counter;

/// Signatures that are told apart; a power of two.
const PLACES: usize = 512;

/// Places that are looked at for one.
const LOOKS: usize = 16;

/// One signature; the key is 0 where there is none.
#[derive(Debug, Default)]
struct Lost {
    key: AtomicU64,
    count: Counter,
}

/// Counts by signature. What finds no place in the table is counted together.
#[derive(Debug)]
pub struct LostAlerts {
    places: Box<[Lost]>,
    others: Counter,
}

impl Default for LostAlerts {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| Lost::default()).collect(), others: Counter::default() }
    }
}

impl LostAlerts {
    /// Counts one. Only the owning core may call it.
    pub(crate) fn count(&self, gid: u32, sid: u32) {
        // No signature has gid 0, so that no key is 0.
        let key = u64::from(gid.max(1)) << 32 | u64::from(sid);
        let start = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55) as usize;
        for look in 0..LOOKS {
            let Some(place) = self.places.get((start + look) % PLACES) else { continue };
            match place.key.load(Ordering::Relaxed) {
                0 => {
                    place.count.add(1);
                    // With the key the count is there.
                    place.key.store(key, Ordering::Release);
                    return;
                }
                its if its == key => {
                    place.count.add(1);
                    return;
                }
                _ => {}
            }
        }
        self.others.add(1);
    }

    /// Generator id, signature id and count of each.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32, u64)> {
        self.places.iter().filter_map(|place| {
            let key = place.key.load(Ordering::Acquire);
            (key != 0).then(|| ((key >> 32) as u32, key as u32, place.count.get()))
        })
    }

    /// What found no place.
    pub fn others(&self) -> u64 {
        self.others.get()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_loss_is_counted_under_its_signature_or_with_the_others() {
        let lost = LostAlerts::default();
        let mut model = BTreeMap::<_, u64>::new();
        for n in 0..20_000u32 {
            let (gid, sid) = (1 + n % 2, 2_000_000 + n * n % 701);
            lost.count(gid, sid);
            *model.entry((gid, sid)).or_default() += 1;
        }
        let mut sum = lost.others();
        for (gid, sid, count) in lost.iter() {
            // It may have come too late to find a place, never twice.
            assert_eq!(model.remove(&(gid, sid)), Some(count));
            sum += count;
        }
        assert_eq!(sum, 20_000);
        assert!(lost.iter().count() > PLACES / 2);
    }
}
