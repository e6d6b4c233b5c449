//! What is inspected in a bench: a folder with the documents that put the generator's one server in scope,
//! and a rule file that reloads change.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use tempfile::TempDir;
use traffic::flows::SCOPED_SERVER;

use crate::cli::BenchArgs;
use crate::config::Config;

/// Pods beside the server, of which two thirds are there at a time.
const PODS: u64 = 100;

/// The folder, gone when dropped.
#[derive(Debug)]
pub(super) struct Site {
    folder: TempDir,
}

impl Site {
    pub(super) fn new(_args: &BenchArgs) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let site = Self { folder };
        for below in ["resources", "rules"] {
            fs::create_dir(site.path().join(below))?;
        }
        let documents = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: bench}}\n---\n\
             apiVersion: v1\nkind: Pod\nmetadata: {{name: server, namespace: bench, labels: {{app: server}}}}\n\
             spec: {{nodeName: bench}}\nstatus: {{phase: Running, podIP: {SCOPED_SERVER}, podIPs: [{{ip: {SCOPED_SERVER}}}]}}\n---\n\
             apiVersion: projectcalico.org/v3\nkind: DeepPacketInspection\n\
             metadata: {{name: servers, namespace: bench}}\nspec: {{selector: app == 'server'}}\n"
        );
        fs::write(site.path().join("resources/bench.yaml"), documents)?;
        site.change_rules(0)?;
        Ok(site)
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts the folder's resources, rules and outputs into a configuration.
    pub(super) fn apply(&self, config: &mut Config) {
        config.source.directory = Some(self.path().join("resources"));
        config.rules.paths.push(self.path().join("rules").display().to_string());
        config.outputs.directory = Some(self.path().to_owned());
        config.sensor.node = Some("bench".to_owned());
    }

    /// Other pods in place of the last ones: some come, some go, some change their labels. No packet is
    /// theirs.
    pub(super) fn change_pods(&self, number: u64) -> anyhow::Result<()> {
        let mut text = String::new();
        for pod in (0..PODS).filter(|pod| !(pod + number).is_multiple_of(3)) {
            let app = if (pod * 7 + number).is_multiple_of(2) { "server" } else { "other" };
            let address = format!("10.244.9.{pod}");
            text += &format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: pod-{pod}, namespace: bench, labels: {{app: {app}}}}}\n\
                 spec: {{nodeName: bench}}\nstatus: {{phase: Running, podIP: {address}, podIPs: [{{ip: {address}}}]}}\n---\n"
            );
        }
        self.put("resources/pods.yaml", &text).context("cannot change the pods")
    }

    /// A file as a whole, so that nobody reads half of it.
    fn put(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let new = self.path().join("new");
        fs::write(&new, text)?;
        fs::rename(new, self.path().join(name))?;
        Ok(())
    }

    /// Another rule in place of the last one.
    pub(super) fn change_rules(&self, number: u64) -> anyhow::Result<()> {
        let text = format!(
            "alert tcp any any -> any any (msg:\"bench {number}\"; flow:to_server; \
             content:\"no-such-text-{number}\"; sid:{};)\n",
            9_400_000 + number % 1_000
        );
        self.put("rules/bench.rules", &text).context("cannot change the rules")
    }
}
