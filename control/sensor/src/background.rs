//! The control side's runtime: one thread that watches the cluster, writes its status and answers
//! over HTTP. The packet path knows nothing of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use anyhow::Context as _;
use crossbeam::channel::Sender;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::builder::Event;
use crate::config::{Config, SocketSetting, StatusWriter};
use crate::fleet::{Fleet, FleetConfig};
use crate::health::{self, Health, Sample, StatusSample, WatchSample, socket};
use crate::source::Cluster;
use crate::status::{ClusterStatus, Standing};

/// The runtime, and what runs on it. Dropped, it ends.
#[derive(Debug)]
pub struct Background {
    /// The cluster, if that is the source.
    pub cluster: Option<Cluster>,
    status: Option<ClusterStatus>,
    fleet: Option<Fleet>,
    health: Option<Arc<Health>>,
    socket: Option<socket::Place>,
    runtime: Option<Runtime>,
}

/// Makes the local socket; where it is not asked for by name, the sensor does without.
fn open_socket(
    setting: &SocketSetting,
) -> anyhow::Result<Option<(std::os::unix::net::UnixListener, socket::Place)>> {
    let Some(path) = setting.path() else { return Ok(None) };
    match socket::bind(path) {
        Ok(bound) => Ok(Some(bound)),
        Err(error) if *setting == SocketSetting::Auto => {
            tracing::info!("without a socket for `pollux top` (metrics.socket): {error}");
            Ok(None)
        }
        Err(error) => Err(error).context("cannot make the local socket (metrics.socket)"),
    }
}

/// A runtime on a thread of its own.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts what the configuration asks for; `events` hears of news of the cluster.
    ///
    /// # Errors
    /// There is no way to the cluster (that it does not answer is no error), or the address of the
    /// metrics cannot be listened at.
    pub(crate) fn start(config: &Config, events: Sender<Event>) -> anyhow::Result<Self> {
        let listen = config.metrics.listen;
        let mut background = Self {
            cluster: None,
            status: None,
            fleet: None,
            health: None,
            socket: None,
            runtime: None,
        };
        let socket = open_socket(&config.metrics.socket)?;
        if !config.source.kubernetes && listen.is_none() && socket.is_none() {
            return Ok(background);
        }
        let runtime = Runtime::start()?;
        runtime.handle.block_on(async {
            if listen.is_some() || socket.is_some() {
                background.health = Some(Arc::default());
            }
            if let (Some(health), Some(listen)) = (&background.health, listen) {
                let address = health::serve(listen, Arc::clone(health)).await?;
                tracing::info!("serving /healthz, /readyz and /metrics at {address}");
            }
            if let (Some(health), Some((listener, place))) = (&background.health, socket) {
                socket::serve(listener, Arc::clone(health))?;
                background.socket = Some(place);
            }
            if config.source.kubernetes {
                background.watch(config, events).await?;
            }
            anyhow::Ok(())
        })?;
        background.runtime = Some(runtime);
        Ok(background)
    }

    async fn watch(&mut self, config: &Config, events: Sender<Event>) -> anyhow::Result<()> {
        let news = move || {
            // Where so much waits, this has been asked for already.
            let _ = events.try_send(Event::Cluster);
        };
        let cluster = Cluster::start(config, news).await?;
        let kubernetes = &config.kubernetes;
        if kubernetes.status == StatusWriter::Each {
            self.status = Some(ClusterStatus::start(
                cluster.clone(),
                config.sensor.node_name(),
                kubernetes.status_rate,
                kubernetes.status_interval,
            ));
        }
        let elected_status = kubernetes.status == StatusWriter::Elected;
        if kubernetes.lease || elected_status {
            let config = FleetConfig {
                node: config.sensor.node_name(),
                lease: kubernetes.lease_duration,
                elected_status,
                rate: kubernetes.status_rate,
                tidies: kubernetes.status != StatusWriter::Off,
            };
            self.fleet = Some(Fleet::start(cluster.clone(), config));
        }
        self.cluster = Some(cluster);
        Ok(())
    }

    /// Is anybody to be told by [`Background::tell`]?
    pub fn has_health(&self) -> bool {
        self.health.is_some()
    }

    /// Tells those who ask over HTTP or the local socket; what is known here of the cluster is filled in.
    pub fn tell(&self, mut sample: Sample) {
        let Some(health) = &self.health else { return };
        if let Some(cluster) = &self.cluster {
            let watches = cluster.watches().into_iter().map(|(stream, health)| WatchSample {
                name: stream.to_string(),
                listed: health.listed,
                up: health.listed && health.error.is_none(),
                events: health.events,
                lists: health.lists,
                failures: health.failures,
            });
            sample.watches = watches.collect();
        }
        sample.status = self.status.as_ref().map(|status| {
            let counts = status.counts();
            let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
            StatusSample {
                writes: of(&counts.writes),
                conflicts: of(&counts.conflicts),
                failures: of(&counts.failures),
                unchanged: of(&counts.unchanged),
                behind: of(&counts.behind),
            }
        });
        health.tell(sample);
    }

    /// What is wrong with the source.
    pub fn faults(&self) -> Vec<String> {
        self.cluster.as_ref().map(Cluster::faults).unwrap_or_default()
    }

    /// Tells the cluster what is so.
    pub fn say(&self, standing: Standing) {
        if let Some(fleet) = &self.fleet {
            fleet.say(standing.clone());
        }
        if let Some(status) = &self.status {
            status.say(standing);
        }
    }

    /// Tells the cluster the last, and ends.
    pub fn finish(mut self, last: Standing) {
        if let Some(status) = self.status.take() {
            status.finish(last.clone());
        }
        if let Some(fleet) = self.fleet.take() {
            fleet.finish(last);
        }
        drop(self.runtime.take());
    }
}

impl Runtime {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the control side's runtime")?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("pollux-control".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let _ = stopped.await;
                });
                // Whatever is under way is of no account any more.
                runtime.shutdown_background();
            })
            .context("cannot start the control side's thread")?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
