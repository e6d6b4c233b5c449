//! Builds generations beside the traffic, whatever asked for one: a changed file, a signal, a bench.

use std::panic::AssertUnwindSafe;

use anyhow::bail;
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded, select};

use crate::cpu;
use crate::output::view::View;
use crate::state::{RulesDone, State};

/// What wakes the control side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Documents changed.
    Resources,
    /// The cluster changed: resources, endpoints, or rules in ConfigMaps.
    Cluster,
    /// Rule files changed.
    Rules,
    /// SIGHUP: read everything again.
    Reload,
    /// SIGTERM or SIGINT.
    Stop,
}

/// Builds generations on a thread of its own, one at a time; what is asked for meanwhile is built
/// next, once. Rules are read and compiled beside it: endpoints do not wait for them.
#[derive(Debug)]
pub(crate) struct Builder {
    asked: Sender<Event>,
    views: Receiver<View>,
}

impl Builder {
    /// Starts it with a state of its own.
    pub(crate) fn start(state: State) -> anyhow::Result<Self> {
        let (asked, requests) = bounded::<Event>(64);
        let (results, views) = bounded(1);
        let bench = Bench { state, rules: bounded(1), is_busy: false, again: false, waits: false };
        std::thread::Builder::new().name("pollux-build".to_owned()).spawn(move || {
            if let Err(error) = cpu::give_way() {
                tracing::debug!("the building thread keeps its priority: {error}");
            }
            bench.run(&requests, &results);
        })?;
        Ok(Self { asked, views })
    }

    /// What was built, in order.
    pub(crate) fn views(&self) -> &Receiver<View> {
        &self.views
    }

    /// Asks for a generation with what is new.
    pub(crate) fn ask(&self, event: Event) -> anyhow::Result<()> {
        match self.asked.try_send(event) {
            // What waits there already asks for the same.
            Ok(()) | Err(TrySendError::Full(_)) => Ok(()),
            Err(TrySendError::Disconnected(_)) => {
                bail!("the thread that builds generations has died")
            }
        }
    }
}

/// What the building thread works with.
struct Bench {
    state: State,
    /// What came of reading rules; nothing where that panicked.
    rules: (Sender<Option<RulesDone>>, Receiver<Option<RulesDone>>),
    /// Rules are being read.
    is_busy: bool,
    /// They are to be read once more.
    again: bool,
    /// The first resources wait for rules that are being read.
    waits: bool,
}

impl Bench {
    fn run(mut self, requests: &Receiver<Event>, results: &Sender<View>) {
        loop {
            let mut is_news = true;
            select! {
                recv(requests) -> first => {
                    let Ok(first) = first else { return };
                    let all: Vec<Event> =
                        std::iter::once(first).chain(requests.try_iter()).collect();
                    let wanted = |event| all.contains(&event) || all.contains(&Event::Reload);
                    let maps = wanted(Event::Cluster) && self.state.has_new_rule_maps();
                    self.again |= wanted(Event::Rules) || maps;
                    is_news = wanted(Event::Resources) || wanted(Event::Cluster);
                    // What is not inspected yet is not called active before its rules are there.
                    let incomplete = maps || self.is_busy;
                    if is_news && self.state.is_loading() && incomplete {
                        (self.waits, is_news) = (true, false);
                    }
                    if is_news {
                        self.state.reload_resources();
                    }
                }
                recv(self.rules.1) -> done => match done {
                    Ok(Some(done)) => {
                        self.is_busy = false;
                        self.state.end_rules(done);
                        if std::mem::take(&mut self.waits) {
                            self.state.reload_resources();
                        }
                    }
                    // They are not read any more.
                    Ok(None) | Err(_) => self.state.lose_rules(),
                }
            }
            if self.again && !self.is_busy {
                self.again = false;
                self.read_rules();
            }
            // One generation for all of it: the state's newest.
            if is_news && results.send(View::of(&self.state)).is_err() {
                return;
            }
        }
    }

    fn read_rules(&mut self) {
        let job = self.state.begin_rules();
        let done = self.rules.0.clone();
        self.is_busy = true;
        // As many threads as it takes; the receiver is there as long as this is.
        std::thread::spawn(move || {
            let result = std::panic::catch_unwind(AssertUnwindSafe(|| job.run()));
            let _ = done.send(result.ok());
        });
    }
}
