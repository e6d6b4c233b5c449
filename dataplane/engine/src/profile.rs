//! Where a worker's cycles go: by stage, by prefilter, by rule. One burst in so many is measured with
//! the TSC, so that it may stay on in production.

use std::sync::Arc;

use rules::ruleset::Ruleset;

use crate::snapshot::Snapshot;

/// What a worker is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Stage {
    /// Polling the queue, looking at mbufs, a glance at addresses, freeing.
    Receive,
    /// Bytes to headers.
    Decode,
    /// Addresses to resources; hand-over.
    Scope,
    /// Fragments, the flow table and its timers.
    Flow,
    /// TCP state and reassembly.
    Stream,
    /// Protocol detection and parsers.
    Application,
    /// Which rules a packet meets, and rules of addresses alone.
    Group,
    /// Prefilters.
    Scan,
    /// Candidates, test by test.
    Verify,
    /// Alerts.
    Output,
}

impl Stage {
    /// How many there are.
    pub const COUNT: usize = 10;

    /// All, in the order of a packet's way.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Receive,
        Self::Decode,
        Self::Scope,
        Self::Flow,
        Self::Stream,
        Self::Application,
        Self::Group,
        Self::Scan,
        Self::Verify,
        Self::Output,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Decode => "decode",
            Self::Scope => "scope",
            Self::Flow => "flow",
            Self::Stream => "stream",
            Self::Application => "application",
            Self::Group => "group",
            Self::Scan => "scan",
            Self::Verify => "verify",
            Self::Output => "output",
        }
    }
}

/// What the scans of one prefilter took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanCost {
    /// Scans.
    pub scans: u64,
    /// Bytes scanned.
    pub bytes: u64,
    /// TSC ticks.
    pub ticks: u64,
    /// Candidates proposed.
    pub candidates: u64,
}

/// What the verification of one rule took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleCost {
    /// How often it was a candidate.
    pub checks: u64,
    /// How often it held.
    pub matches: u64,
    /// TSC ticks.
    pub ticks: u64,
}

/// What was measured of one worker.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// Packets in the bursts that were measured.
    pub packets: u64,
    /// Those bursts.
    pub bursts: u64,
    /// Ticks by [`Stage`].
    pub stages: [u64; Stage::COUNT],
    /// By [`rules::ruleset::Prefilter::number`].
    pub prefilters: Vec<ScanCost>,
    /// By the signature's number.
    pub rules: Vec<RuleCost>,
    /// The rules that these numbers are of: prefilters and rules are counted anew when others come.
    pub ruleset: Option<Arc<Ruleset>>,
}

impl Profile {
    /// Ticks of all stages.
    pub fn ticks(&self) -> u64 {
        self.stages.iter().sum()
    }

    /// Adds what another worker measured; by prefilter and rule only if the rules are the same.
    pub fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bursts += other.bursts;
        for (sum, ticks) in self.stages.iter_mut().zip(other.stages) {
            *sum += ticks;
        }
        let same = match (&self.ruleset, &other.ruleset) {
            (Some(mine), Some(others)) => Arc::ptr_eq(mine, others),
            (None, _) => true,
            (Some(_), None) => false,
        };
        if !same {
            return;
        }
        self.ruleset.clone_from(&other.ruleset);
        self.prefilters
            .resize(self.prefilters.len().max(other.prefilters.len()), ScanCost::default());
        for (sum, cost) in self.prefilters.iter_mut().zip(&other.prefilters) {
            sum.scans += cost.scans;
            sum.bytes += cost.bytes;
            sum.ticks += cost.ticks;
            sum.candidates += cost.candidates;
        }
        self.rules.resize(self.rules.len().max(other.rules.len()), RuleCost::default());
        for (sum, cost) in self.rules.iter_mut().zip(&other.rules) {
            sum.checks += cost.checks;
            sum.matches += cost.matches;
            sum.ticks += cost.ticks;
        }
    }
}

/// Measures a worker's bursts, one in so many.
#[derive(Debug, Default)]
pub struct Profiler {
    every: u32,
    /// Bursts that are not measured before the next that is.
    left: u32,
    on: bool,
    stage: usize,
    since: u64,
    profile: Profile,
}

impl Profiler {
    /// Measures one burst in `every`; 0: none.
    pub fn new(every: u32) -> Self {
        Self { every, ..Self::default() }
    }

    /// Is anything to be measured at all?
    pub fn is_used(&self) -> bool {
        self.every > 0
    }

    /// Before a burst is received.
    #[inline]
    pub(crate) fn begin(&mut self) {
        if self.every > 0 && self.left == 0 {
            self.on = true;
            self.stage = Stage::Receive as usize;
            self.since = dpdk::rdtsc();
        }
    }

    /// After everything of a burst is done: so many packets came.
    #[inline]
    pub(crate) fn end(&mut self, packets: usize) {
        if packets == 0 {
            return;
        }
        if !self.on {
            self.left = self.left.saturating_sub(1);
            return;
        }
        self.enter(Stage::Receive);
        self.on = false;
        self.left = self.every - 1;
        self.profile.packets += packets as u64;
        self.profile.bursts += 1;
    }

    /// Nothing came: the next burst is measured instead.
    #[inline]
    pub(crate) fn cancel(&mut self) {
        self.on = false;
    }

    /// From here on the time is this stage's.
    #[inline]
    pub(crate) fn enter(&mut self, stage: Stage) {
        if self.on {
            self.switch(stage);
        }
    }

    fn switch(&mut self, stage: Stage) {
        let now = dpdk::rdtsc();
        if let Some(ticks) = self.profile.stages.get_mut(self.stage) {
            *ticks += now.wrapping_sub(self.since);
        }
        self.stage = stage as usize;
        self.since = now;
    }

    /// The time now, if it is of use.
    #[inline]
    pub(crate) fn now(&self) -> Option<u64> {
        self.on.then(dpdk::rdtsc)
    }

    /// A scan that began then.
    #[inline]
    pub(crate) fn scanned(
        &mut self,
        began: Option<u64>,
        prefilter: usize,
        bytes: usize,
        candidates: usize,
    ) {
        let Some(began) = began else { return };
        if let Some(cost) = self.profile.prefilters.get_mut(prefilter) {
            cost.scans += 1;
            cost.bytes += bytes as u64;
            cost.ticks += dpdk::rdtsc().wrapping_sub(began);
            cost.candidates += candidates as u64;
        }
    }

    /// A verification that began then.
    #[inline]
    pub(crate) fn verified(&mut self, began: Option<u64>, signature: u32, holds: bool) {
        let Some(began) = began else { return };
        if let Some(cost) = self.profile.rules.get_mut(signature as usize) {
            cost.checks += 1;
            cost.matches += u64::from(holds);
            cost.ticks += dpdk::rdtsc().wrapping_sub(began);
        }
    }

    /// Another generation is in force.
    pub(crate) fn adopt(&mut self, snapshot: &Snapshot) {
        let same = |mine: &Arc<Ruleset>| Arc::ptr_eq(mine, &snapshot.rules);
        if self.every == 0 || self.profile.ruleset.as_ref().is_some_and(same) {
            return;
        }
        self.profile.prefilters = vec![ScanCost::default(); snapshot.rules.prefilters()];
        self.profile.rules = vec![RuleCost::default(); snapshot.rules.signatures.len()];
        self.profile.ruleset = Some(Arc::clone(&snapshot.rules));
    }

    /// What was measured.
    pub(crate) fn take(&mut self) -> Option<Profile> {
        (self.every > 0).then(|| std::mem::take(&mut self.profile))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_burst_in_so_many_is_measured_and_idle_polls_are_not() {
        let mut profiler = Profiler::new(3);
        for _ in 0..7 {
            profiler.begin();
            profiler.cancel();
            profiler.begin();
            profiler.enter(Stage::Decode);
            profiler.end(2);
        }
        let profile = profiler.take().expect("measured");
        assert_eq!((profile.bursts, profile.packets), (3, 6));
        assert_eq!(Profiler::new(0).take().map(|p| p.bursts), None);
    }

    #[test]
    fn time_belongs_to_the_stage_that_was_entered_last() {
        let mut profiler = Profiler::new(1);
        profiler.begin();
        profiler.enter(Stage::Scan);
        std::thread::sleep(std::time::Duration::from_millis(20));
        profiler.enter(Stage::Verify);
        profiler.end(1);
        let profile = profiler.take().expect("measured");
        let scan = profile.stages[Stage::Scan as usize];
        assert!(scan * 2 > profile.ticks(), "{:?}", profile.stages);
    }

    #[test]
    fn profiles_of_workers_add_up() {
        let cost = RuleCost { checks: 1, matches: 0, ticks: 5 };
        let one = Profile { packets: 2, rules: vec![cost; 2], ..Profile::default() };
        let mut sum = Profile::default();
        sum.add(&one);
        sum.add(&one);
        assert_eq!(sum.packets, 4);
        assert_eq!(sum.rules, [RuleCost { checks: 2, matches: 0, ticks: 10 }; 2]);
    }
}
