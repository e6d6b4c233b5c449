//! How fast is written: a bucket of tokens, and for each resource a rest after a write or failure.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Tokens that come at a rate, and are saved up for a second's worth.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: f64,
    tokens: f64,
    last: Instant,
}

impl Bucket {
    pub(crate) fn new(rate: u32, now: Instant) -> Self {
        Self { rate: f64::from(rate), tokens: f64::from(rate), last: now }
    }

    /// Takes a token, or says how long it takes until there is one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let elapsed = now.saturating_duration_since(self.last).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.rate).min(self.rate.max(1.0));
        self.last = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.tokens) / self.rate))
    }
}

/// When each thing may be tried again.
#[derive(Debug)]
pub(crate) struct Rests<K> {
    until: HashMap<K, (Instant, u32)>,
}

impl<K: Hash + Eq> Default for Rests<K> {
    fn default() -> Self {
        Self { until: HashMap::new() }
    }
}

impl<K: Hash + Eq> Rests<K> {
    /// Until when it rests, if it does.
    pub(crate) fn until(&self, key: &K, now: Instant) -> Option<Instant> {
        self.until.get(key).map(|rest| rest.0).filter(|until| *until > now)
    }

    /// A success: a rest of this length.
    pub(crate) fn succeeded(&mut self, key: K, now: Instant, rest: Duration) {
        self.until.insert(key, (now + rest, 0));
    }

    /// A failure: a longer rest each time, up to two seconds and a half. `chance` is below 1000.
    pub(crate) fn failed(&mut self, key: K, now: Instant, chance: u64) {
        let failures = self.until.get(&key).map_or(0, |rest| rest.1);
        let longest = 100_u64 << failures.min(4);
        let rest = Duration::from_millis(longest + longest * chance / 2000);
        self.until.insert(key, (now + rest, failures + 1));
    }

    /// Forgets what `keep` does not name.
    pub(crate) fn keep(&mut self, keep: impl Fn(&K) -> bool) {
        self.until.retain(|key, _| keep(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_a_second_at_once_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, start);
        assert_eq!((0..20).filter(|_| bucket.take(start).is_ok()).count(), 10);
        let wait = bucket.take(start).expect_err("empty");
        assert!(wait <= Duration::from_millis(101));
        let later = start + Duration::from_millis(501);
        assert_eq!((0..20).filter(|_| bucket.take(later).is_ok()).count(), 5);
    }

    #[test]
    fn rests_grow_with_failures_to_a_bound() {
        let now = Instant::now();
        let mut rests = Rests::default();
        for _ in 0..10 {
            rests.failed("a", now, 999);
        }
        let until = rests.until(&"a", now).expect("rests");
        assert!(until > now + Duration::from_millis(1500));
        assert!(until <= now + Duration::from_millis(2500));
        rests.succeeded("a", now, Duration::from_secs(1));
        assert_eq!(rests.until(&"a", now + Duration::from_secs(1)), None);
    }
}
