//! One watch, kept up: lists as a stream where the server has them, as pages where it has not, and
//! begins again after whatever happens. What was known stays known meanwhile.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{BoxStream, StreamExt as _};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event};

use super::Shared;
use super::items::Named;
use super::store::Stream;

/// A watch that is silent for so long in its first list is one of a server that does not know
/// lists as streams.
const SILENCE: Duration = Duration::from_secs(10);

/// How long the server keeps a watch; a dead connection is noticed soon after.
const WATCH_SECONDS: u32 = 60;

/// Why following a watch ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The server does not know the resource (any more).
    NotFound,
}

/// Without a failure for so long, the next one is a first one.
const FORGIVEN: Duration = Duration::from_secs(10);

/// Time between attempts: from a moment to two seconds and a half, at random, so that a fleet does
/// not come back at once. Begins anew when things went well for a while: that a watch says it begins
/// a list is no success yet.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    failures: u32,
    last: Option<Instant>,
}

impl Patience {
    fn pause(&mut self, now: Instant) -> Duration {
        if self.last.is_some_and(|last| now.duration_since(last) > FORGIVEN) {
            self.failures = 0;
        }
        self.last = Some(now);
        let longest = 100_u64 << self.failures.min(4);
        self.failures += 1;
        Duration::from_millis(longest + super::jitter(longest / 2))
    }
}

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.pause(Instant::now()))
    }
}

impl Backoff for Patience {
    fn reset(&mut self) {}
}

/// Makes the watch of a configuration.
pub(super) type Make<T> =
    Box<dyn Fn(watcher::Config) -> BoxStream<'static, watcher::Result<Event<T>>> + Send>;

/// Follows a watch until its resource is not there any more.
pub(super) async fn follow<T: Send>(
    shared: Arc<Shared>,
    stream: Stream,
    config: watcher::Config,
    make: Make<T>,
    cut: fn(T) -> Named,
) -> Ended {
    loop {
        let streaming = shared.streams_lists();
        let mut config = config.clone().timeout(WATCH_SECONDS);
        if streaming {
            config = config.streaming_lists();
        }
        let mut events = make(config).backoff(Patience::default()).boxed();
        let mut listing = true;
        loop {
            let next = match listing && streaming {
                true => tokio::time::timeout(SILENCE, events.next()).await,
                false => Ok(events.next().await),
            };
            let event = match next {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(error))) => {
                    let status = code(&error);
                    // Known to those that have them; others refuse or do not understand.
                    if streaming && listing && matches!(status, Some(400 | 422)) {
                        shared.list_in_pages(&stream, "the server refuses lists as streams");
                        break;
                    }
                    if status == Some(404) && matches!(stream, Stream::Resources) {
                        return Ended::NotFound;
                    }
                    // Every watch grows too old now and then: it is listed anew, and that is all.
                    if status == Some(410) {
                        tracing::debug!("the watch of {stream} is too old; listing anew");
                        continue;
                    }
                    shared.failed(&stream, explain(&stream, &error));
                    continue;
                }
                // A watch without an end ended: begin anew.
                Ok(None) => break,
                // Streaming, but reconnecting may also take its time: then pages work as well.
                Err(_) => {
                    shared.list_in_pages(&stream, "the server begins no list as a stream");
                    break;
                }
            };
            match event {
                Event::Init => {
                    listing = true;
                    shared.begin(&stream);
                }
                Event::InitApply(object) | Event::Apply(object) => {
                    let (key, item) = cut(object);
                    shared.put(&stream, key, item);
                }
                Event::Delete(object) => {
                    let (key, _) = cut(object);
                    shared.take(&stream, &key);
                }
                Event::InitDone => {
                    listing = false;
                    shared.done(&stream);
                }
            }
        }
    }
}

/// The HTTP status of an error, if the server answered.
fn code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => Some(status.code),
        watcher::Error::WatchError(status) => Some(status.code),
        _ => None,
    }
}

/// What is wrong, and what to do where that is known.
pub(crate) fn explain(stream: &impl Display, error: &watcher::Error) -> String {
    match code(error) {
        Some(401) => "the API server refuses the sensor's credentials; renew them".to_owned(),
        Some(403) => format!("the sensor may not list and watch {stream}; grant it the right"),
        Some(429) => "the API server is overloaded".to_owned(),
        _ => format!("watching {stream}: {}", chain(error)),
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_to_a_bound_and_begins_anew() {
        let mut patience = Patience::default();
        let start = Instant::now();
        let waits: Vec<Duration> = (0..40).map(|_| patience.pause(start)).collect();
        assert!(waits[0] <= Duration::from_millis(150));
        assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(2500)));
        assert!(waits[39] >= Duration::from_millis(1600));
        patience.reset();
        assert!(patience.pause(start) >= Duration::from_millis(1600), "a beginning is no success");
        let later = start + FORGIVEN + Duration::from_secs(1);
        assert!(patience.pause(later) <= Duration::from_millis(150));
    }
}
