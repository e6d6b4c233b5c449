//! Rules that cost too much: one whose verification exceeds its budget again and again is set aside
//! by the core for a while, and named.

use std::collections::HashMap;

use rules::signature::Signature;
use wire::Nanos;

use crate::counters::AsideNote;

const SECOND: Nanos = 1_000_000_000;
/// How often a rule may exceed its budget …
pub(super) const STRIKES: u32 = 100;
/// … in so much of the capture's time …
const WITHIN: Nanos = 10 * SECOND;
/// … before it is set aside for so long.
const FOR: Nanos = 60 * SECOND;

#[derive(Debug, Clone, Copy)]
struct Strikes {
    count: u32,
    since: Nanos,
    /// Set aside until then; 0: it is not.
    until: Nanos,
}

/// What a core holds against rules of the generation at hand, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Aside {
    generation: u64,
    rules: HashMap<u32, Strikes>,
    news: Vec<AsideNote>,
}

impl Aside {
    /// Rules of another generation begin without strikes.
    #[inline]
    pub(super) fn begin(&mut self, generation: u64) {
        if self.generation != generation {
            self.generation = generation;
            self.rules.clear();
        }
    }

    /// Is the rule set aside?
    #[inline]
    pub(super) fn holds(&self, number: u32, now: Nanos) -> bool {
        !self.rules.is_empty() && self.rules.get(&number).is_some_and(|it| now < it.until)
    }

    /// The rule has exceeded its budget.
    pub(super) fn strike(&mut self, number: u32, signature: &Signature, now: Nanos) {
        let it = self.rules.entry(number).or_insert(Strikes { count: 0, since: now, until: 0 });
        if now.saturating_sub(it.since) > WITHIN {
            (it.count, it.since) = (0, now);
        }
        it.count += 1;
        if it.count >= STRIKES {
            *it = Strikes { count: 0, since: now, until: now.saturating_add(FOR) };
            self.news.push(AsideNote {
                gid: signature.gid,
                sid: signature.sid,
                origin: signature.origin.clone(),
            });
        }
    }

    /// Rules that were set aside since the last call.
    pub(super) fn news(&mut self) -> &mut Vec<AsideNote> {
        &mut self.news
    }
}

#[cfg(test)]
mod tests {
    use rules::parse::{Context, Names, parse_rules};

    use super::*;

    #[test]
    fn a_rule_is_set_aside_for_a_while_after_many_strikes_in_a_short_time() {
        let text = b"alert tcp any any -> any any (sid:7;)";
        let rules = parse_rules("a.rules", text, &Context::default(), &mut Names::default());
        let rule = rules.signatures.first().expect("a rule");
        let mut aside = Aside::default();
        aside.begin(1);
        for strike in 0..u64::from(STRIKES) * 2 {
            aside.strike(5, rule, strike * SECOND);
        }
        assert!(aside.news().is_empty(), "too far apart");
        let now = 1000 * SECOND;
        for _ in 0..STRIKES {
            assert!(!aside.holds(5, now));
            aside.strike(5, rule, now);
        }
        let news = std::mem::take(aside.news());
        assert_eq!((news.len(), news[0].sid, news[0].origin.line), (1, 7, 1));
        assert!(aside.holds(5, now + FOR - 1) && !aside.holds(5, now + FOR));
        assert!(!aside.holds(6, now));
        aside.begin(2);
        assert!(!aside.holds(5, now));
    }
}
