//! What the end-to-end tests share: running the binary, reading what it leaves, and checking a
//! ledger without the sensor's own arithmetic.
#![allow(dead_code)] // each test binary uses its own part

pub(crate) mod captures;
pub(crate) mod live;

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The binary under test: the one built with the tests, or an installed one by `POLLUX_BINARY`.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("POLLUX_BINARY")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_pollux")), PathBuf::from)
}

/// A path in the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The shared corpus, if it is there; otherwise that is said, and the test has nothing to do.
pub(crate) fn shared() -> Option<PathBuf> {
    let folder =
        std::env::var_os("POLLUX_SHARED").map_or_else(|| repository("../shared"), PathBuf::from);
    let there = folder.join("corpus").is_dir().then(|| folder.canonicalize().ok()).flatten();
    if there.is_none() {
        eprintln!("skipped: shared corpus absent");
    }
    there
}

/// What a run of the binary came to.
#[derive(Debug)]
pub(crate) struct Run {
    /// Exit status; none: killed by a signal.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Run {
    /// Asserts an exit status, and that nothing panicked.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        assert!(!self.stderr.contains("panicked"), "{self}");
        self
    }

    /// Asserts that standard error says all of these.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not said: {self}");
        }
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "status {:?}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command) -> Run {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?} did not start: {error}"));
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs the binary with these words.
pub(crate) fn pollux<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Run {
    finish(Command::new(binary()).args(words))
}

/// Runs the binary with something on its standard input.
pub(crate) fn pollux_with_input(words: &[&str], input: &[u8]) -> Run {
    let mut child = Command::new(binary())
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            // It may end before it has read all.
            let _ = stdin.write_all(input);
        });
        child.wait_with_output().expect("it ends")
    });
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Words of a command line, of anything that is one.
#[macro_export]
macro_rules! words {
    ($($word:expr),* $(,)?) => {
        vec![$(std::ffi::OsString::from($word)),*]
    };
}

/// An output directory of a replay, and what is in it.
#[derive(Debug)]
pub(crate) struct Results {
    directory: PathBuf,
}

impl Results {
    /// What is in this directory.
    pub(crate) fn of(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The lines of eve.json.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        let path = self.directory.join("eve.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(text.is_empty() || text.ends_with('\n'), "{}: torn", path.display());
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
            .collect()
    }

    /// The lines of eve.json, each of which must be an alert.
    #[track_caller]
    pub(crate) fn alerts(&self) -> Vec<Value> {
        let alerts = self.events();
        for alert in &alerts {
            assert_eq!(alert["event_type"], "alert", "{alert}");
        }
        alerts
    }

    /// ledger.json, checked.
    #[track_caller]
    pub(crate) fn ledger(&self) -> Ledger {
        let ledger = self.ledger_now();
        ledger.check();
        assert_eq!(ledger.alert("written"), self.alerts().len() as u64);
        ledger
    }

    /// ledger.json of a sensor that may be running.
    #[track_caller]
    pub(crate) fn ledger_now(&self) -> Ledger {
        let path = self.directory.join("ledger.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Ledger(serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}")))
    }

    /// The documents of status.yaml.
    #[track_caller]
    pub(crate) fn statuses(&self) -> Vec<Value> {
        let path = self.directory.join("status.yaml");
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        yaml(&text)
    }
}

/// The documents of a YAML text.
#[track_caller]
pub(crate) fn yaml(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A ledger, as anyone reads it.
#[derive(Debug, Clone)]
pub(crate) struct Ledger(pub(crate) Value);

impl Ledger {
    /// Every queue of every port.
    pub(crate) fn queues(&self) -> impl Iterator<Item = &Value> {
        let ports = self.0["ports"].as_array().into_iter().flatten();
        ports.flat_map(|port| port["queues"].as_array().into_iter().flatten())
    }

    /// One of the totals.
    #[track_caller]
    pub(crate) fn total(&self, name: &str) -> u64 {
        number(&self.0["totals"], name)
    }

    /// One of the counts of alerts.
    #[track_caller]
    pub(crate) fn alert(&self, name: &str) -> u64 {
        number(&self.0["alerts"], name)
    }

    /// Packets dropped for a reason, in all queues.
    pub(crate) fn dropped(&self, reason: &str) -> u64 {
        self.queues().map(|queue| queue["dropped"][reason].as_u64().unwrap_or(0)).sum()
    }

    /// Asserts the equations that hold whenever no core is running.
    #[track_caller]
    pub(crate) fn check(&self) {
        let mut sums = [0; 4];
        let (mut handed_in, mut handed_out) = (0, 0);
        for queue in self.queues() {
            let count = |name| number(queue, name);
            let dropped: u64 = queue["dropped"]
                .as_object()
                .expect("drops by reason")
                .values()
                .map(|count| count.as_u64().expect("a count"))
                .sum();
            assert_eq!(
                count("received") + count("handed_in"),
                count("inspected") + count("unscoped") + count("handed_out") + dropped,
                "{queue}"
            );
            handed_in += count("handed_in");
            handed_out += count("handed_out");
            let counts = [count("received"), count("inspected"), count("unscoped"), dropped];
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        assert_eq!(handed_in, handed_out, "{}", self.0);
        let totals = ["received", "inspected", "unscoped", "dropped"].map(|name| self.total(name));
        assert_eq!(totals, sums, "{}", self.0);
        assert_eq!(totals[0], totals[1] + totals[2] + totals[3], "{}", self.0);
        let lost = self.0["alerts"]["lost"].as_object().expect("losses by reason");
        let lost: u64 = lost.values().map(|count| count.as_u64().expect("a count")).sum();
        assert_eq!(self.alert("raised"), self.alert("written") + lost, "{}", self.0);
    }
}

#[track_caller]
fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("{name} is no count in {value}"))
}

/// The rule that an alert is of.
#[track_caller]
pub(crate) fn sid(alert: &Value) -> u32 {
    let sid = alert["alert"]["signature_id"].as_u64();
    sid.and_then(|sid| u32::try_from(sid).ok()).unwrap_or_else(|| panic!("no sid: {alert}"))
}

/// An address of an alert; of notations there is more than one.
#[track_caller]
pub(crate) fn address(alert: &Value, name: &str) -> std::net::IpAddr {
    let text = alert[name].as_str().unwrap_or_else(|| panic!("no {name}: {alert}"));
    text.parse().unwrap_or_else(|_| panic!("{name}: {text}"))
}

/// A port of an alert; 0 where there are none.
pub(crate) fn port(alert: &Value, name: &str) -> u16 {
    alert[name].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(0)
}

/// Rule, source, destination, protocol: what an alert is told by.
pub(crate) type Key = (u32, std::net::IpAddr, u16, std::net::IpAddr, u16, String);

/// The key of an alert.
#[track_caller]
pub(crate) fn key(alert: &Value) -> Key {
    let (src, dest) = (address(alert, "src_ip"), address(alert, "dest_ip"));
    let proto = alert["proto"].as_str().unwrap_or_default().to_uppercase();
    (sid(alert), src, port(alert, "src_port"), dest, port(alert, "dest_port"), proto)
}

/// The keys of alerts with their packets' numbers, sorted: what must be the same with any number
/// of workers.
#[track_caller]
pub(crate) fn exact_keys(alerts: &[Value]) -> Vec<(Key, Option<u64>)> {
    let mut keys: Vec<_> =
        alerts.iter().map(|alert| (key(alert), alert["pcap_cnt"].as_u64())).collect();
    keys.sort();
    keys
}
