//! The way to the API server: a kubeconfig, or what a pod finds in its container.

use std::time::Duration;

use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::config::KubernetesConfig;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// How long an answer may take to begin or go on. Watches are asked to end well before.
const READ: Duration = Duration::from_secs(90);

/// A client, and the namespace that the sensor lives in.
///
/// # Errors
/// No configuration is found, or it cannot be read. The server need not be there.
pub(crate) async fn connect(config: &KubernetesConfig) -> anyhow::Result<(kube::Client, String)> {
    let options =
        KubeConfigOptions { context: config.context.clone(), ..KubeConfigOptions::default() };
    let mut client = match &config.kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path)
                .with_context(|| format!("cannot read the kubeconfig {}", path.display()))?;
            kube::Config::from_custom_kubeconfig(file, &options)
                .await
                .with_context(|| format!("the kubeconfig {} is incomplete", path.display()))?
        }
        None if config.context.is_some() => kube::Config::from_kubeconfig(&options)
            .await
            .context("cannot read the kubeconfig ($KUBECONFIG or ~/.kube/config)")?,
        None => kube::Config::infer().await.context(
            "no way to a cluster: neither is this a pod with a service account, nor is there a \
             kubeconfig; set kubernetes.kubeconfig",
        )?,
    };
    client.connect_timeout = Some(CONNECT);
    client.read_timeout = Some(READ);
    // Who asks tries again at his own pace, and says why: for minutes the client would not.
    client.default_retry = false;
    let namespace = config.namespace.clone().unwrap_or_else(|| client.default_namespace.clone());
    let client = kube::Client::try_from(client).context("the cluster's address or keys are bad")?;
    Ok((client, namespace))
}
