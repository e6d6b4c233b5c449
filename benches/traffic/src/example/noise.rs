//! Packets of other fates than to be inspected: no IP, malformed, a wrong checksum, fragments that
//! stay alone, and the nodes' own traffic.

use std::io;
use std::net::SocketAddr;

use super::attacks::beacon_message;
use super::cluster::*;
use super::scene::{Fate, Scene};
use crate::checksum::Checksum;
use crate::payload::{dns, tls};
use crate::{Path, Side, Sink, Track, frame};

/// Where a plain Ethernet frame has its IPv4 header, and the header's checksum.
const HEADER: std::ops::Range<usize> = 14..34;
const HEADER_CHECKSUM: std::ops::Range<usize> = 24..26;

/// Plays all of it.
pub(super) fn play(scene: &mut Scene) -> io::Result<()> {
    no_ip(scene)?;
    malformed(scene)?;
    wrong_checksums(scene)?;
    fragments_that_stay_alone(scene)?;
    between_the_nodes(scene)
}

fn no_ip(scene: &mut Scene) -> io::Result<()> {
    let mut out = Vec::new();
    for _ in 0..10 {
        let path = Path::new(GRAFANA.at(0), REDIS.at(0));
        let mut track = scene.track();
        for from in [Side::Client, Side::Server] {
            frame::arp(&mut out, &path, from);
            track.put(&out)?;
        }
        scene.add_as(Fate::NonIp, None, track);
    }
    let mut track = Track::new(0, 0);
    for _ in 0..4 {
        frame::lldp(&mut out);
        track.put(&out)?;
        track.pause(900_000);
    }
    scene.add_as(Fate::NonIp, None, track);
    Ok(())
}

/// An IPv4 header that states more than there is.
fn malformed(scene: &mut Scene) -> io::Result<()> {
    for _ in 0..3 {
        let path = scene.outwards(&SANDBOX, outside::RESOLVER, 53);
        let mut out = query(scene, &path);
        set_total_length(&mut out, 1_400);
        let mut track = scene.track();
        track.put(&out)?;
        scene.add_as(Fate::Malformed, Some(&path), track);
    }
    Ok(())
}

/// Makes an IPv4 header state another length, with its checksum right again.
fn set_total_length(frame: &mut [u8], length: u16) {
    frame[HEADER.start + 2..HEADER.start + 4].copy_from_slice(&length.to_be_bytes());
    frame[HEADER_CHECKSUM].fill(0);
    let checksum = Checksum::default().add(&frame[HEADER]).finish();
    frame[HEADER_CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
}

fn wrong_checksums(scene: &mut Scene) -> io::Result<()> {
    for _ in 0..3 {
        let path = scene.outwards(&SANDBOX, outside::RESOLVER, 53);
        let mut out = query(scene, &path);
        out[HEADER_CHECKSUM.start] ^= 0x55;
        let mut track = scene.track();
        track.put(&out)?;
        scene.add_as(Fate::BadChecksum, Some(&path), track);
    }
    Ok(())
}

fn query(scene: &mut Scene, path: &Path) -> Vec<u8> {
    let id = scene.random.number() as u16;
    let mut out = Vec::new();
    let query = dns::query(id, "web.shop.svc.cluster.local", dns::Kind::A);
    frame::udp(&mut out, path, Side::Client, id, &query);
    out
}

/// The beginning of a beacon whose end, which would give it away, never comes.
fn fragments_that_stay_alone(scene: &mut Scene) -> io::Result<()> {
    let path = scene.outwards(&IMPORT, outside::DROP, 9999);
    let message = beacon_message(scene);
    let id = scene.random.number() as u16;
    let parts = frame::udp_fragments(&path, Side::Client, id, &message, 1_024);
    let mut track = scene.track();
    for part in &parts[..2] {
        track.put(part)?;
    }
    scene.add_as(Fate::Incomplete, Some(&path), track);
    Ok(())
}

/// The API server's TLS, and WireGuard, which nobody can look into.
fn between_the_nodes(scene: &mut Scene) -> io::Result<()> {
    let node = |node: &Node, port| SocketAddr::new(node.address.into(), port);
    for _ in 0..6 {
        let path = Path::new(node(&NODE_B, scene.port()), node(&NODE_A, 6443));
        let (mut track, mut session) = (scene.track(), scene.session(path));
        let random = &mut scene.random;
        session.open(&mut track)?;
        let hello = tls::client_hello("kubernetes.default.svc", random);
        session.send(Side::Client, &hello, &mut track)?;
        session.send(Side::Server, &tls::server_hello(random), &mut track)?;
        session.send(Side::Client, &tls::client_finished(random), &mut track)?;
        for _ in 0..3 {
            session.send(Side::Client, &tls::encrypted(200, random), &mut track)?;
            session.send(Side::Server, &tls::encrypted(1_700, random), &mut track)?;
        }
        session.close(Side::Client, &mut track)?;
        scene.add(&path, track);
    }
    let path = Path::new(node(&NODE_A, 51_820), node(&NODE_B, 51_820));
    let mut track = scene.track();
    let mut out = Vec::new();
    for counter in 0..12_u64 {
        let mut message = vec![4, 0, 0, 0, 1, 2, 3, 4];
        message.extend(counter.to_le_bytes());
        message.extend(scene.random.bytes(176));
        let from = if counter % 3 == 0 { Side::Server } else { Side::Client };
        frame::udp(&mut out, &path, from, counter as u16, &message);
        track.put(&out)?;
    }
    scene.add(&path, track);
    Ok(())
}
