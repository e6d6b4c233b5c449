//! What a process holds while it runs for long: it must not grow with what has gone through.

use std::time::Duration;

use serde::Serialize;

use super::compared::median;

/// How often memory is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Memory by the time, and how it has grown.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Growth {
    /// Bytes, second by second.
    resident: Vec<u64>,
    /// The median of the second quarter: tables and allocators have what they need by then.
    before: f64,
    /// The median of the last quarter.
    after: f64,
    /// By how many parts in a hundred the last is above the second.
    pub(super) percent: f64,
    /// The next look.
    #[serde(skip)]
    due: Duration,
}

impl Growth {
    /// After so much time the process holds so many bytes, by what `resident` says if it is asked.
    pub(super) fn look(&mut self, passed: Duration, resident: impl FnOnce() -> u64) {
        if passed >= self.due {
            self.resident.push(resident());
            self.due = passed + EVERY;
        }
    }

    /// What came of it; none of less than eight looks.
    pub(super) fn finish(mut self) -> Option<Self> {
        let quarter = self.resident.len() / 4;
        if quarter < 2 {
            return None;
        }
        let of = |from: usize| -> f64 {
            let part = self.resident.iter().skip(from).take(quarter);
            median(&part.map(|&bytes| bytes as f64).collect::<Vec<_>>())
        };
        (self.before, self.after) = (of(quarter), of(self.resident.len() - quarter));
        self.percent = (self.after / self.before - 1.0) * 100.0;
        Some(self)
    }

    /// In words.
    pub(super) fn told(&self) -> String {
        format!(
            "{:.1} MB in the second quarter, {:.1} MB in the last one: {:+.2} %",
            self.before / 1e6,
            self.after / 1e6,
            self.percent
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: impl Iterator<Item = u64>) -> Option<Growth> {
        let mut growth = Growth::default();
        for (second, bytes) in bytes.enumerate() {
            for part in 0..10 {
                growth.look(Duration::from_millis(second as u64 * 1000 + part * 100), || bytes);
            }
        }
        growth.finish()
    }

    #[test]
    fn what_tables_take_at_the_beginning_is_no_growth_and_a_leak_is() {
        let filling = of((0..100).map(|second| 1_000_000 + 10_000 * second.min(20))).unwrap();
        assert_eq!((filling.resident.len(), filling.percent), (100, 0.0));
        let leaking = of((0..100).map(|second| 1_000_000 + 1_000 * second)).unwrap();
        assert!((leaking.percent - 4.8).abs() < 0.2, "{}", leaking.percent);
    }

    #[test]
    fn of_a_moment_nothing_is_said() {
        assert!(of(0..7).is_none());
    }
}
