//! The sensor itself, where resources come from, the cluster and metrics.

use super::Key;
use super::value::path;
use crate::config::{LogLevel, SocketSetting, StatusWriter, Value};

pub(super) const KEYS: &[Key] = keys! {
    "sensor.node", "name of the Kubernetes Node; default: $NODE_NAME, else the host's name",
        |c, v| { c.sensor.node = Some(v.text()?.to_owned()); Ok(()) };
    "sensor.log-level", "error, warn, info, debug or trace; default: info",
        |c, v| { c.sensor.log_level = v.choice(LogLevel::NAMES)?; Ok(()) };
    "sensor.grace", "how long an alert waits for news of its endpoints; default: 1s",
        |c, v| { c.sensor.grace = v.duration()?; Ok(()) };
    "sensor.profile-every", "measure one burst in so many, and write profile.json at the end; default: 0, none",
        |c, v| { c.sensor.profile_every = v.number(0..=1 << 20)?; Ok(()) };

    "source.directory", "directory of Kubernetes documents; default: none, all traffic is in scope",
        |c, v| { c.source.directory = Some(path(v)?); Ok(()) };
    "source.kubernetes", "read resources and endpoints from a cluster; default: false",
        |c, v| { c.source.kubernetes = v.boolean()?; Ok(()) };

    "kubernetes.kubeconfig", "the kubeconfig; default: the pod's service account, else $KUBECONFIG",
        |c, v| { c.kubernetes.kubeconfig = Some(path(v)?); Ok(()) };
    "kubernetes.context", "a context of the kubeconfig; default: the current one",
        |c, v| { c.kubernetes.context = Some(v.text()?.to_owned()); Ok(()) };
    "kubernetes.namespace", "the sensor's own namespace; default: the service account's",
        |c, v| { c.kubernetes.namespace = Some(v.text()?.to_owned()); Ok(()) };
    "kubernetes.nodes", "nodes whose pods are in view; default: all of them",
        |c, v| { c.kubernetes.nodes = v.texts()?; Ok(()) };
    "kubernetes.node-selector", "label selector of the nodes whose pods are in view; default: none, see nodes",
        |c, v| { c.kubernetes.node_selector = Some(v.text()?.to_owned()); Ok(()) };
    "kubernetes.status", "who writes the status of resources: each sensor its own entries, one that is elected all, \
        or nobody (off); default: each",
        |c, v| {
            c.kubernetes.status = match v {
                Value::Boolean(false) => StatusWriter::Off,
                v => v.choice(&[
                    ("each", StatusWriter::Each),
                    ("elected", StatusWriter::Elected),
                    ("off", StatusWriter::Off),
                ])?,
            };
            Ok(())
        };
    "kubernetes.status-rate", "the most writes of status in a second; default: 50",
        |c, v| { c.kubernetes.status_rate = v.number(1..=10_000)?; Ok(()) };
    "kubernetes.status-interval", "time between two writes of a resource's status at the least; default: 1s",
        |c, v| { c.kubernetes.status_interval = v.duration()?; Ok(()) };
    "kubernetes.lease", "hold a lease, by which others see that the sensor lives; default: true",
        |c, v| { c.kubernetes.lease = v.boolean()?; Ok(()) };
    "kubernetes.lease-duration", "how long a lease holds without being renewed; default: 30s",
        |c, v| {
            let duration = v.duration()?;
            if duration < std::time::Duration::from_secs(3) {
                return Err("expected at least 3s".to_owned());
            }
            c.kubernetes.lease_duration = duration;
            Ok(())
        };

    "metrics.listen", "address and port of /healthz, /readyz and /metrics, such as 0.0.0.0:9464; default: none",
        |c, v| {
            let text = v.text()?;
            if text == "none" {
                c.metrics.listen = None;
                return Ok(());
            }
            let address = text.parse().map_err(|_| {
                format!("expected an address and a port, such as 127.0.0.1:9464, found {text:?}")
            })?;
            c.metrics.listen = Some(address);
            Ok(())
        };
    "metrics.socket", "local socket that `pollux top` and `pollux doctor --live` ask, auto (/run/pollux/pollux.sock, \
        where it can be made) or off; default: auto",
        |c, v| {
            c.metrics.socket = match v {
                Value::Boolean(false) => SocketSetting::Off,
                _ => match v.text()? {
                    "auto" => SocketSetting::Auto,
                    "off" | "no" | "none" => SocketSetting::Off,
                    path => SocketSetting::Path(path.into()),
                },
            };
            Ok(())
        };
};
