//! `dpdk-testpmd --forward-mode=rxonly`: what a port gives at the most, as DPDK's own receiver takes it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::receive::{DESCRIPTORS, Device, MEMORY_MB};
use crate::turns::Done;

/// The program.
pub const PROGRAM: &str = "dpdk-testpmd";

/// How long it may take to start, and to say what it has done.
const PATIENCE: Duration = Duration::from_secs(30);

/// How it says that a command was carried out to its end.
const PROMPT: &str = "testpmd>";

/// It, ready to receive; killed when dropped.
#[derive(Debug)]
pub struct Testpmd {
    child: Child,
    orders: ChildStdin,
    said: Receiver<String>,
}

impl Testpmd {
    /// Is it installed?
    pub fn is_there() -> bool {
        Command::new(PROGRAM).arg("--version").output().is_ok()
    }

    /// Starts it over a virtual device; `within` makes the command that starts a program where the device's
    /// interface is. It receives on the highest of the CPUs, with as much memory and as many buffers as the
    /// worker that it stands beside.
    ///
    /// # Errors
    /// It is not there, or does not start.
    pub fn start(
        device: &Device,
        buffers: u32,
        within: impl Fn(&str) -> Command,
    ) -> anyhow::Result<Self> {
        let cpus = dpdk::allowed_cpus();
        let (Some(first), Some(last)) = (cpus.first(), cpus.last()) else {
            bail!("there is no CPU to receive on");
        };
        ensure!(first != last, "{PROGRAM} needs two CPUs, one of them to take orders on");
        let mut command = within("stdbuf");
        command.args(["-oL", PROGRAM, "-l", &format!("{first},{last}")]);
        command.args(["--main-lcore", &first.to_string(), "-m", &MEMORY_MB.to_string()]);
        command.args(["--no-pci", "--no-telemetry", "--iova-mode=va"]);
        let memory: &[&str] =
            if device.hugepages { &["--in-memory"] } else { &["--no-huge", "--no-shconf"] };
        command.args(memory);
        command.arg(format!("--file-prefix=pollux-testpmd-{}", std::process::id()));
        command.arg(format!("--vdev={}", device.spec));
        command.args(["--", "-i", "--forward-mode=rxonly", "--nb-cores=1", "--burst=64"]);
        command.arg(format!("--total-num-mbufs={buffers}"));
        command.arg(format!("--rxd={DESCRIPTORS}"));
        command.args(["--mbcache=256", "--record-core-cycles", "--no-flush-rx"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().with_context(|| format!("cannot start {PROGRAM}"))?;
        let (Some(orders), Some(out)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("{PROGRAM} has no standard input and output");
        };
        let (told, said) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if told.send(line).is_err() {
                    return;
                }
            }
        });
        let mut testpmd = Self { child, orders, said };
        // An order that says something, once it can take orders.
        testpmd.order("show config rxtx")?;
        testpmd.until(|line| line.contains("rxonly packet forwarding packets/burst"))?;
        Ok(testpmd)
    }

    /// Receives while `meanwhile` lasts; what it has done.
    ///
    /// # Errors
    /// It has ended, or says what cannot be read.
    pub fn receive(
        &mut self,
        meanwhile: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<Done> {
        let before = self.cpu()?;
        self.order("start")?;
        meanwhile()?;
        self.order("stop")?;
        let said = self.until(|line| line.trim() == "Done.")?;
        let cpu = self.cpu()?.saturating_sub(before);
        let number = |name: &str| -> Option<u64> {
            let line = said.iter().find(|line| line.contains(name))?;
            let rest = line.split_once(name)?.1.trim_start();
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        let packets = number("RX-packets:")
            .with_context(|| format!("{PROGRAM} does not say what it received: {said:?}"))?;
        Ok(Done { cpu, busy: number("total cycles=").unwrap_or(0), packets, bursts: 0 })
    }

    fn order(&mut self, order: &str) -> anyhow::Result<()> {
        writeln!(self.orders, "{order}").with_context(|| format!("{PROGRAM} has ended"))?;
        Ok(self.orders.flush()?)
    }

    /// What it says up to a line.
    fn until(&self, is_last: impl Fn(&str) -> bool) -> anyhow::Result<Vec<String>> {
        let mut said = Vec::new();
        loop {
            match self.said.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let is_last = is_last(line.trim_start_matches(PROMPT));
                    said.push(line);
                    if is_last {
                        return Ok(said);
                    }
                }
                Err(RecvTimeoutError::Timeout) => bail!("{PROGRAM} does not answer: {said:?}"),
                Err(RecvTimeoutError::Disconnected) => bail!("{PROGRAM} has ended: {said:?}"),
            }
        }
    }

    /// CPU time of its receiving thread so far.
    fn cpu(&self) -> anyhow::Result<Duration> {
        let threads = format!("/proc/{}/task", self.child.id());
        for thread in fs::read_dir(&threads).with_context(|| format!("{PROGRAM} has ended"))? {
            let thread = thread?.path();
            let name = fs::read_to_string(thread.join("comm")).unwrap_or_default();
            if name.contains("lcore-worker") || name.contains("rte-worker") {
                // proc(5): nanoseconds on the CPU first.
                let told = fs::read_to_string(thread.join("schedstat"))?;
                let first = told.split_whitespace().next().and_then(|it| it.parse().ok());
                return Ok(Duration::from_nanos(first.context("schedstat is empty")?));
            }
        }
        bail!("{PROGRAM} has no receiving thread in {threads}")
    }
}

impl Drop for Testpmd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
