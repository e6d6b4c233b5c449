//! Which nodes' pods are watched: all, those that are named, or those that a label selector picks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::StreamExt as _;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::core::{ApiResource, PartialObjectMeta};
use kube::runtime::watcher;
use tokio::task::JoinHandle;

use super::Shared;
use super::items::{self, PodObject};
use super::store::Stream;
use super::watch::{Make, follow};
use crate::config::KubernetesConfig;

/// How often it is looked whether the nodes in view have changed.
const LOOK: Duration = Duration::from_millis(200);

/// Watches the pods in view.
pub(super) fn watch_pods(shared: &Arc<Shared>, client: &kube::Client, config: &KubernetesConfig) {
    if let Some(selector) = &config.node_selector {
        let nodes = Api::<PartialObjectMeta<Node>>::all(client.clone());
        tokio::spawn(follow(
            Arc::clone(shared),
            Stream::Nodes,
            watcher::Config::default().labels(selector),
            Box::new(move |config| watcher::watcher(nodes.clone(), config).boxed()),
            items::node,
        ));
        tokio::spawn(follow_nodes(Arc::clone(shared), client.clone()));
    } else if config.nodes.is_empty() {
        watch_node(shared, client, None);
    } else {
        for node in &config.nodes {
            watch_node(shared, client, Some(node.as_str().into()));
        }
    }
}

fn watch_node(
    shared: &Arc<Shared>,
    client: &kube::Client,
    node: Option<Arc<str>>,
) -> JoinHandle<super::watch::Ended> {
    let resource = ApiResource {
        group: String::new(),
        version: "v1".to_owned(),
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        plural: "pods".to_owned(),
    };
    let pods = Api::<PodObject>::all_with(client.clone(), &resource);
    let mut config = watcher::Config::default();
    if let Some(node) = &node {
        config = config.fields(&format!("spec.nodeName={node}"));
    }
    let make: Make<PodObject> =
        Box::new(move |config| watcher::watcher(pods.clone(), config).boxed());
    tokio::spawn(follow(Arc::clone(shared), Stream::Pods(node), config, make, items::pod))
}

/// Watches the pods of each node in view, as nodes come and go.
async fn follow_nodes(shared: Arc<Shared>, client: kube::Client) {
    let mut watched: HashMap<Arc<str>, JoinHandle<_>> = HashMap::new();
    loop {
        let nodes = shared.store().nodes.clone();
        watched.retain(|node, task| {
            let stays = nodes.contains(node);
            if !stays {
                task.abort();
                shared.store().forget(&Stream::Pods(Some(Arc::clone(node))));
            }
            stays
        });
        for node in nodes {
            watched
                .entry(node)
                .or_insert_with_key(|node| watch_node(&shared, &client, Some(Arc::clone(node))));
        }
        tokio::time::sleep(LOOK).await;
    }
}
