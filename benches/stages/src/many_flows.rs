//! What many flows at a time cost the worker loop: the packet rate with a million open beside that with
//! ten thousand, and bytes of memory a flow, packet by packet of a conversation.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dpdk::{Eal, Mbuf, Mempool, MetaField, PacketMeta};
use engine::Settings;
use engine::counters::Counters;
use engine::scope::Scope;
use engine::worker::META_IGNORE_CHECKSUMS;
use flow::FlowConfig;
use pollux::capture::Frame;
use rules::ruleset::Ruleset;
use serde::{Deserialize, Serialize};
use traffic::Envelope;
use traffic::flows::{Flows, Made, Mix, Shape};

use crate::feed::{Fed, Feeder, Lane};
use crate::{cpu, worker};

/// Seconds of the packets' own time in which every flow has its turn so many times as a conversation
/// has packets: flows that have ended (and are kept for 60 s, of UDP for 300 s) are the fewer ones, and none
/// times out between two packets.
const ROUND_SECONDS: u64 = 400;
/// Packets of a conversation, about.
pub const CONVERSATION: u64 = 16;
/// When the traffic begins, in nanoseconds.
const START: u64 = traffic::START * 1000;
/// Before the first packet.
const NOTHING: Made = {
    let nobody = std::net::Ipv4Addr::UNSPECIFIED;
    Made { length: 0, scoped: false, addresses: (nobody, nobody) }
};
/// Bytes of stream buffers that a flow may hold.
const STREAM_BYTES: u64 = 8 * 1024;
/// Bytes of an IPv4 and a TCP header of the generator's frames, after Ethernet's.
const HEADERS: usize = 14 + 20 + 20;

/// What `pollux bench` makes by default, with so many flows and three data packets each.
pub const fn shape(flows: u32) -> Shape {
    let mix = Mix { http: 6, dns: 2, tls: 2 };
    Shape {
        flows,
        frame_bytes: 1_000,
        data_packets: 3,
        mix,
        scoped_percent: 100,
        envelope: Envelope::Plain,
        seed: 1,
    }
}

/// Made traffic with a clock of its own.
#[derive(Debug)]
pub struct Source {
    flows: Flows,
    frame: Box<[u8; 2048]>,
    made: Made,
    now: u64,
    step: u64,
}

impl Source {
    /// Of this shape; every flow has its turn as often as a conversation has packets within some minutes.
    pub fn new(shape: &Shape) -> Self {
        let step = ROUND_SECONDS * 1_000_000_000 / (u64::from(shape.flows) * CONVERSATION);
        let flows = Flows::new(shape);
        Self { flows, frame: Box::new([0; 2048]), made: NOTHING, now: START, step }
    }

    /// With every flow at another place of its conversation.
    #[must_use]
    pub fn staggered(self) -> Self {
        Self { flows: self.flows.staggered(CONVERSATION as u32), ..self }
    }

    /// Makes the next packet; its time.
    pub fn make(&mut self) -> u64 {
        self.now += self.step;
        self.made = self.flows.next_into(&mut self.frame[..]);
        self.now
    }

    /// The time of the packet that was made last.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// What was made last.
    pub fn made(&self) -> Made {
        self.made
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.frame.get(..self.made.length).unwrap_or_default()
    }

    /// What was made last, as the packet of this number.
    ///
    /// # Errors
    /// There is no mbuf left.
    pub fn mbuf(&self, pool: &Mempool, meta: MetaField, order: u64) -> anyhow::Result<Mbuf> {
        let bytes = self.bytes();
        let mut mbuf = Mbuf::from_bytes(pool, bytes).context("there are too few mbufs")?;
        let about = PacketMeta {
            ts_ns: self.now,
            clock_ns: self.now,
            order,
            wire_len: u32::try_from(bytes.len())?,
            link: 1,
            flags: META_IGNORE_CHECKSUMS,
        };
        meta.set(&mut mbuf, about);
        Ok(mbuf)
    }

    /// The next so many packets; false if the worker is gone.
    fn feed(&mut self, packets: u64, lane: &mut Lane<'_>) -> bool {
        (0..packets).all(|_| {
            let timestamp = self.make();
            let data = self.bytes();
            let wire_len = u32::try_from(data.len()).unwrap_or(u32::MAX);
            lane.frame(&Frame { timestamp, link: 1, wire_len, data })
        })
    }

    /// What the latest packet was.
    fn latest(&self) -> String {
        let byte = |at: usize| self.frame.get(at).copied().unwrap_or(0);
        let total = usize::from(u16::from_be_bytes([byte(16), byte(17)]));
        if byte(23) == 17 {
            return format!("UDP, {} bytes", total.saturating_sub(28));
        }
        let names = [(2, "SYN"), (16, "ACK"), (1, "FIN"), (4, "RST")];
        let set: Vec<&str> =
            names.iter().filter(|(bit, _)| byte(47) & bit != 0).map(|(_, name)| *name).collect();
        let options = usize::from(byte(46) >> 4) * 4;
        match (total + 14).saturating_sub(HEADERS - 20 + options) {
            0 => set.join(" "),
            bytes => format!("{bytes} bytes"),
        }
    }
}

/// Room for all of them: closed ones wait for their time-out beside those that are open, and no
/// stream is refused.
pub fn room(flows: u32) -> (Settings, FlowConfig) {
    let capacity = flows as usize * 3;
    let flows = FlowConfig { capacity, hash_seed: Some(1), ..FlowConfig::default() };
    let mut settings = Settings::default();
    settings.streams.memcap = settings.streams.memcap.max(capacity as u64 * STREAM_BYTES);
    (settings, flows)
}

/// The rate with so many flows at a time.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Packets that were measured.
    pub packets: u64,
    /// CPU time of the worker for them.
    pub worker: Duration,
    /// Flows in the table at the end, closed ones too.
    pub live: u64,
}

/// Runs conversations of so many flows at a time: `warm` packets until all flows are there and at
/// different places, then those that are measured.
///
/// # Errors
/// DPDK's, the worker's.
pub fn rate(
    eal: &'static Eal,
    rules: &Arc<Ruleset>,
    shape: &Shape,
    warm: u64,
    packets: u64,
) -> anyhow::Result<Measured> {
    let mut measured = Measured { packets, worker: Duration::ZERO, live: 0 };
    let mut source = Source::new(shape).staggered();
    let feed = |feeder: Feeder<'_>, ledger: &Counters| -> anyhow::Result<Fed> {
        feeder.feed_from(|lane| {
            source.feed(warm, lane);
            lane.settle();
            let before = lane.spent();
            source.feed(packets, lane);
            lane.settle();
            measured.worker = lane.spent().saturating_sub(before);
            measured.live = ledger.flows_active.get();
            Ok(())
        })
    };
    worker::run(eal, rules, Scope::everything(), room(shape.flows), feed)?;
    Ok(measured)
}

/// Measures the rate with so many flows, after every flow has ended once and memory is used again, not got.
///
/// # Errors
/// As [`rate`].
pub fn settled(
    eal: &'static Eal,
    rules: &Arc<Ruleset>,
    shape: &Shape,
    packets: u64,
) -> anyhow::Result<Measured> {
    let warm = u64::from(shape.flows) * CONVERSATION * 5 / 4;
    rate(eal, rules, shape, warm, packets)
}

impl Measured {
    /// Nanoseconds of the worker's CPU time a packet.
    pub fn ns(&self) -> f64 {
        self.worker.as_nanos() as f64 / self.packets.max(1) as f64
    }
}

/// What flows hold after so many packets of their conversation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Held {
    /// The packet after which it is.
    pub after: String,
    /// Growth of this process since before the first packet, by flow: resident bytes.
    pub resident: u64,
    /// Of these in buffers of TCP reassembly, by the worker's own count.
    pub buffered: u64,
}

/// Memory of so many flows, measured after every packet of their conversation. To be called in a
/// process that has done nothing else.
///
/// # Errors
/// DPDK's, the worker's.
pub fn memory(eal: &'static Eal, rules: &Arc<Ruleset>, shape: &Shape) -> anyhow::Result<Vec<Held>> {
    let flows = u64::from(shape.flows);
    let mut held = Vec::new();
    let mut source = Source::new(shape);
    let feed = |feeder: Feeder<'_>, ledger: &Counters| -> anyhow::Result<Fed> {
        let before = cpu::rss();
        feeder.feed_from(|lane| {
            for _ in 0..64 {
                let whole = source.feed(flows, lane);
                lane.settle();
                // As many conversations begin anew as there are flows: one has ended.
                if !whole || ledger.flows.get() > flows {
                    break;
                }
                let resident = cpu::rss().saturating_sub(before) / flows;
                let buffered = ledger.stream_memory.get() / flows;
                held.push(Held { after: source.latest(), resident, buffered });
            }
            Ok(())
        })
    };
    worker::run(eal, rules, Scope::everything(), room(shape.flows), feed)?;
    Ok(held)
}
