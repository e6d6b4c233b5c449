//! The search for the highest rate without a loss: by halves, until what is left is narrow enough;
//! and the steps down from there, while longer trials lose.

/// A binary search.
#[derive(Debug, Clone)]
pub(super) struct Search {
    /// The highest rate at which nothing was lost.
    good: f64,
    /// The lowest at which something was.
    bad: f64,
    /// How wide the gap may be, as a share of the rate.
    width: f64,
    asked: Option<f64>,
}

impl Search {
    /// Below a tenth more than what the workers take at most.
    pub(super) fn new(capacity: f64, width: f64) -> Self {
        Self { good: 0.0, bad: capacity * 1.1, width: width.max(0.001), asked: None }
    }

    /// The rate to try next; None when it is found.
    pub(super) fn next(&mut self) -> Option<f64> {
        let middle = (self.good + self.bad) / 2.0;
        let narrow = self.bad - self.good <= self.width * self.bad || middle < 1_000.0;
        self.asked = (!narrow).then_some(middle);
        self.asked
    }

    /// What became of it.
    pub(super) fn tell(&mut self, no_loss: bool) {
        if let Some(rate) = self.asked.take() {
            *(if no_loss { &mut self.good } else { &mut self.bad }) = rate;
        }
    }

    /// The rate found: without loss, and no more than the width below one with.
    pub(super) fn found(&self) -> f64 {
        self.good
    }
}

/// How often a rate may prove too high in long trials.
const TRIALS: usize = 12;

/// Rates for long trials: the one that short trials found, and lower ones, until one holds.
#[derive(Debug, Clone)]
pub(super) struct Lower {
    rate: f64,
    tried: usize,
}

impl Lower {
    pub(super) fn from(rate: f64) -> Self {
        Self { rate, tried: 0 }
    }
}

impl Iterator for Lower {
    type Item = f64;

    /// A twentieth less each time, after four times a tenth; at last none.
    fn next(&mut self) -> Option<f64> {
        let rate = self.rate;
        let is_one = self.tried < TRIALS && rate >= 1_000.0;
        self.tried += 1;
        self.rate *= if self.tried <= 4 { 0.95 } else { 0.9 };
        is_one.then_some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_that_do_not_hold_are_lowered_by_steps_to_a_third_and_then_given_up() {
        let rates: Vec<_> = Lower::from(100_000.0).collect();
        assert_eq!(rates.len(), TRIALS);
        assert!((rates[1] - 95_000.0).abs() < 1e-6);
        assert!(rates.windows(2).all(|pair| (0.899..0.951).contains(&(pair[1] / pair[0]))));
        assert!((30_000.0..40_000.0).contains(rates.last().unwrap()), "{rates:?}");
        assert_eq!(Lower::from(0.0).next(), None);
    }

    #[test]
    fn the_rate_is_found_within_the_width() {
        for limit in [3_000.0, 123_456.0, 999_000.0, 1_050_000.0] {
            let mut search = Search::new(1_000_000.0, 0.02);
            let mut trials = 0;
            while let Some(rate) = search.next() {
                trials += 1;
                search.tell(rate <= limit);
            }
            let found = search.found();
            assert!(found <= limit && found >= limit * 0.97, "{found} of {limit}");
            assert!(trials < 20, "{trials}");
        }
    }

    #[test]
    fn a_sensor_that_loses_at_every_rate_ends_the_search() {
        let mut search = Search::new(1_000_000.0, 0.02);
        while search.next().is_some() {
            search.tell(false);
        }
        assert_eq!(search.found(), 0.0);
    }
}
