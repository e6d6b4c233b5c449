//! kubectl, as a person or a script uses it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{Run, finish};
use crate::control_plane::{assets, within};

/// kubectl with a kubeconfig.
#[derive(Debug, Clone)]
pub(crate) struct Kubectl {
    netns: Option<String>,
    kubeconfig: PathBuf,
}

impl Kubectl {
    pub(crate) fn new(netns: Option<String>, kubeconfig: PathBuf) -> Self {
        Self { netns, kubeconfig }
    }

    fn command(&self, words: &[&str]) -> Command {
        let own = assets().map(|it| it.join("kubectl")).filter(|it| it.is_file());
        let mut command =
            within(self.netns.as_deref(), &own.unwrap_or_else(|| PathBuf::from("kubectl")));
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(words);
        // Its cache of what a server can do is by the server's address, which others had before.
        command.arg("--cache-dir").arg(self.kubeconfig.with_extension("cache"));
        command
    }

    /// Runs it, whatever comes of it.
    pub(crate) fn try_run(&self, words: &[&str]) -> Run {
        finish(&mut self.command(words))
    }

    /// Runs it; what it prints.
    #[track_caller]
    pub(crate) fn run(&self, words: &[&str]) -> String {
        self.try_run(words).expect(0).stdout
    }

    /// Runs it with a document on its standard input, whatever comes of it.
    #[track_caller]
    pub(crate) fn try_feed(&self, words: &[&str], document: &str) -> Run {
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let output = std::thread::scope(|scope| {
            scope.spawn(move || {
                let _ = stdin.write_all(document.as_bytes());
            });
            child.wait_with_output().expect("it ends")
        });
        Run {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// `kubectl apply -f -`.
    #[track_caller]
    pub(crate) fn apply(&self, document: &str) {
        self.try_feed(&["apply", "-f", "-"], document).expect(0);
    }

    /// A thing as JSON; null where it isn't.
    #[track_caller]
    pub(crate) fn get(&self, words: &[&str]) -> Value {
        let run = self.try_run(&[&["get", "-o", "json", "--ignore-not-found"], words].concat());
        let run = run.expect(0);
        if run.stdout.trim().is_empty() { Value::Null } else { run.json() }
    }

    /// Installs the CustomResourceDefinition as README says, and waits until it is served.
    #[track_caller]
    pub(crate) fn install_crd(&self) {
        let crd = crate::common::pollux(["crd"]).expect(0).stdout;
        self.apply(&crd);
        self.await_kind("deeppacketinspections.v3.projectcalico.org");
    }

    /// Brings the definition of the group that Calico's aggregated API server keeps its resources in, as such
    /// a cluster has it. For tests alone: the sensor never brings a definition of this group.
    #[track_caller]
    pub(crate) fn install_stored_crd(&self) {
        let crd = crate::common::pollux(["crd"]).expect(0).stdout;
        let crd = crd.replace("projectcalico.org", "crd.projectcalico.org");
        self.apply(&crd.replace("name: v3", "name: v1"));
        self.await_kind("deeppacketinspections.v1.crd.projectcalico.org");
    }

    #[track_caller]
    fn await_kind(&self, kind: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.try_run(&["get", kind]).code != Some(0) {
            assert!(Instant::now() < deadline, "{kind} is not served");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
