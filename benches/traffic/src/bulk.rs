//! [`Bulk`]: captures of any length for benches, HTTP over many connections at a time. What is held
//! is a window of connections, however many there are in all.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::example::cluster::{self, Pod};
use crate::payload::{Prose, http};
use crate::{Clocked, Path, PcapWriter, Random, Side, Sink, TcpSession};

/// The most connections that are open at a time.
const WINDOW: u64 = 512;
/// Bytes of a body that a connection sends before it is another one's turn.
const TURN: usize = 2 * 1390;
/// Clients are of the range for benchmarks, 198.18.0.0/15 (RFC 2544): from here on, and so many.
const FIRST_CLIENT: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
const CLIENTS: u64 = 1 << 17;
/// Pods of the example in scope of its resources, and out of it.
const SCOPED: [&Pod; 3] = [&cluster::FRONTEND_1, &cluster::FRONTEND_2, &cluster::WEB];
const UNSCOPED: [&Pod; 3] = [&cluster::CART, &cluster::GRAFANA, &cluster::SANDBOX];

/// What to make.
#[derive(Debug, Clone)]
pub struct Bulk {
    /// How many connections in all.
    pub flows: u64,
    /// Bytes of each body.
    pub body_bytes: u64,
    /// Exactly so many packets: connections go on with more requests, and are cut off, to that
    /// end. Without, each makes one request and closes.
    pub packets: Option<u64>,
    /// Every other request sends a body instead of getting one.
    pub posts: bool,
    /// Whether the servers are in the scope of the example's resources.
    pub scoped: bool,
    /// Packets a second of the capture's own time.
    pub rate: u64,
    /// The seed.
    pub seed: u64,
}

impl Bulk {
    /// Connections with bodies in both directions.
    pub const fn http_bodies(seed: u64) -> Self {
        let (flows, body_bytes, rate) = (1_000, 16_384, 1_000_000);
        Self { flows, body_bytes, packets: None, posts: true, scoped: true, rate, seed }
    }

    /// Many short connections of ten packets each: handshake, a request, a response of one
    /// segment, the end.
    pub const fn short_flows(seed: u64) -> Self {
        Self { flows: 100_000, body_bytes: 200, posts: false, ..Self::http_bodies(seed) }
    }

    /// As [`Self::http_bodies`], with pods that no resource of the example selects.
    pub const fn out_of_scope(seed: u64) -> Self {
        Self { scoped: false, ..Self::http_bodies(seed) }
    }

    /// Writes the capture, and gives it back with the number of packets in it.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write<W: Write>(&self, pcap: PcapWriter<W>) -> io::Result<PcapWriter<W>> {
        let prose = Prose::new(self.seed);
        let mut order = Random::of(self.seed, u64::MAX);
        let mut sink = Clocked::new(pcap, self.rate, self.packets.unwrap_or(u64::MAX));
        let mut open: Vec<Connection> = Vec::new();
        let mut begun = 0;
        loop {
            while begun < self.flows && (open.len() as u64) < WINDOW {
                open.push(Connection::new(self, begun));
                begun += 1;
            }
            if open.is_empty() || sink.is_full() {
                return Ok(sink.into_pcap());
            }
            let index = order.below(open.len() as u64) as usize;
            let before = sink.written();
            let connection = &mut open[index];
            let done = connection.turn(self, &prose, &mut sink)?;
            connection.packets += sink.written() - before;
            if done {
                open.swap_remove(index);
            }
        }
    }

    /// The packets that a connection makes at least.
    fn share(&self) -> u64 {
        self.packets.map_or(0, |packets| packets.div_ceil(self.flows.max(1)))
    }
}

/// A connection that is open.
struct Connection {
    session: TcpSession,
    random: Random,
    stage: Stage,
    /// Whether the current request sends a body.
    posts: bool,
    packets: u64,
}

/// What a connection does at its next turn.
enum Stage {
    Handshake,
    Request,
    /// So many bytes of a message are still to be sent.
    Message(Side, u64),
    Close,
}

impl Connection {
    fn new(bulk: &Bulk, index: u64) -> Self {
        let mut random = Random::of(bulk.seed, index);
        let servers = if bulk.scoped { SCOPED } else { UNSCOPED };
        let server = servers[(index % servers.len() as u64) as usize];
        // No two of eight thousand million share address and port.
        let address = u32::from(FIRST_CLIENT) + (index % CLIENTS) as u32;
        let port = 1_024 + (index / CLIENTS % 64_000) as u16;
        let client = SocketAddr::new(IpAddr::V4(Ipv4Addr::from(address)), port);
        let session = TcpSession::new(Path::new(client, server.at(8080)), &mut random);
        // The first request of every other connection posts.
        let posts = index.is_multiple_of(2);
        Self { session, random, stage: Stage::Handshake, posts, packets: 0 }
    }

    /// Sends the next few packets, if any; true after the last.
    fn turn(&mut self, bulk: &Bulk, prose: &Prose, sink: &mut impl Sink) -> io::Result<bool> {
        self.stage = match self.stage {
            Stage::Handshake => {
                self.session.open(sink)?;
                Stage::Request
            }
            Stage::Request => {
                self.posts = bulk.posts && !self.posts;
                let (method, body) =
                    if self.posts { ("POST", bulk.body_bytes) } else { ("GET", 0) };
                let target = format!("/articles/{}", self.random.below(100_000));
                let head = http::request_head(method, &target, "shop.example", &[], body as usize);
                self.send(Side::Client, head, body, prose, sink)?
            }
            Stage::Message(Side::Client, 0) => {
                let body = if self.posts { 0 } else { bulk.body_bytes };
                let head = http::response_head("200 OK", "text/html", body as usize);
                self.send(Side::Server, head, body, prose, sink)?
            }
            Stage::Message(Side::Server, 0) if self.packets < bulk.share() => Stage::Request,
            Stage::Message(Side::Server, 0) => Stage::Close,
            Stage::Message(from, left) => self.send(from, Vec::new(), left, prose, sink)?,
            Stage::Close => {
                self.session.close(Side::Client, sink)?;
                return Ok(true);
            }
        };
        Ok(false)
    }

    /// Sends a message's head, and as much of the body as a turn has room for.
    fn send(
        &mut self,
        from: Side,
        mut bytes: Vec<u8>,
        body: u64,
        prose: &Prose,
        sink: &mut impl Sink,
    ) -> io::Result<Stage> {
        let room = TURN.saturating_sub(bytes.len()) as u64;
        let part = room.min(body);
        bytes.extend(prose.slice(part as usize, &mut self.random));
        self.session.send(from, &bytes, sink)?;
        Ok(Stage::Message(from, body - part))
    }
}
