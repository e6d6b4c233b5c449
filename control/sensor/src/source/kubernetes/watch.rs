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

/// When a server is taken for one that does not know lists as streams: it takes such a list for a
/// watch, and never says that the list is complete.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// It says nothing for so long.
    silence: Duration,
    /// It tells of objects for so long: a list, or changes.
    longest: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        // The longest is shorter than a watch is kept: a long list would be begun again and again.
        Self { silence: Duration::from_secs(10), longest: Duration::from_secs(45) }
    }
}

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

/// What is waited besides where the server says that it has too much to do: what it asks for then.
const OVERLOADED: Duration = Duration::from_secs(1);

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
    follow_within(Limits::default(), shared, stream, config, make, cut).await
}

async fn follow_within<T: Send>(
    limits: Limits,
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
        // Is a list to be told, and since when is it?
        let (mut listing, mut since) = (true, None::<Instant>);
        loop {
            if streaming && since.is_some_and(|since| since.elapsed() >= limits.longest) {
                shared.list_in_pages(&stream, "the server completes no list as a stream");
                break;
            }
            let next = match listing && streaming {
                true => tokio::time::timeout(limits.silence, events.next()).await,
                false => Ok(events.next().await),
            };
            let event = match next {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(error))) => {
                    let status = code(&error);
                    since = None;
                    // Known to those that have them; others refuse or do not understand. Also when
                    // a list is told anew: another server may have taken the place of the first.
                    if streaming && matches!(status, Some(400 | 422)) {
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
                    if status == Some(429) {
                        tokio::time::sleep(OVERLOADED).await;
                    }
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
                    since.get_or_insert_with(Instant::now);
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
                    (listing, since) = (false, None);
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
    use std::sync::Mutex;
    use std::sync::atomic::Ordering;

    use api::resources::Namespace;
    use futures::stream;
    use kube::core::Status;
    use kube::runtime::watcher::InitialListStrategy::StreamingList;

    use super::*;
    use crate::source::kubernetes::items::Item;

    type Told = watcher::Result<Event<&'static str>>;

    fn cut(name: &'static str) -> Named {
        let namespace = Namespace { name: name.to_owned(), ..Namespace::default() };
        ((String::new(), name.to_owned()), Item::Namespace(namespace))
    }

    fn refused(code: u16) -> Told {
        Err(watcher::Error::WatchError(Status { code, ..Status::default() }.boxed()))
    }

    /// Follows a server until it is so. It tells this where lists are to be streams, and where they
    /// are to be pages that there is one namespace, `paged`. Also returns of each list whether it was
    /// to be a stream.
    async fn follow_until(
        is_so: impl Fn(&Shared) -> bool,
        limits: Limits,
        streamed: impl Fn() -> BoxStream<'static, Told> + Send + 'static,
    ) -> (Arc<Shared>, Vec<bool>) {
        let shared = Arc::new(Shared::new("n1".to_owned(), [Stream::Namespaces]));
        let asked = Arc::<Mutex<Vec<bool>>>::default();
        let asks = Arc::clone(&asked);
        let make: Make<&'static str> = Box::new(move |config| {
            let is_streamed = config.initial_list_strategy == StreamingList;
            asks.lock().expect("no panic").push(is_streamed);
            if is_streamed {
                return streamed();
            }
            let told = [Event::Init, Event::InitApply("paged"), Event::InitDone];
            stream::iter(told.map(Ok)).chain(stream::pending()).boxed()
        });
        let config = watcher::Config::default();
        let (follower, namespaces) = (Arc::clone(&shared), Stream::Namespaces);
        let followed = follow_within(limits, follower, namespaces, config, make, cut);
        let look = async {
            while !is_so(&shared) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let both = async {
            tokio::select! { ended = followed => panic!("{ended:?}"), () = look => {} }
        };
        tokio::time::timeout(Duration::from_secs(30), both).await.expect("it comes to be so");
        let asked = asked.lock().expect("no panic").clone();
        (shared, asked)
    }

    fn names(shared: &Shared) -> Vec<String> {
        shared.store().index.namespace_names().map(|name| name.to_string()).collect()
    }

    fn is_complete(shared: &Shared) -> bool {
        shared.store().is_complete()
    }

    const LISTED: [Event<&str>; 2] = [Event::Init, Event::InitApply("a")];

    #[tokio::test]
    async fn a_list_is_complete_where_the_stream_says_so_and_not_before() {
        let limits = Limits::default();
        let told = || stream::iter(LISTED.map(Ok)).chain(stream::pending()).boxed();
        let (shared, asked) = follow_until(|it| names(it) == ["a"], limits, told).await;
        assert!(!is_complete(&shared));
        assert_eq!(asked, [true]);
        let told = || {
            let told = stream::iter(LISTED.map(Ok));
            told.chain(stream::iter([Ok(Event::InitDone)])).chain(stream::pending()).boxed()
        };
        let (shared, asked) = follow_until(is_complete, limits, told).await;
        assert_eq!((asked, names(&shared)), (vec![true], vec!["a".to_owned()]));
        assert!(shared.streaming.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_server_that_refuses_lists_as_streams_is_asked_for_pages() {
        for code in [400, 422] {
            let told = move || stream::iter([refused(code)]).chain(stream::pending()).boxed();
            let (shared, asked) = follow_until(is_complete, Limits::default(), told).await;
            assert_eq!((asked, names(&shared)), (vec![true, false], vec!["paged".to_owned()]));
            assert!(!shared.streaming.load(Ordering::Relaxed));
        }
    }

    #[tokio::test]
    async fn so_is_one_that_took_the_place_of_one_that_did_not() {
        let told = || {
            let told = stream::iter(LISTED.map(Ok)).chain(stream::iter([Ok(Event::InitDone)]));
            told.chain(stream::iter([refused(410), refused(422)])).chain(stream::pending()).boxed()
        };
        let is_paged = |it: &Shared| names(it) == ["paged"];
        let (_, asked) = follow_until(is_paged, Limits::default(), told).await;
        assert_eq!(asked, [true, false]);
    }

    #[tokio::test]
    async fn so_is_one_that_never_says_that_its_list_is_complete() {
        let told = || {
            let change = |()| async {
                tokio::time::sleep(Duration::from_millis(10)).await;
                Some((Ok(Event::InitApply("a")), ()))
            };
            stream::iter([Ok(Event::Init)]).chain(stream::unfold((), change)).boxed()
        };
        let limits = Limits { longest: Duration::from_millis(300), ..Limits::default() };
        let begin = Instant::now();
        let (shared, asked) = follow_until(is_complete, limits, told).await;
        assert!(begin.elapsed() >= limits.longest, "changes may be a long list");
        assert_eq!((asked, names(&shared)), (vec![true, false], vec!["paged".to_owned()]));

        let told = || stream::iter(LISTED.map(Ok)).chain(stream::pending()).boxed();
        let limits = Limits { silence: Duration::from_millis(100), ..Limits::default() };
        let (shared, asked) = follow_until(is_complete, limits, told).await;
        assert_eq!((asked, names(&shared)), (vec![true, false], vec!["paged".to_owned()]));
    }

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
