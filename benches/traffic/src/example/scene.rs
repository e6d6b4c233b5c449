//! [`Scene`]: the conversations of the example as they are put together, each on a track of its
//! own, and the manifest that grows with them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::cluster::{self, Pod, outside};
use super::{Example, Expected, Manifest};
use crate::{Packet, Path, Random, Side, TcpSession, Track};

/// How long the example is, in microseconds.
pub(super) const LENGTH: u64 = 4_000_000;

/// What is being put together.
pub(super) struct Scene {
    pub(super) random: Random,
    packets: Vec<Packet>,
    alerts: Vec<(u64, Expected)>,
    manifest: Manifest,
    /// The next ephemeral port: no two conversations share one.
    port: u16,
}

/// What becomes of a track's packets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Inspected if it is in the scope of a resource.
    Whole,
    /// The same, but fragments that are never complete.
    Incomplete,
    /// Not IP.
    NonIp,
    /// Malformed.
    Malformed,
    /// With a wrong checksum.
    BadChecksum,
}

impl Scene {
    pub(super) fn new(seed: u64) -> Self {
        let random = Random::of(seed, 0);
        let manifest = Manifest::default();
        Self { random, packets: Vec::new(), alerts: Vec::new(), manifest, port: 33_000 }
    }

    /// A track that begins at any time early enough for a conversation to end in time.
    pub(super) fn track(&mut self) -> Track {
        Track::new(self.random.below(LENGTH * 7 / 8), self.random.number())
    }

    pub(super) fn port(&mut self) -> u16 {
        self.port += 1;
        self.port
    }

    /// From a pod to a pod, through the VXLAN if they are on two nodes.
    pub(super) fn between(&mut self, client: &Pod, server: &Pod, port: u16) -> Path {
        let path = Path::new(client.at(self.port()), server.at(port));
        path.within(client.vxlan(server))
    }

    /// From a pod to a host outside.
    pub(super) fn outwards(&mut self, client: &Pod, server: Ipv4Addr, port: u16) -> Path {
        Path::new(client.at(self.port()), SocketAddr::new(server.into(), port))
    }

    /// From a host outside to a pod.
    pub(super) fn inwards(&mut self, client: Ipv4Addr, server: &Pod, port: u16) -> Path {
        Path::new(SocketAddr::new(client.into(), self.port()), server.at(port))
    }

    /// One of the customers.
    pub(super) fn customer(&mut self) -> Ipv4Addr {
        let [a, b, c, d] = outside::CUSTOMERS.octets();
        Ipv4Addr::new(a, b, c, d + self.random.below(20) as u8)
    }

    pub(super) fn session(&mut self, path: Path) -> TcpSession {
        TcpSession::new(path, &mut self.random)
    }

    /// Says that what `from` sends on `path` must be alerted.
    pub(super) fn expect(
        &mut self,
        sid: u32,
        what: &'static str,
        proto: &'static str,
        path: &Path,
        from: Side,
    ) {
        let (source, destination) = path.ends(from);
        let port = |end: SocketAddr| if proto == "ICMP" { 0 } else { end.port() };
        let expected = Expected {
            sid,
            proto,
            src_ip: source.ip(),
            src_port: port(source),
            dest_ip: destination.ip(),
            dest_port: port(destination),
            resources: resources(source.ip(), destination.ip()),
            envelope: path.envelope.name(),
            what,
        };
        self.alerts.push((u64::MAX, expected));
    }

    /// Takes a finished conversation of `path`.
    pub(super) fn add(&mut self, path: &Path, track: Track) {
        self.add_as(Fate::Whole, Some(path), track);
    }

    /// Takes packets of a special fate; those without IP have no path.
    pub(super) fn add_as(&mut self, fate: Fate, path: Option<&Path>, track: Track) {
        let packets = track.into_packets();
        let count = packets.len() as u64;
        let scoped =
            path.is_some_and(|path| !resources(path.client.ip(), path.server.ip()).is_empty());
        let fates = &mut self.manifest.fates;
        match fate {
            Fate::Whole | Fate::Incomplete if scoped => fates.scoped += count,
            Fate::Whole | Fate::Incomplete => fates.unscoped += count,
            Fate::NonIp => fates.non_ip += count,
            Fate::Malformed => fates.malformed += count,
            Fate::BadChecksum => fates.bad_checksum += count,
        }
        if fate == Fate::Incomplete && scoped {
            fates.incomplete_fragments += count;
        }
        // The alerts announced since the last conversation are this one's.
        let begin = packets.first().map_or(0, |packet| packet.time);
        for (time, _) in self.alerts.iter_mut().filter(|(time, _)| *time == u64::MAX) {
            *time = begin;
        }
        self.packets.extend(packets);
    }

    pub(super) fn finish(mut self) -> Example {
        self.packets.sort_by_key(|packet| packet.time);
        self.alerts.sort();
        self.manifest.alerts = self.alerts.into_iter().map(|(_, expected)| expected).collect();
        self.manifest.fates.packets = self.packets.len() as u64;
        Example { packets: self.packets, manifest: self.manifest }
    }
}

/// The resources in whose scope a conversation is.
fn resources(one: IpAddr, other: IpAddr) -> Vec<&'static str> {
    let mut resources = [cluster::resources_of(one), cluster::resources_of(other)].concat();
    resources.sort_unstable();
    resources.dedup();
    resources
}
