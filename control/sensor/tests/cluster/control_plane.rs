//! A Kubernetes control plane of a test's own: etcd and kube-apiserver on free ports of 127.0.0.1, with
//! tokens, RBAC and an audit log, in a folder that goes with it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::child::Running;
use crate::common::live::{Net, turn};
use crate::common::{finish, repository};
use crate::kubectl::Kubectl;

/// May do everything.
pub(crate) const ADMIN: &str = "admin-token";
/// The sensor's service account, as deploy/kubernetes/rbac.yaml names it.
pub(crate) const SENSOR: &str = "sensor-token";
/// Nobody who has any right but discovery.
pub(crate) const STRANGER: &str = "stranger-token";

const TOKENS: &str = "\
admin-token,admin,1,\"system:masters\"
sensor-token,system:serviceaccount:pollux:pollux,2,\"system:serviceaccounts,system:serviceaccounts:pollux\"
stranger-token,stranger,3,\"strangers\"
";

const AUDIT: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    users: [\"system:serviceaccount:pollux:pollux\"]
  - level: None
";

/// How long a server may take to come up on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where its binaries are; none where they are not on this machine, which is said.
pub(crate) fn assets() -> Option<&'static Path> {
    static ASSETS: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = ASSETS.get_or_init(|| {
        let run = finish(Command::new(repository("scripts/kube-assets")).arg("--where"));
        (run.code == Some(0)).then(|| PathBuf::from(run.stdout.trim()))
    });
    if found.is_none() {
        eprintln!("skipped: no Kubernetes control plane here; scripts/kube-assets builds it");
    }
    found.as_deref()
}

/// The control plane, ended when dropped.
pub(crate) struct ControlPlane {
    folder: TempDir,
    netns: Option<String>,
    api_port: u16,
    etcd_port: u16,
    api: Option<Running>,
    manager: Option<Running>,
    _etcd: Running,
    /// One at a time, unless the network is.
    _turn: Option<MutexGuard<'static, ()>>,
}

impl ControlPlane {
    /// Starts one; none where there are no binaries for it.
    pub(crate) fn start() -> Option<Self> {
        assets()?;
        Self::start_where(None, Some(turn()))
    }

    /// Starts one that is reached from within a namespace of a test's own only.
    pub(crate) fn start_in(net: &Net) -> Option<Self> {
        assets()?;
        finish(net.command("ip").args(["link", "set", "lo", "up"])).expect(0);
        Self::start_where(Some(net.name().to_owned()), None)
    }

    fn start_where(netns: Option<String>, turn: Option<MutexGuard<'static, ()>>) -> Option<Self> {
        let assets = assets()?;
        // In memory, for etcd waits for the disk at every write.
        let shm = Path::new("/dev/shm");
        let folder = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
        let folder = folder.expect("a folder");
        let [api_port, etcd_port, peer_port] = free_ports();
        let at = |below: &str| folder.path().join(below);
        fs::write(at("tokens.csv"), TOKENS).expect("written");
        fs::write(at("audit.yaml"), AUDIT).expect("written");
        let key = at("service-accounts.key");
        finish(Command::new("openssl").args(["genrsa", "-out"]).arg(&key).arg("2048")).expect(0);
        let client = format!("http://127.0.0.1:{etcd_port}");
        let peer = format!("http://127.0.0.1:{peer_port}");
        let mut etcd = within(netns.as_deref(), &assets.join("etcd"));
        etcd.arg("--data-dir").arg(at("etcd"));
        etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        etcd.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        etcd.args(["--initial-cluster", &format!("default={peer}")]);
        // On some machines Debian's etcd asks for this.
        etcd.env("ETCD_UNSUPPORTED_ARCH", std::env::consts::ARCH);
        let etcd = Running::start_logged(&mut etcd, &at("etcd.log"));
        let mut plane = Self {
            folder,
            netns,
            api_port,
            etcd_port,
            api: None,
            manager: None,
            _etcd: etcd,
            _turn: turn,
        };
        plane.start_api();
        Some(plane)
    }

    /// Starts the API server, and waits until it is ready.
    #[track_caller]
    pub(crate) fn start_api(&mut self) {
        self.launch_api();
        self.await_api();
    }

    /// Starts the API server without waiting for it.
    #[track_caller]
    pub(crate) fn launch_api(&mut self) {
        let at = |below: &str| self.folder.path().join(below);
        let assets = assets().expect("there are, for etcd runs");
        let mut api = within(self.netns.as_deref(), &assets.join("kube-apiserver"));
        let key = at("service-accounts.key");
        let option = |name: &str, value: &dyn std::fmt::Display| format!("--{name}={value}");
        api.args([
            option("etcd-servers", &format!("http://127.0.0.1:{}", self.etcd_port)),
            option("bind-address", &"127.0.0.1"),
            option("secure-port", &self.api_port),
            option("advertise-address", &"127.0.0.1"),
            option("endpoint-reconciler-type", &"none"),
            option("cert-dir", &at("certificates").display()),
            option("service-cluster-ip-range", &"10.96.0.0/16"),
            option("authorization-mode", &"RBAC"),
            option("token-auth-file", &at("tokens.csv").display()),
            option("service-account-issuer", &"https://kubernetes.default.svc"),
            option("service-account-key-file", &key.display()),
            option("service-account-signing-key-file", &key.display()),
            option("disable-admission-plugins", &"ServiceAccount"),
            option("audit-policy-file", &at("audit.yaml").display()),
            option("audit-log-path", &at("audit.log").display()),
        ]);
        self.api = Some(Running::start_logged(&mut api, &at("kube-apiserver.log")));
    }

    /// Waits until the API server says that it is ready.
    #[track_caller]
    pub(crate) fn await_api(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let kubectl = self.kubectl();
        while kubectl.try_run(&["get", "--raw", "/readyz"]).code != Some(0) {
            let log = fs::read_to_string(self.folder.path().join("kube-apiserver.log"));
            let ended = self.api.as_mut().and_then(Running::ended);
            assert!(
                ended.is_none(),
                "kube-apiserver ended: {ended:?}\n{}",
                log.unwrap_or_default()
            );
            assert!(Instant::now() < deadline, "no API server: {}", log.unwrap_or_default());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills the API server, without a word to its clients.
    pub(crate) fn kill_api(&mut self) {
        self.api = None;
    }

    /// Starts the controllers that remove what a removed thing leaves behind, and waits for nothing.
    /// Says no where there is no kube-controller-manager, as among the assets of kubebuilder.
    #[track_caller]
    pub(crate) fn start_manager(&mut self) -> bool {
        let binary = assets().expect("there are").join("kube-controller-manager");
        if !binary.is_file() {
            eprintln!("skipped: no kube-controller-manager among the assets");
            return false;
        }
        let mut manager = within(self.netns.as_deref(), &binary);
        manager.arg(format!("--kubeconfig={}", self.kubeconfig(ADMIN).display()));
        manager.args(["--controllers=namespace,garbagecollector", "--leader-elect=false"]);
        manager.args(["--port=0", "--secure-port=0"]);
        let log = self.folder.path().join("kube-controller-manager.log");
        self.manager = Some(Running::start_logged(&mut manager, &log));
        true
    }

    /// The namespace of the network that it is in, if that is not the machine's.
    pub(crate) fn netns(&self) -> Option<&str> {
        self.netns.as_deref()
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.api_port)
    }

    /// A file that says how to reach it as the one who has this token.
    pub(crate) fn kubeconfig(&self, token: &str) -> PathBuf {
        self.kubeconfig_at(token, &self.url())
    }

    /// A file that says how to reach it by another address, as by a proxy's.
    pub(crate) fn kubeconfig_at(&self, token: &str, url: &str) -> PathBuf {
        let ca = self.folder.path().join("certificates/apiserver.crt");
        let trust = if url.starts_with("https:") {
            format!(", certificate-authority: {}", ca.display())
        } else {
            String::new()
        };
        let port = url.rsplit(':').next().unwrap_or_default();
        let path = self.folder.path().join(format!("{token}-{port}.kubeconfig"));
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: it\n\
             clusters: [{{name: it, cluster: {{server: \"{url}\"{trust}}}}}]\n\
             users: [{{name: it, user: {{token: {token}}}}}]\n\
             contexts: [{{name: it, context: {{cluster: it, user: it}}}}]\n"
        );
        fs::write(&path, text).expect("written");
        path
    }

    /// kubectl with all rights.
    pub(crate) fn kubectl(&self) -> Kubectl {
        Kubectl::new(self.netns.clone(), self.kubeconfig(ADMIN))
    }

    /// Files of its own.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// What the sensors have asked it so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let text = fs::read_to_string(self.path("audit.log")).unwrap_or_default();
        // The last line may be half written.
        let whole = text.rsplit_once('\n').map_or("", |it| it.0);
        whole.lines().filter_map(|line| serde_json::from_str(line).ok()).map(Request).collect()
    }
}

/// A request by the audit log.
#[derive(Debug, Clone)]
pub(crate) struct Request(pub(crate) Value);

impl Request {
    /// `update deeppacketinspections/status`: the verb and what it is about.
    pub(crate) fn action(&self) -> String {
        let reference = &self.0["objectRef"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut action = format!("{} {}", text(&self.0["verb"]), text(&reference["resource"]));
        if let Some(below) = reference["subresource"].as_str() {
            action += "/";
            action += below;
        }
        action
    }

    /// The group of what it is about.
    pub(crate) fn group(&self) -> String {
        self.0["objectRef"]["apiGroup"].as_str().unwrap_or_default().to_owned()
    }

    /// The answer's status code.
    pub(crate) fn code(&self) -> u64 {
        self.0["responseStatus"]["code"].as_u64().unwrap_or(0)
    }

    /// `namespace/name` of what it is about.
    pub(crate) fn object(&self) -> String {
        let text = |name| self.0["objectRef"][name].as_str().unwrap_or_default();
        format!("{}/{}", text("namespace"), text("name"))
    }
}

/// A command, in a namespace of the network where one is named.
pub(crate) fn within(netns: Option<&str>, program: &Path) -> Command {
    match netns {
        None => Command::new(program),
        Some(name) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", name]).arg(program);
            command
        }
    }
}

/// Ports that nobody has now; held together, so that they differ.
fn free_ports<const N: usize>() -> [u16; N] {
    let holders: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    holders.map(|it| it.local_addr().expect("bound").port())
}
