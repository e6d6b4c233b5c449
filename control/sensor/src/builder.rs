//! Builds generations beside the traffic, whatever asked for one: a changed file, a signal, a bench.

use anyhow::bail;
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};

use crate::output::view::View;
use crate::state::State;

/// What wakes the control side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Documents changed.
    Resources,
    /// Rule files changed.
    Rules,
    /// SIGHUP: read everything again.
    Reload,
    /// SIGTERM or SIGINT.
    Stop,
}

/// Builds generations on a thread of its own, one at a time; what is asked for meanwhile is built
/// next, once.
#[derive(Debug)]
pub(crate) struct Builder {
    asked: Sender<Event>,
    views: Receiver<View>,
}

impl Builder {
    /// Starts it with a state of its own.
    pub(crate) fn start(mut state: State) -> anyhow::Result<Self> {
        let (asked, requests) = bounded::<Event>(64);
        let (results, views) = bounded(1);
        std::thread::Builder::new().name("pollux-build".to_owned()).spawn(move || {
            while let Ok(first) = requests.recv() {
                let all: Vec<Event> = std::iter::once(first).chain(requests.try_iter()).collect();
                let wanted = |event| all.contains(&event) || all.contains(&Event::Reload);
                if wanted(Event::Rules) {
                    state.reload_rules();
                }
                if wanted(Event::Resources) {
                    state.reload_resources();
                }
                // One generation for all of it: the state's newest.
                if results.send(View::of(&state)).is_err() {
                    return;
                }
            }
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
