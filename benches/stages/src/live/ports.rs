//! Packets out of scope beside `dpdk-testpmd --forward-mode=rxonly` on the same kind of port.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use dpdk::VdevSpec;
use pollux::bench::Compared;
use traffic::PcapWriter;
use traffic::flows::{Flows, Mix, Shape};

use super::Row;
use super::net::{Net, TAP};
use super::receive::{BUFFERS, Device, MEMORY_MB, Receiver};
use super::testpmd::Testpmd;
use crate::many_flows;
use crate::turns::Done;

/// Of the rate of DPDK's receiver, so much is asked for.
const ASKED: f64 = 0.6;

/// Frames of a capture: fewer than any of these ports holds.
const FRAMES: u64 = 1_536;

/// Measurements in a turn.
const ROUNDS: usize = 10;

/// How long a measurement of an endless port takes.
const ROUND: Duration = Duration::from_millis(120);

/// How long a receiver may take for what waits.
const SETTLE: Duration = Duration::from_millis(20);

/// How often the capture is sent without a pause.
const FREELY: u32 = 100;

/// A kind of port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Without end, and nothing is copied.
    Null,
    /// A capture without end, copied.
    Pcap,
    /// A packet socket on a virtual interface.
    AfPacket,
    /// An AF_XDP socket on one.
    AfXdp,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Null, Self::Pcap, Self::AfPacket, Self::AfXdp];

    const fn name(self) -> &'static str {
        match self {
            Self::Null => "net_null",
            Self::Pcap => "net_pcap",
            Self::AfPacket => "net_af_packet",
            Self::AfXdp => "net_af_xdp",
        }
    }

    const fn is_endless(self) -> bool {
        matches!(self, Self::Null | Self::Pcap)
    }

    /// As `--vdev` takes it.
    fn device(self, frames: &Frames) -> String {
        match self {
            Self::Null => format!("net_null0,size={}", frames.first),
            Self::Pcap => format!("net_pcap0,rx_pcap={},infinite_rx=1", frames.path.display()),
            Self::AfPacket => {
                VdevSpec::af_packet(TAP).frames_up_to(1_622).with("framecnt", 4_096).to_string()
            }
            Self::AfXdp => VdevSpec::af_xdp(TAP).queues(1).to_string(),
        }
    }
}

/// A capture of frames that are in nobody's scope.
#[derive(Debug)]
struct Frames {
    path: PathBuf,
    /// Bytes of the first one, and of each that a device gives out which leaves its buffers as they are.
    first: usize,
    /// Bytes of all.
    bytes: u64,
}

impl Frames {
    fn made(folder: &Path, frame_bytes: usize, flows: u32) -> anyhow::Result<Self> {
        let path = folder.join(format!("frames-{frame_bytes}.pcap"));
        // Long conversations, so that most frames are of this size.
        let mix = Mix { http: 1, dns: 0, tls: 0 };
        let shape = Shape {
            frame_bytes,
            data_packets: 300,
            scoped_percent: 0,
            mix,
            ..many_flows::shape(flows)
        };
        let mut flows = Flows::new(&shape);
        let mut pcap = PcapWriter::new(BufWriter::new(File::create(&path)?))?;
        let (mut frame, mut first, mut bytes) = ([0; 2048], 0, 0);
        for number in 0..FRAMES {
            let length = flows.next_into(&mut frame).length;
            first = if number == 0 { length } else { first };
            bytes += length as u64;
            pcap.write(traffic::START + number, frame.get(..length).unwrap_or_default())?;
        }
        pcap.finish()?;
        Ok(Self { path, first, bytes })
    }
}

/// What a receiver has taken of what was sent.
#[derive(Debug, Default)]
struct Count {
    sent: u64,
    received: u64,
}

impl Count {
    fn add(&mut self, sent: u64, received: u64) {
        self.sent += sent;
        self.received += received;
    }

    fn percent(&self) -> f64 {
        100.0 * self.received as f64 / self.sent.max(1) as f64
    }
}

/// What both have.
fn told([ours, theirs]: &[Count; 2]) -> String {
    format!("{:.1} % and {:.1} %", ours.percent(), theirs.percent())
}

/// A row for each kind of port and two sizes of frames; `only` those whose kind's name has this in it. Buffers of
/// both receivers lie in `hugepages`, or in ordinary pages.
///
/// # Errors
/// Those of the system and the receivers.
pub fn rows(turns: u32, only: Option<&str>, hugepages: bool) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let sizes = [Frames::made(folder.path(), 64, 500)?, Frames::made(folder.path(), 1_000, 8)?];
    let mut rows = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| only.is_none_or(|it| kind.name().contains(it)))
    {
        for frames in &sizes {
            // Where nothing is copied, nothing depends on the length.
            if kind == Kind::Null && rows.iter().any(|row: &Row| row.what.contains("net_null")) {
                continue;
            }
            eprintln!("live: {} {} bytes", kind.name(), frames.bytes / FRAMES);
            let row = row(kind, frames, turns, hugepages)
                .with_context(|| format!("on {}", kind.name()))?;
            eprintln!("{row}");
            rows.push(row);
        }
    }
    Ok(rows)
}

fn row(kind: Kind, frames: &Frames, turns: u32, hugepages: bool) -> anyhow::Result<Row> {
    let mut compared = Compared::default();
    let (mut waited, mut freely) = <([Count; 2], [Count; 2])>::default();
    let device = Device { spec: kind.device(frames), hugepages };
    for turn in 1..=turns {
        let mut side = |who: usize, side: &mut dyn Side, net: Option<&Net>| {
            let counts = [&mut waited[who], &mut freely[who]];
            costs(kind, net, frames, side, counts, turn == turns)
        };
        // A namespace of its own for each, so that nothing is left of the other one.
        settle(&device);
        let place = net(kind)?;
        let mut ours =
            Receiver::start(&device, &frames.path, |program| within(place.as_ref(), program))?;
        let of = side(0, &mut ours, place.as_ref())?;
        drop((ours, place));
        settle(&device);
        let place = net(kind)?;
        let mut theirs =
            Testpmd::start(&device, BUFFERS, |program| within(place.as_ref(), program))?;
        let beside = side(1, &mut theirs, place.as_ref())?;
        for (of, beside) in of.into_iter().zip(beside) {
            compared.add(of, beside);
        }
    }
    let size = if kind == Kind::Null { frames.first as u64 } else { frames.bytes / FRAMES };
    let memory = if hugepages { ", hugepages" } else { "" };
    let what = format!("out of scope beside rxonly, {}, {size} bytes{memory}", kind.name());
    let row =
        Row::new("ports", what, if kind.is_endless() { "ns" } else { "cycles" }, compared, ASKED);
    Ok(if kind.is_endless() {
        row
    } else {
        row.noting(format!(
            "received of what waited: {}; of what came as fast as tcpreplay sends: {}",
            told(&waited),
            told(&freely)
        ))
    })
}

/// Waits until the last receiver's hugepages are free: the kernel holds those of an AF_XDP socket for a moment longer
/// than the process lives. Whoever finds too few says so.
fn settle(device: &Device) {
    const FREE: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
    let has_room = || {
        let free = std::fs::read_to_string(FREE).ok().and_then(|text| text.trim().parse().ok());
        free.is_none_or(|pages: u32| pages * 2 >= MEMORY_MB)
    };
    for _ in 0..100 {
        if !device.hugepages || has_room() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn net(kind: Kind) -> anyhow::Result<Option<Net>> {
    if kind.is_endless() { Ok(None) } else { Net::new().map(Some) }
}

fn within(net: Option<&Net>, program: &str) -> Command {
    net.map_or_else(|| Command::new(program), |net| net.command(program))
}

/// What a packet costs: of endless ports in CPU time, for the thread never waits; of others in ticks of
/// bursts that brought something.
fn cost(kind: Kind, done: Done) -> anyhow::Result<f64> {
    ensure!(done.packets > 0, "nothing was received");
    let all = if kind.is_endless() { done.cpu.as_nanos() as f64 } else { done.busy as f64 };
    Ok(all / done.packets as f64)
}

/// One of the two that are compared.
trait Side {
    /// Of a device that never runs empty.
    fn endless(&mut self) -> anyhow::Result<Done>;

    /// What waits.
    fn waiting(&mut self) -> anyhow::Result<Done>;

    /// What comes while `send` goes on.
    fn coming(&mut self, send: &mut dyn FnMut() -> anyhow::Result<()>) -> anyhow::Result<Done>;
}

impl Side for Receiver {
    fn endless(&mut self) -> anyhow::Result<Done> {
        self.turn()
    }

    fn waiting(&mut self) -> anyhow::Result<Done> {
        std::thread::sleep(SETTLE);
        let mut done = Done::default();
        // A driver may have to be asked more than once.
        for _ in 0..4 {
            let more = self.turn()?;
            done.busy += more.busy;
            done.packets += more.packets;
        }
        Ok(done)
    }

    fn coming(&mut self, send: &mut dyn FnMut() -> anyhow::Result<()>) -> anyhow::Result<Done> {
        self.polls_while(send)
    }
}

impl Side for Testpmd {
    fn endless(&mut self) -> anyhow::Result<Done> {
        self.receive(|| pause(ROUND))
    }

    fn waiting(&mut self) -> anyhow::Result<Done> {
        self.receive(|| pause(SETTLE))
    }

    fn coming(&mut self, send: &mut dyn FnMut() -> anyhow::Result<()>) -> anyhow::Result<Done> {
        self.receive(send)
    }
}

fn pause(time: Duration) -> anyhow::Result<()> {
    std::thread::sleep(time);
    Ok(())
}

/// What a packet costs one side, round by round; of what was sent without a pause it takes part in the last turn.
fn costs(
    kind: Kind,
    net: Option<&Net>,
    frames: &Frames,
    side: &mut dyn Side,
    [waited, freely]: [&mut Count; 2],
    is_last: bool,
) -> anyhow::Result<Vec<f64>> {
    let mut costs = Vec::new();
    for _ in 0..ROUNDS {
        let done = match net {
            None => side.endless()?,
            Some(net) => {
                let sent = net.send(&frames.path, 1)?;
                let done = side.waiting()?;
                waited.add(sent, done.packets);
                done
            }
        };
        costs.push(cost(kind, done)?);
    }
    if let Some(net) = net.filter(|_| is_last) {
        let mut sent = 0;
        let done = side.coming(&mut || {
            sent = net.send(&frames.path, FREELY)?;
            pause(SETTLE)
        })?;
        freely.add(sent, done.packets);
    }
    Ok(costs)
}
