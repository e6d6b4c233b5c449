//! What a running sensor tells, once a second and at every change: the ledger's file, the status in
//! file and cluster.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use api::dpi::Time;

use crate::background::Background;
use crate::config::{Config, FileConfig};
use crate::dataplane::{Dataplane, output_path};
use crate::health::{ResourceAlerts, Sample, SignatureAlerts};
use crate::output::eve::Stats;
use crate::output::ledger::Ledger;
use crate::output::status::StatusFile;
use crate::output::view::View;
use crate::status::{Checks, Condition, Facts, Standing};

/// Where it is told.
#[derive(Debug)]
pub struct Reports {
    ledger: Option<PathBuf>,
    status: Option<StatusFile>,
    stats: Option<Stats>,
    background: Background,
    checks: Checks,
    node: String,
    /// Flows that were active at the last look.
    pub flows: u64,
    failing: bool,
    /// Seconds until every worker had the newest generation.
    pub publish_seconds: f64,
}

impl Reports {
    /// Nothing is told yet.
    pub fn new(config: &Config, directory: &Path, background: Background) -> Self {
        let outputs = &config.outputs;
        let path = |file: &FileConfig| file.enabled.then(|| output_path(directory, &file.path));
        Self {
            ledger: path(&outputs.ledger),
            status: path(&outputs.status)
                .map(|path| StatusFile::resume(path, config.sensor.node_name())),
            stats: outputs.eve.enabled.then(|| Stats::new(&outputs.eve.stats)).flatten(),
            background,
            checks: Checks::standard(),
            node: config.sensor.node_name(),
            flows: 0,
            failing: false,
            publish_seconds: 0.0,
        }
    }

    /// The checks, for those who add to them.
    pub fn checks(&mut self) -> &mut Checks {
        &mut self.checks
    }

    /// Tells how things are.
    pub fn write(&mut self, dataplane: &Dataplane, view: &View) {
        let ledger = dataplane.ledger(&dataplane.alerts());
        self.flows = ledger.flows.active;
        let acknowledged = dataplane.acknowledged(view.built.generation());
        let source = self.background.faults();
        let conditions = self.checks.look(&Facts {
            ledger: &ledger,
            ports: &dataplane.links(),
            state: &view.conditions,
            source: &source,
            now: Time::from(jiff::Timestamp::now()),
        });
        let status = self
            .status
            .as_mut()
            .map_or(Ok(()), |status| view.write_status(status, acknowledged, &conditions));
        let now = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(0);
        if let Some(line) = self.stats.as_mut().and_then(|it| it.due(&ledger, &view.rules, now)) {
            dataplane.note(line);
        }
        self.background.say(Standing::of(&view.built, acknowledged, &conditions));
        if self.background.has_health() {
            self.background.tell(self.sample(dataplane, view, &ledger, acknowledged, &conditions));
        }
        let written = self.write_ledger(&ledger).and(status);
        self.note(written);
    }

    /// How things are, for those who ask.
    fn sample(
        &self,
        dataplane: &Dataplane,
        view: &View,
        ledger: &Ledger,
        acknowledged: bool,
        conditions: &[Condition],
    ) -> Sample {
        let built = &view.built;
        let alerts = dataplane.alerts();
        Sample {
            time_ns: u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(0),
            node: self.node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            ledger: ledger.clone(),
            generation: built.generation(),
            acknowledged,
            workers: dataplane.worker_generations(),
            is_loading: built.is_loading,
            resources: built.resources.len(),
            resource_errors: built.resource_errors().filter(|(_, error)| error.is_some()).count(),
            endpoints: built.table.endpoints.len(),
            alerts_by_resource: alerts
                .resources()
                .map(|(namespace, name, alerts)| ResourceAlerts {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                    alerts,
                })
                .collect(),
            alerts_by_signature: SignatureAlerts::all(&alerts),
            ambiguous_sides: alerts.ambiguous_sides,
            rules: view.rules.clone(),
            conditions: conditions
                .iter()
                .filter(|it| it.only.is_none())
                .map(|it| it.message.clone())
                .collect(),
            is_stopped: conditions.iter().any(|it| it.stops_inspection),
            ports: dataplane.links().into_iter().map(|port| (port.name, port.up)).collect(),
            watches: Vec::new(),
            status: None,
            build_seconds: built.build_seconds,
            publish_seconds: self.publish_seconds,
        }
    }

    /// Tells the last: nothing is active any more, and what was wrong until then.
    pub fn finish(mut self, ledger: &Ledger, view: &View) {
        let conditions = self.checks.look(&Facts {
            ledger,
            ports: &[],
            state: &view.conditions,
            source: &[],
            now: Time::from(jiff::Timestamp::now()),
        });
        let status = self
            .status
            .as_mut()
            .map_or(Ok(()), |status| view.write_status(status, false, &conditions));
        let written = self.write_ledger(ledger).and(status);
        self.note(written);
        self.background.finish(Standing::stopped());
    }

    fn write_ledger(&self, ledger: &Ledger) -> anyhow::Result<()> {
        let Some(path) = &self.ledger else { return Ok(()) };
        ledger.write(path).with_context(|| format!("cannot write the ledger to {}", path.display()))
    }

    /// A disk that is full keeps no packet from being inspected: that is told once, and tried again.
    fn note(&mut self, written: anyhow::Result<()>) {
        match written {
            Ok(()) => self.failing = false,
            Err(error) if !self.failing => {
                self.failing = true;
                tracing::error!("{error:#}; trying again every second");
            }
            Err(_) => {}
        }
    }
}
