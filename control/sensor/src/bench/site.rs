//! What is inspected in a bench: a folder with the documents that put the generator's one server in scope,
//! and a rule file that reloads change.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use tempfile::TempDir;
use traffic::flows::SCOPED_SERVER;

use crate::cli::BenchArgs;
use crate::config::Config;

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

    /// Another rule in place of the last one.
    pub(super) fn change_rules(&self, number: u64) -> anyhow::Result<()> {
        let text = format!(
            "alert tcp any any -> any any (msg:\"bench {number}\"; flow:to_server; \
             content:\"no-such-text-{number}\"; sid:{};)\n",
            9_400_000 + number % 1_000
        );
        let (new, place) = (self.path().join("new"), self.path().join("rules/bench.rules"));
        fs::write(&new, text)?;
        fs::rename(new, place).context("cannot change the rules")
    }
}
