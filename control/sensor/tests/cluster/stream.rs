//! Lists as streams, told by the proxy in the place of a server that does not know them: from a real list and
//! the real watch that follows it, event by event as Kubernetes' API documents them.

use std::io;

use bytes::Bytes;
use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use hyper::http::{HeaderValue, request, response};
use kube::client::Body;
use serde_json::{Value, json};

use crate::proxy::{Events, Streams};

/// What of a watch's query a list does not have.
const OF_WATCHES: [&str; 6] = [
    "watch",
    "sendInitialEvents",
    "resourceVersionMatch",
    "resourceVersion",
    "allowWatchBookmarks",
    "timeoutSeconds",
];

/// The answer to such a request. `is_half`: it breaks off in the middle of the list.
pub(crate) async fn told(
    client: &kube::Client,
    asked: request::Parts,
    streams: Streams,
    is_half: bool,
) -> io::Result<(response::Parts, Events)> {
    let list = listed(client, &asked).await?;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    let mut events = initial(&list);
    if is_half {
        events.truncate(events.len() / 2);
        let broken = futures::stream::iter([Err(io::ErrorKind::ConnectionAborted.into())]);
        let events = futures::stream::iter(events.into_iter().map(Ok)).chain(broken).boxed();
        let (parts, ()) = hyper::Response::new(()).into_parts();
        return Ok((parts, events));
    }
    if streams == Streams::Told {
        events.push(line(&bookmark(&list, &version)));
    }
    let mut query = kept(&asked, &["sendInitialEvents", "resourceVersionMatch", "resourceVersion"]);
    query.push(format!("resourceVersion={version}"));
    let response = send(client, &asked, &query, None).await?;
    let (parts, body) = response.into_parts();
    let watch = body.into_data_stream().map(|it| it.map_err(io::Error::other));
    let events = futures::stream::iter(events.into_iter().map(Ok)).chain(watch).boxed();
    Ok((parts, events))
}

/// The whole list, in one page.
async fn listed(client: &kube::Client, asked: &request::Parts) -> io::Result<Value> {
    let accept = asked.headers.get("accept").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let accept = accept.replace("as=PartialObjectMetadata;", "as=PartialObjectMetadataList;");
    let response = send(client, asked, &kept(asked, &OF_WATCHES), Some(&accept)).await?;
    if !response.status().is_success() {
        return Err(io::Error::other(format!("no list: {}", response.status())));
    }
    let bytes = response.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    serde_json::from_slice(&bytes).map_err(io::Error::other)
}

/// The parameters of a query but these.
fn kept(asked: &request::Parts, without: &[&str]) -> Vec<String> {
    let query = asked.uri.query().unwrap_or_default();
    let is_kept = |pair: &&str| {
        let name = pair.split_once('=').map_or(*pair, |it| it.0);
        !pair.is_empty() && !without.contains(&name)
    };
    query.split('&').filter(is_kept).map(str::to_owned).collect()
}

async fn send(
    client: &kube::Client,
    asked: &request::Parts,
    query: &[String],
    accept: Option<&str>,
) -> io::Result<hyper::Response<Body>> {
    let uri = format!("{}?{}", asked.uri.path(), query.join("&"));
    let mut request = hyper::Request::get(uri).body(Body::empty()).map_err(io::Error::other)?;
    *request.headers_mut() = asked.headers.clone();
    if let Some(accept) = accept {
        let accept = HeaderValue::from_str(accept).map_err(io::Error::other)?;
        request.headers_mut().insert("accept", accept);
    }
    client.send(request).await.map_err(io::Error::other)
}

/// Of each item of a list that it is there. Items of a list come without kind and version, events with.
fn initial(list: &Value) -> Vec<Bytes> {
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let event = |mut item: Value| {
        (item["kind"], item["apiVersion"]) = (kind(list), list["apiVersion"].clone());
        line(&json!({"type": "ADDED", "object": item}))
    };
    items.into_iter().map(event).collect()
}

fn kind(list: &Value) -> Value {
    let kind = list["kind"].as_str().unwrap_or_default();
    kind.strip_suffix("List").unwrap_or(kind).into()
}

/// What says that these were all.
fn bookmark(list: &Value, version: &str) -> Value {
    json!({"type": "BOOKMARK", "object": {
        "kind": kind(list), "apiVersion": list["apiVersion"],
        "metadata": {
            "resourceVersion": version, "creationTimestamp": null,
            "annotations": {"k8s.io/initial-events-end": "true"},
        },
    }})
}

fn line(event: &Value) -> Bytes {
    Bytes::from(format!("{event}\n"))
}
