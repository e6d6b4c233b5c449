//! The most alerts a second: of a signature, and of a signature in one flow. What is beyond is counted.

use std::collections::HashMap;

use wire::Nanos;

const SECOND: Nanos = 1_000_000_000;

/// Signatures and flows that are counted at a time. When there are more, counting begins anew.
const MOST: usize = 1 << 16;

/// Limits; 0: none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Alerts of a signature in a second.
    pub signature: u32,
    /// Alerts of a signature in a flow in a second.
    pub flow: u32,
}

/// Counts by second of the alerts' own time.
#[derive(Debug, Default)]
pub(super) struct Rates {
    limits: RateLimits,
    second: Nanos,
    signatures: HashMap<(u32, u32), u32>,
    flows: HashMap<(u32, u32, u64), u32>,
}

impl Rates {
    pub(super) fn new(limits: RateLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// May an alert of this signature and flow be written, at this time?
    pub(super) fn admit(&mut self, now: Nanos, gid: u32, sid: u32, flow: Option<u64>) -> bool {
        if self.limits == RateLimits::default() {
            return true;
        }
        // Alerts come in the order of their clocks, but for those of streams that ended.
        let second = now / SECOND;
        if second > self.second || self.flows.len() >= MOST || self.signatures.len() >= MOST {
            self.second = self.second.max(second);
            self.signatures.clear();
            self.flows.clear();
        }
        if let Some(flow) = flow
            && self.limits.flow > 0
        {
            let count = self.flows.entry((gid, sid, flow)).or_default();
            if *count >= self.limits.flow {
                return false;
            }
            *count += 1;
        }
        if self.limits.signature > 0 {
            let count = self.signatures.entry((gid, sid)).or_default();
            if *count >= self.limits.signature {
                return false;
            }
            *count += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(limits: RateLimits, alerts: &[(Nanos, u32, Option<u64>)]) -> usize {
        let mut rates = Rates::new(limits);
        alerts.iter().filter(|&&(now, sid, flow)| rates.admit(now, 1, sid, flow)).count()
    }

    #[test]
    fn each_signature_has_its_alerts_of_every_second() {
        let storm: Vec<_> =
            (0..1000).map(|at| (at * SECOND / 250, (at % 2) as u32, None)).collect();
        assert_eq!(admitted(RateLimits { signature: 10, flow: 0 }, &storm), 4 * 2 * 10);
        assert_eq!(admitted(RateLimits::default(), &storm), 1000);
    }

    #[test]
    fn one_flow_does_not_take_what_others_have() {
        let one = (0..500).map(|at| (at, 7, Some(1)));
        let others = (500..600).map(|at| (at, 7, Some(at)));
        let storm: Vec<_> = one.chain(others).collect();
        assert_eq!(admitted(RateLimits { signature: 0, flow: 5 }, &storm), 5 + 100);
        assert_eq!(admitted(RateLimits { signature: 50, flow: 5 }, &storm), 50);
    }
}
