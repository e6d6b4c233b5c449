//! [`EventIndex`]: the signatures that ask for an event of the decoder, the defragmenter or the
//! stream engine. A packet without events, the usual one, costs them nothing.

use wire::{Event, EventSet};

use crate::signature::{HeaderTest, Kind, Signature};

/// All [`Kind::Event`] signatures of a ruleset, by the first event that each asks for.
#[derive(Debug)]
pub(crate) struct EventIndex {
    asked: EventSet,
    rules: Vec<(Event, u32)>,
}

impl EventIndex {
    /// Indexes the signatures, which are numbered by their position.
    pub(crate) fn new(signatures: &[Signature]) -> Self {
        let mut asked = EventSet::EMPTY;
        let mut rules = Vec::new();
        for (number, signature) in (0u32..).zip(signatures) {
            let first = signature.header.iter().find_map(|test| match test {
                HeaderTest::Event(event) => Some(*event),
                _ => None,
            });
            if let Some(event) = first.filter(|_| signature.kind == Kind::Event) {
                asked.insert(event);
                rules.push((event, number));
            }
        }
        rules.sort_unstable();
        Self { asked, rules }
    }

    /// Does a signature ask for one of the events?
    pub(crate) fn asks_for(&self, events: EventSet) -> bool {
        events.iter().any(|event| self.asked.has(event))
    }

    /// Appends the numbers of signatures that ask for one of the events. What else they ask for
    /// remains to be verified.
    pub(crate) fn find(&self, events: EventSet, out: &mut Vec<u32>) {
        for event in events.iter().filter(|event| self.asked.has(*event)) {
            let from = self.rules.partition_point(|(other, _)| *other < event);
            let these = self.rules.iter().skip(from).take_while(|(other, _)| *other == event);
            out.extend(these.map(|(_, number)| number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::rule;
    use super::*;

    #[test]
    fn rules_are_found_by_the_first_event_that_they_ask_for() {
        let asks = |events: &[Event]| {
            let mut rule = rule("ip", 1).with(|s| s.kind = Kind::Event);
            rule.header = events.iter().copied().map(HeaderTest::Event).collect();
            rule
        };
        let (cut, odd) = (Event::Ipv4TruncPkt, Event::StreamFinSyn);
        let index =
            EventIndex::new(&[asks(&[odd]), asks(&[cut]), rule("ip", 2), asks(&[odd, cut])]);
        let found = |events: &[Event]| {
            let mut set = EventSet::EMPTY;
            events.iter().for_each(|event| set.insert(*event));
            let mut out = Vec::new();
            index.find(set, &mut out);
            out
        };
        assert_eq!(found(&[odd]), [0, 3]);
        assert_eq!(found(&[cut, odd, Event::GreWrongVersion]), [1, 0, 3]);
        assert_eq!(found(&[Event::GreWrongVersion]), [0; 0]);
    }
}
