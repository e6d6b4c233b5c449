//! Suricata over the same capture with the same rules: one thread for packets, no log but alerts,
//! Hyperscan for patterns.
//!
//! Loading takes many times as long as a capture, and never twice the same: taking it away from the
//! whole would leave nothing but noise. But it is done in the main thread, and packets in others. So
//! what counts is the time of all threads but the main one, less what these take for the capture's
//! first packet alone.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use pollux::capture;
use tempfile::TempDir;

use crate::cpu;
use crate::load::Rules;
use crate::report::{PeerMeasured, Rate, median};

/// The application protocols that Suricata gets to parse: those that Pollux does. The others it only
/// recognises, as Pollux does.
const PARSED: [&str; 2] = ["http", "tls"];
const RECOGNISED: [&str; 22] = [
    "telnet",
    "rfb",
    "mqtt",
    "krb5",
    "bittorrent-dht",
    "snmp",
    "ike",
    "dcerpc",
    "ftp",
    "rdp",
    "ssh",
    "http2",
    "smtp",
    "imap",
    "smb",
    "nfs",
    "tftp",
    "ntp",
    "quic",
    "dhcp",
    "sip",
    "pgsql",
];

/// How many of the peer's runs are to be over after ours of this number, the first being 1, so that they are
/// spread over all of ours.
pub fn due(run: usize, runs: usize, peer_runs: usize) -> usize {
    (run * peer_runs + runs / 2) / runs.max(1)
}

/// What Suricata's runs took, as far as they are over.
#[derive(Debug, Default)]
pub struct PeerRuns {
    work: Vec<Duration>,
    loading: Vec<Duration>,
    /// What our worker and our whole process took right before each.
    beside: Vec<(Duration, Duration)>,
    told: Option<PeerRun>,
}

impl PeerRuns {
    /// How many are over.
    pub fn over(&self) -> usize {
        self.work.len()
    }

    /// One more, right after our worker and our whole process took so long.
    ///
    /// # Errors
    /// Suricata fails.
    pub fn add(&mut self, peer: &Peer, worker: Duration, process: Duration) -> anyhow::Result<()> {
        let one = peer.over_one_packet()?;
        let run = peer.over_capture()?;
        self.loading.push(one.whole);
        self.work.push(run.work.saturating_sub(one.work));
        self.beside.push((worker, process));
        self.told = Some(run);
        Ok(())
    }

    /// What they measured, of so many packets and bytes; none without a run.
    pub fn measured(&self, peer: &Peer, packets: u64, bytes: u64) -> Option<PeerMeasured> {
        let told = self.told?;
        let (workers, processes): (Vec<_>, Vec<_>) = self.beside.iter().copied().unzip();
        Some(PeerMeasured {
            version: peer.version.clone(),
            rate: Rate::of(packets, bytes, &self.work),
            runs: self.over(),
            worker_beside: Rate::of(packets, bytes, &workers),
            process_beside: Rate::of(packets, bytes, &processes),
            loading_cpu_seconds: median(&self.loading).as_secs_f64(),
            rules: told.rules,
            alerts: told.alerts,
        })
    }
}

/// Suricata, set up for a comparison.
#[derive(Debug)]
pub struct Peer {
    /// What it says of itself.
    pub version: String,
    folder: TempDir,
    capture: PathBuf,
    first_packet: PathBuf,
}

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub struct PeerRun {
    /// CPU time of all threads but the main one.
    pub work: Duration,
    /// CPU time of the whole process.
    pub whole: Duration,
    /// Alerts that it wrote.
    pub alerts: u64,
    /// Rules that it loaded, if it says so.
    pub rules: Option<u64>,
}

impl Peer {
    /// Finds Suricata and writes its configuration. None where it is not installed.
    ///
    /// # Errors
    /// A temporary file cannot be written, or the capture has no packet.
    pub fn new(rules: &Rules, capture: &Path) -> anyhow::Result<Option<Self>> {
        let Ok(told) = Command::new("suricata").arg("-V").output() else { return Ok(None) };
        let version = String::from_utf8_lossy(&told.stdout).trim().to_owned();
        let folder = TempDir::new()?;
        fs::write(folder.path().join("all.rules"), rules.text())?;
        fs::write(folder.path().join("peer.yaml"), configuration(rules, folder.path()))?;
        let first_packet = folder.path().join("first.pcap");
        write_first_packet(capture, &first_packet)?;
        Ok(Some(Self { version, folder, capture: capture.to_owned(), first_packet }))
    }

    /// A run over the capture.
    ///
    /// # Errors
    /// Suricata fails.
    pub fn over_capture(&self) -> anyhow::Result<PeerRun> {
        self.run(&self.capture)
    }

    /// A run over the capture's first packet: its loading.
    ///
    /// # Errors
    /// Suricata fails.
    pub fn over_one_packet(&self) -> anyhow::Result<PeerRun> {
        self.run(&self.first_packet)
    }

    fn run(&self, capture: &Path) -> anyhow::Result<PeerRun> {
        let folder = self.folder.path();
        let eve = folder.join("eve.json");
        if eve.exists() {
            fs::remove_file(&eve)?;
        }
        let told = folder.join("told");
        let output = File::create(&told)?;
        let before = cpu::of_children()?;
        let mut child = Command::new("suricata")
            .arg("-c")
            .arg(folder.join("peer.yaml"))
            .arg("-S")
            .arg(folder.join("all.rules"))
            .arg("-r")
            .arg(capture)
            .arg("-l")
            .arg(folder)
            .args(["--runmode", "single", "-k", "none"])
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output)
            .spawn()
            .context("cannot run suricata")?;
        let (status, work) = wait(&mut child)?;
        let whole = cpu::of_children()?.saturating_sub(before);
        let said = String::from_utf8_lossy(&fs::read(&told)?).into_owned();
        if !status.success() {
            let end: Vec<&str> = said.lines().rev().take(3).collect();
            bail!("suricata failed ({status}): {}", end.join("; "));
        }
        let alerts = fs::read_to_string(&eve).unwrap_or_default();
        let alerts = alerts.lines().filter(|line| line.contains("\"alert\"")).count() as u64;
        Ok(PeerRun { work, whole, alerts, rules: rules_loaded(&said) })
    }
}

/// How often a running Suricata's threads are looked at. They outlive their work by more.
const LOOK: Duration = Duration::from_millis(3);

/// Waits for the end, and says what all threads but the main one took.
fn wait(child: &mut Child) -> anyhow::Result<(ExitStatus, Duration)> {
    let tasks = PathBuf::from(format!("/proc/{}/task", child.id()));
    let main = child.id().to_string();
    let mut taken: HashMap<String, u64> = HashMap::new();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status, Duration::from_nanos(taken.values().sum())));
        }
        // What cannot be read has ended meanwhile: what was read last counts.
        for task in fs::read_dir(&tasks).into_iter().flatten().flatten() {
            let name = task.file_name().to_string_lossy().into_owned();
            if name == main {
                continue;
            }
            // Nanoseconds on a CPU come first (Documentation/scheduler/sched-stats.rst).
            let stat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            if let Some(time) = stat.split(' ').next().and_then(|field| field.parse().ok()) {
                taken.insert(name, time);
            }
        }
        std::thread::sleep(LOOK);
    }
}

/// From "… 1 rule files processed. 42 rules successfully loaded, 0 rules failed …".
fn rules_loaded(said: &str) -> Option<u64> {
    let before = said.split(" rules successfully loaded").next()?;
    let number = before.rsplit(' ').next()?;
    number.parse().ok().filter(|_| before.len() < said.len())
}

fn write_first_packet(capture: &Path, to: &Path) -> anyhow::Result<()> {
    let mut written = None;
    capture::read(capture, |frame| {
        let file = File::create(to).map(BufWriter::new);
        written = Some(file.and_then(|file| {
            let mut pcap = traffic::PcapWriter::new(file)?;
            pcap.write(frame.timestamp / 1000, frame.data)?;
            pcap.finish()
        }));
        false
    })?;
    written.with_context(|| format!("{} has no packets", capture.display()))??;
    Ok(())
}

fn configuration(rules: &Rules, folder: &Path) -> String {
    let mut out = String::from("%YAML 1.1\n---\nvars:\n  address-groups:\n");
    // Writing to a String cannot fail.
    for (name, value) in rules.context.variables.addresses() {
        let _ = writeln!(out, "    {name}: \"{value}\"");
    }
    out.push_str("  port-groups:\n");
    for (name, value) in rules.context.variables.ports() {
        let _ = writeln!(out, "    {name}: \"{value}\"");
    }
    let log = folder.display();
    let _ = writeln!(out, "default-log-dir: {log}");
    let classification = rules.classification.clone().or_else(|| there("classification.config"));
    for (key, path) in [
        ("classification-file", classification),
        ("reference-config-file", there("reference.config")),
    ] {
        if let Some(path) = path {
            let _ = writeln!(out, "{key}: {}", path.display());
        }
    }
    out.push_str(
        "stats:\n  enabled: no\n\
         outputs:\n  - eve-log:\n      enabled: yes\n      filetype: regular\n      \
         filename: eve.json\n      types:\n        - alert\n\
         logging:\n  default-log-level: info\n  outputs:\n    - console:\n        enabled: yes\n\
         unix-command:\n  enabled: no\n\
         mpm-algo: hs\nspm-algo: hs\n\
         pcap-file:\n  checksum-checks: no\n",
    );
    // With the memory that it has by default it gives up on most of a million flows, which is less work.
    out.push_str(
        "flow:\n  memcap: 4gb\n  hash-size: 1048576\n\
         stream:\n  memcap: 4gb\n  reassembly:\n    memcap: 4gb\n\
         app-layer:\n  protocols:\n    \
         dns:\n      tcp:\n        enabled: yes\n        detection-ports:\n          dp: 53\n      \
         udp:\n        enabled: yes\n        detection-ports:\n          dp: 53\n",
    );
    for name in PARSED {
        let _ = writeln!(out, "    {name}:\n      enabled: yes");
    }
    for name in RECOGNISED {
        let _ = writeln!(out, "    {name}:\n      enabled: detection-only");
    }
    out
}

fn there(name: &str) -> Option<PathBuf> {
    Some(Path::new("/etc/suricata").join(name)).filter(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_s_runs_are_spread_over_ours() {
        for (runs, peer_runs) in [(7, 2), (5, 3), (5, 5), (1, 4), (3, 7), (4, 0), (9, 1)] {
            let due: Vec<_> = (1..=runs).map(|run| due(run, runs, peer_runs)).collect();
            assert_eq!(due.last(), Some(&peer_runs), "{runs}, {peer_runs}: {due:?}");
            let most = peer_runs.div_ceil(runs);
            let mut before = 0;
            for due in due {
                assert!((before..=before + most).contains(&due), "{runs}, {peer_runs}: {due}");
                before = due;
            }
        }
        let after: Vec<_> = (1..=7).filter(|&run| due(run, 7, 2) > due(run - 1, 7, 2)).collect();
        assert_eq!(after, [2, 6]);
    }

    #[test]
    fn the_main_thread_is_not_counted() {
        let spin = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        let mut child = Command::new("sh").args(["-c", spin]).spawn().unwrap();
        let (status, work) = wait(&mut child).unwrap();
        assert!(status.success());
        assert_eq!(work, Duration::ZERO);
    }

    #[test]
    fn the_number_of_rules_is_read_from_what_suricata_says() {
        let said = "Info: detect: 1 rule files processed. 42 rules successfully loaded, 0 failed";
        assert_eq!(rules_loaded(said), Some(42));
        assert_eq!(rules_loaded("Notice: nothing of the kind 42"), None);
    }
}
