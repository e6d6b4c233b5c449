//! The sensor's worker over a virtual device with nothing in scope, in a process of its own that takes
//! orders: `turn` and it receives what there is, `poll` and it polls until the next order. It answers with what
//! it has done.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use dpdk::{Eal, EalConfig, Hugepages, Mbuf, Port, PortConfig, VdevSpec};
use engine::worker::{TimeSource, TscClock};
use engine::{Seat, Settings, Snapshot};
use flow::FlowConfig;
use rules::ruleset::Ruleset;
use serde::{Deserialize, Serialize};

use crate::turns::Done;
use crate::worker::{How, Workers, nowhere};

/// Packet buffers.
pub const BUFFERS: u32 = 8_191;

/// Memory that DPDK takes.
pub const MEMORY_MB: u32 = 256;

/// Packets after which a turn ends on a port that never runs empty.
const TURN: u64 = 1 << 19;

/// The order to poll.
const POLL: &str = "poll";

/// Any other order.
const TURN_OVER: &str = "turn";

/// Descriptors of a queue.
pub const DESCRIPTORS: u16 = 2_048;

/// What a receiver receives from.
#[derive(Debug)]
pub struct Device {
    /// As `--vdev` takes it.
    pub spec: String,
    /// Its buffers lie in hugepages.
    pub hugepages: bool,
}

/// [`Done`], as one process tells another.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    cpu_ns: u64,
    busy: u64,
    packets: u64,
    bursts: u64,
}

/// Takes orders until there are no more. A device that leaves its buffers as they are (`net_null`) gives
/// out these frames, each of them as long as the first.
///
/// # Errors
/// DPDK's, the worker's.
pub fn serve(device: &Device, frames: &[Vec<u8>], rules: Ruleset) -> anyhow::Result<()> {
    let hugepages = if device.hugepages { Hugepages::Require } else { Hugepages::Never };
    let config = EalConfig { hugepages, memory_mb: MEMORY_MB, ..EalConfig::default() };
    let eal = Eal::init(&config)?;
    let (name, args) = device.spec.split_once(',').unwrap_or((&device.spec, ""));
    let spec = VdevSpec::new(name, args);
    let mut port = Port::vdev(eal, &spec)?;
    let pool = spec.pool("live", BUFFERS, 256, None)?;
    let frames = frames.iter().cycle();
    let filled: Vec<_> = frames.map_while(|frame| Mbuf::from_bytes(&pool, frame)).collect();
    drop(filled);
    port.configure(PortConfig { rx_desc: DESCRIPTORS, ..PortConfig::new(pool.clone()) })?;
    port.start()?;
    let queue = port.rx_queues().pop().context("the port has no queue")?;
    let cpu = dpdk::allowed_cpus().last().copied();
    let seats = vec![Seat { cpu, ..Seat::new(Some(queue), 0) }];
    let snapshot = Arc::new(Snapshot::new(1, nowhere(), Arc::new(rules), Settings::default()));
    let time = TimeSource::Tsc(TscClock::starting_at(traffic::START * 1000, eal.tsc_hz()));
    let how = How { flows: FlowConfig::default(), time, most: TURN };
    let workers = Workers::start(eal, seats, &snapshot, how)?;
    let turns = Arc::clone(workers.turns().first().context("there is no worker")?);
    let mut out = std::io::stdout().lock();
    let mut orders = std::io::stdin().lock().lines();
    while let Some(order) = orders.next() {
        let before = turns.done();
        match order?.trim() {
            POLL => turns.freely(|| orders.next()).transpose().map(drop)?,
            _ => turns.worker_next(),
        }
        let Done { cpu, busy, packets, bursts } = turns.done().since(before);
        let cpu_ns = u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX);
        serde_json::to_writer(&mut out, &Told { cpu_ns, busy, packets, bursts })?;
        writeln!(out)?;
        out.flush()?;
    }
    let stopped = workers.stop()?;
    let [inspected, _, _] = stopped.fates;
    anyhow::ensure!(inspected == 0, "{inspected} packets were inspected, and nothing is in scope");
    Ok(())
}

/// That process; killed when dropped.
#[derive(Debug)]
pub struct Receiver {
    child: Child,
    orders: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Receiver {
    /// Starts this program again with the option that makes it [`serve`], where `within` says.
    ///
    /// # Errors
    /// The system's.
    pub fn start(
        device: &Device,
        capture: &Path,
        within: impl Fn(&str) -> Command,
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let mut command = within(&program.display().to_string());
        command.args(["--receive", &device.spec]).arg("--frames").arg(capture);
        if device.hugepages {
            command.arg("--hugepages");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start a receiver")?;
        let (Some(orders), Some(out)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("a receiver has no standard input and output");
        };
        let mut receiver = Self { child, orders, said: BufReader::new(out) };
        // What it does at first is not measured; and then it is ready.
        receiver.turn()?;
        Ok(receiver)
    }

    /// One turn.
    ///
    /// # Errors
    /// It has ended.
    pub fn turn(&mut self) -> anyhow::Result<Done> {
        self.order(TURN_OVER)
    }

    /// Lets it poll while `meanwhile` does something.
    ///
    /// # Errors
    /// It has ended; those of `meanwhile`.
    pub fn polls_while(
        &mut self,
        meanwhile: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<Done> {
        writeln!(self.orders, "{POLL}")?;
        meanwhile()?;
        self.order(TURN_OVER)
    }

    fn order(&mut self, order: &str) -> anyhow::Result<Done> {
        writeln!(self.orders, "{order}").context("the receiver has ended")?;
        self.answer()
    }

    fn answer(&mut self) -> anyhow::Result<Done> {
        let mut line = String::new();
        // DPDK greets on standard output.
        while !line.starts_with('{') {
            line.clear();
            let read = self.said.read_line(&mut line)?;
            anyhow::ensure!(read > 0, "the receiver has ended; what it said is above");
        }
        let Told { cpu_ns, busy, packets, bursts } = serde_json::from_str(&line)?;
        Ok(Done { cpu: Duration::from_nanos(cpu_ns), busy, packets, bursts })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
