//! A sensor whose resources and endpoints are the cluster's.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::child::Running;
use crate::common::live::{Net, TAP};
use crate::common::{Results, binary, finish, repository};
use crate::kubectl::Kubectl;

/// How a sensor is set up.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// The Node that it says it is on.
    pub(crate) node: String,
    /// How it reaches the API server.
    pub(crate) kubeconfig: PathBuf,
    /// What is below `[kubernetes]` besides.
    pub(crate) kubernetes: String,
    /// Rules; none: those of the example.
    pub(crate) rules: Option<String>,
    /// Further sections.
    pub(crate) more: String,
    /// Variables of its environment.
    pub(crate) environment: Vec<(String, String)>,
}

impl Setup {
    /// A sensor on this node.
    pub(crate) fn new(node: &str, kubeconfig: PathBuf) -> Self {
        Self {
            node: node.to_owned(),
            kubeconfig,
            kubernetes: String::new(),
            rules: None,
            more: String::new(),
            environment: Vec::new(),
        }
    }

    /// Starts it where it listens to the network of a test.
    #[track_caller]
    pub(crate) fn start_on(&self, net: &Net) -> KubeSensor {
        KubeSensor::start(self, Some(net))
    }

    /// Starts it on a port that nothing comes by.
    #[track_caller]
    pub(crate) fn start(&self) -> KubeSensor {
        KubeSensor::start(self, None)
    }
}

/// A running sensor, killed when dropped.
pub(crate) struct KubeSensor {
    running: Option<Running>,
    folder: TempDir,
    netns: Option<String>,
    metrics: u16,
    environment: Vec<(String, String)>,
    /// What it writes.
    pub(crate) results: Results,
}

impl KubeSensor {
    #[track_caller]
    fn start(setup: &Setup, net: Option<&Net>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |below: &str| folder.path().join(below);
        for below in ["rules", "out"] {
            fs::create_dir(at(below)).expect("made");
        }
        let example =
            fs::read_to_string(repository("deploy/examples/rules/example.rules")).expect("read");
        fs::write(at("rules/test.rules"), setup.rules.as_deref().unwrap_or(&example))
            .expect("written");
        let metrics = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let metrics = metrics.local_addr().expect("bound").port();
        let device = if net.is_some() { TAP } else { "net_ring0" };
        let text = format!(
            "[sensor]\nnode = \"{}\"\ngrace = \"50ms\"\n\
             [[ports]]\ndevice = \"{device}\"\nmtu = 1600\n\
             [source]\nkubernetes = true\n\
             [kubernetes]\nkubeconfig = \"{}\"\nnamespace = \"pollux\"\n{}\n\
             [metrics]\nlisten = \"127.0.0.1:{metrics}\"\n\
             [rules]\npaths = [\"{}\"]\ncache = \"{}\"\n\
             [outputs]\ndirectory = \"{}\"\n\
             [memory]\nhugepages = \"no\"\nsize = \"96mb\"\n{}\n",
            setup.node,
            setup.kubeconfig.display(),
            setup.kubernetes,
            at("rules").display(),
            at("cache").display(),
            at("out").display(),
            setup.more,
        );
        fs::write(at("pollux.toml"), text).expect("written");
        let results = Results::of(&at("out"));
        let netns = net.map(|net| net.name().to_owned());
        let environment = setup.environment.clone();
        let mut sensor = Self { running: None, folder, netns, metrics, environment, results };
        sensor.launch();
        sensor
    }

    /// Starts it, also once more after it was killed.
    #[track_caller]
    pub(crate) fn launch(&mut self) {
        let mut command = crate::control_plane::within(self.netns.as_deref(), &binary());
        command.args(["run", "-c"]).arg(self.path("pollux.toml"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.running = Some(Running::start_logged(&mut command, &self.path("log")));
    }

    /// Files of its own.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// An answer of its own server: code and body; none where it does not answer.
    pub(crate) fn http(&self, path: &str) -> Option<(u16, String)> {
        let url = format!("http://127.0.0.1:{}{path}", self.metrics);
        let mut curl = crate::control_plane::within(self.netns.as_deref(), Path::new("curl"));
        curl.args(["-s", "-m", "5", "-w", "\n%{http_code}", &url]);
        let run = finish(&mut curl);
        let (body, code) = run.stdout.rsplit_once('\n')?;
        (run.code == Some(0)).then(|| (code.parse().unwrap_or(0), body.to_owned()))
    }

    /// A metric's value, of the line that begins with this.
    pub(crate) fn metric(&self, begin: &str) -> Option<f64> {
        let (_, text) = self.http("/metrics")?;
        let line = text.lines().find(|line| line.starts_with(begin))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Waits until something is so; how long that took. Fails after `patience`, or if the sensor ends.
    #[track_caller]
    pub(crate) fn wait_for(
        &mut self,
        what: &str,
        patience: Duration,
        mut is_so: impl FnMut(&Self) -> bool,
    ) -> Duration {
        let begin = Instant::now();
        while !is_so(self) {
            let ended = self.running.as_mut().and_then(Running::ended);
            assert!(
                ended.is_none(),
                "waiting for {what}, the sensor ended ({ended:?}): {}",
                self.said()
            );
            assert!(begin.elapsed() < patience, "no {what} within {patience:?}: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        begin.elapsed()
    }

    /// `wait_for` with much patience.
    #[track_caller]
    pub(crate) fn wait(&mut self, what: &str, is_so: impl FnMut(&Self) -> bool) -> Duration {
        self.wait_for(what, Duration::from_secs(60), is_so)
    }

    /// Waits until its server says that it is ready.
    #[track_caller]
    pub(crate) fn wait_ready(&mut self) {
        self.wait("readiness", |it| it.http("/readyz").is_some_and(|(code, _)| code == 200));
    }

    /// Sends it a signal by name.
    #[track_caller]
    pub(crate) fn signal(&self, name: &str) {
        self.running.as_ref().expect("running").signal(name);
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.running.as_ref().expect("running").pid()
    }

    /// Kills it without a word.
    pub(crate) fn kill(&mut self) {
        self.running = None;
    }

    /// Ends it as the kubelet does.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        let mut running = self.running.take().expect("running");
        let code = running.terminate(Duration::from_secs(20));
        assert_eq!(code, Some(0), "{}", self.said());
        assert!(!self.said().contains("panicked"), "{}", self.said());
    }
}

/// The entry of a node in a resource's status; null where there is none.
#[track_caller]
pub(crate) fn entry(kubectl: &Kubectl, resource: &str, node: &str) -> Value {
    entry_of(kubectl, "projectcalico.org", resource, node)
}

/// The same of a resource that another group serves.
#[track_caller]
pub(crate) fn entry_of(kubectl: &Kubectl, group: &str, resource: &str, node: &str) -> Value {
    let (namespace, name) = resource.split_once('/').expect("namespace/name");
    let kind = format!("deeppacketinspections.{group}");
    let document = kubectl.get(&[&kind, "-n", namespace, name]);
    let nodes = document["status"]["nodes"].as_array().cloned().unwrap_or_default();
    nodes.into_iter().find(|it| it["node"] == node).unwrap_or(Value::Null)
}

/// Does an entry say that inspection is active?
pub(crate) fn is_active(entry: &Value) -> bool {
    entry["active"]["success"] == true
}

/// The messages of an entry, joined.
pub(crate) fn errors(entry: &Value) -> String {
    let conditions = entry["errorConditions"].as_array().cloned().unwrap_or_default();
    let messages: Vec<&str> = conditions.iter().filter_map(|it| it["message"].as_str()).collect();
    messages.join("\n")
}
