//! What changes while packets go: rules, and pods that come and go.

use std::time::Duration;

use super::site::Site;
use crate::builder::Event;
use crate::cli::BenchArgs;

/// Something that changes again and again.
#[derive(Debug, Clone)]
struct Change {
    event: Event,
    every: Duration,
    /// When next, from the beginning of the run on.
    next: Duration,
    /// How often it has changed.
    number: u64,
}

/// All that changes.
#[derive(Debug, Clone)]
pub(super) struct Changes(Vec<Change>);

impl Changes {
    /// What was asked for.
    pub(super) fn of(args: &BenchArgs) -> Self {
        let all = [(Event::Rules, args.reload_every), (Event::Resources, args.churn_every)];
        let change = |(event, every): (Event, Option<f64>)| {
            let every = Duration::from_secs_f64(every?);
            Some(Change { event, every, next: every / 2, number: 0 })
        };
        Self(all.into_iter().filter_map(change).collect())
    }

    /// Nothing.
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    /// Is there anything?
    pub(super) fn are_any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Changes what is to change by now; what the sensor is to be told of it.
    pub(super) fn due(&mut self, passed: Duration, site: &Site) -> anyhow::Result<Vec<Event>> {
        let mut events = Vec::new();
        for change in self.0.iter_mut().filter(|change| change.next <= passed) {
            change.number += 1;
            match change.event {
                Event::Resources => site.change_pods(change.number)?,
                _ => site.change_rules(change.number)?,
            }
            change.next = passed + change.every;
            events.push(change.event);
        }
        Ok(events)
    }
}
