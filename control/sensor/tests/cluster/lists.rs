//! First lists: as streams where the server has them, as pages where it has not, and which of the two a server
//! does is found out by itself, said once, and changes nothing of what is known.

use std::time::Duration;

use serde_json::json;

use crate::example::{create_pod, delete_pod, pod, resource};
use crate::faults::{NODE, follows, sensor_behind, surroundings};
use crate::kubectl::Kubectl;
use crate::proxy::{Asked, Ending, Fault, Proxy, Streams};
use crate::sensor::{KubeSensor, entry, is_active};

/// What is listed in all cases.
const LISTED: [&str; 4] = ["pods", "namespaces", "serviceaccounts", "deeppacketinspections"];

/// Longer than a server may be silent that is asked for a list as a stream.
const SILENCE: Duration = Duration::from_secs(30);

/// How often the sensor has said that it lists in pages.
fn turns(sensor: &KubeSensor) -> usize {
    sensor.said().matches("listing in pages").count()
}

fn in_pages(proxy: &Proxy) -> Vec<&'static str> {
    LISTED.into_iter().filter(|it| proxy.count(|asked| asked.lists(it)) > 0).collect()
}

/// Does the real server know lists as streams?
fn has_streams(kubectl: &Kubectl) -> bool {
    let path = "/api/v1/namespaces?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
                &resourceVersion=0&allowWatchBookmarks=true&timeoutSeconds=2";
    kubectl.try_run(&["get", "--raw", path]).stdout.contains("k8s.io/initial-events-end")
}

#[test]
fn a_server_that_refuses_streams_is_asked_for_pages_and_that_is_said_once() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    let is_streamed = |asked: &Asked| LISTED.iter().any(|it| asked.streams(it));
    for name in ["real", "refusing", "not-understanding"] {
        let mut refuses = true;
        match name {
            "real" => {
                proxy.stream_lists(Streams::Asked);
                refuses = !has_streams(&kubectl);
            }
            "refusing" => proxy.stream_lists(Streams::Refused),
            _ => proxy.fault(usize::MAX, Fault::Answer(400, "BadRequest"), is_streamed),
        }
        let before = proxy.count(is_streamed);
        let mut sensor = sensor_behind(&plane, &proxy);
        sensor.wait_ready();
        follows(&kubectl, &mut sensor, name);
        assert!(proxy.count(is_streamed) > before, "{name}: a stream is asked for first");
        assert_eq!(turns(&sensor), usize::from(refuses), "{name}: {}", sensor.said());
        assert_eq!(in_pages(&proxy), if refuses { LISTED.to_vec() } else { Vec::new() }, "{name}");
        assert!(!sensor.said().contains("trying again"), "{name}: {}", sensor.said());
        sensor.stop();
    }
}

#[test]
fn where_the_server_has_streams_nothing_is_listed_in_pages() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    proxy.stream_lists(Streams::Told);
    kubectl.apply(&resource("default", "early", "all()"));
    create_pod(&kubectl, &pod("default", "early", "10.1.0.1", &json!({})));
    let mut sensor = sensor_behind(&plane, &proxy);
    sensor.wait_ready();
    sensor.wait("active status", |_| is_active(&entry(&kubectl, "default/early", NODE)));
    assert_eq!(sensor.metric("pollux_endpoints"), Some(1.0));
    follows(&kubectl, &mut sensor, "first");
    let told = entry(&kubectl, "default/early", NODE);
    for (number, ending) in [Ending::Abort, Ending::HalfEvent, Ending::Gone].into_iter().enumerate()
    {
        let (watches, streams) =
            (proxy.count(|it| it.watches("pods")), proxy.count(|it| it.streams("pods")));
        // What goes while nobody watches is found gone.
        let name = format!("passing-{number}");
        let before = sensor.metric("pollux_endpoints").expect("told");
        create_pod(&kubectl, &pod("default", &name, &format!("10.1.1.{number}"), &json!({})));
        sensor.wait("arrival", |it| it.metric("pollux_endpoints") == Some(before + 1.0));
        proxy.fault(1, Fault::Delay(Duration::from_secs(2)), |it| it.watches("pods"));
        proxy.end_watches(ending);
        delete_pod(&kubectl, "default", &name);
        sensor.wait("another watch", |_| proxy.count(|it| it.watches("pods")) > watches);
        let anew = proxy.count(|it| it.streams("pods")) > streams;
        assert_eq!(
            anew,
            matches!(ending, Ending::Gone),
            "{ending:?}: listed anew only where needed"
        );
        sensor.wait("departure", |it| it.metric("pollux_endpoints") == Some(before));
        follows(&kubectl, &mut sensor, &format!("after-{number}"));
    }
    assert_eq!(entry(&kubectl, "default/early", NODE), told, "written once");
    assert_eq!(in_pages(&proxy), Vec::<&str>::new());
    assert_eq!(turns(&sensor), 0);
    sensor.stop();
}

#[test]
fn nothing_is_inspected_before_a_streamed_list_is_whole() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    proxy.stream_lists(Streams::Told);
    kubectl.apply(&resource("default", "early", "all()"));
    for number in 1..=4 {
        let name = format!("early-{number}");
        create_pod(&kubectl, &pod("default", &name, &format!("10.1.0.{number}"), &json!({})));
    }
    proxy.fault(2, Fault::Half, |asked| asked.streams("pods"));
    proxy.fault(1, Fault::Delay(Duration::from_secs(3)), |asked| asked.streams("pods"));
    let mut sensor = sensor_behind(&plane, &proxy);
    sensor.wait("refusal to be ready", |it| {
        it.http("/readyz").is_some_and(|(code, text)| code == 503 && text.contains("pods"))
    });
    assert_eq!(sensor.metric("pollux_endpoints").unwrap_or(0.0), 0.0);
    assert!(!is_active(&entry(&kubectl, "default/early", NODE)));
    sensor.wait_ready();
    assert_eq!(proxy.pending(), 0, "all the faults happened");
    sensor.wait("all pods", |it| it.metric("pollux_endpoints") == Some(4.0));
    sensor.wait("active status", |_| is_active(&entry(&kubectl, "default/early", NODE)));
    assert_eq!(in_pages(&proxy), Vec::<&str>::new());
    sensor.stop();
}

#[test]
fn a_server_that_has_no_streams_any_more_is_asked_for_pages_in_the_midst() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    proxy.stream_lists(Streams::Told);
    let mut sensor = sensor_behind(&plane, &proxy);
    sensor.wait_ready();
    follows(&kubectl, &mut sensor, "before");
    proxy.stream_lists(Streams::Refused);
    proxy.end_watches(Ending::Gone);
    sensor.wait("lists in pages", |_| in_pages(&proxy) == LISTED);
    assert_eq!(sensor.metric("pollux_endpoints"), Some(1.0), "what was known is not forgotten");
    follows(&kubectl, &mut sensor, "after");
    assert_eq!(turns(&sensor), 1, "{}", sensor.said());
    sensor.stop();
}

#[test]
fn a_server_that_takes_streamed_lists_for_watches_is_asked_for_pages() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    proxy.stream_lists(Streams::Unmarked);
    kubectl.apply(&resource("default", "early", "all()"));
    let mut sensor = sensor_behind(&plane, &proxy);
    sensor.wait_for("readiness", SILENCE, |it| it.http("/readyz").is_some_and(|it| it.0 == 200));
    follows(&kubectl, &mut sensor, "after");
    assert_eq!(turns(&sensor), 1, "{}", sensor.said());
    sensor.stop();
}
