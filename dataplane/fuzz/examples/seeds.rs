//! Writes the seeds of the dataplane's fuzz targets: the example's capture cut into frames and messages,
//! and the example's rules. `seeds DIRECTORY` makes a folder in it for each target.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use traffic::Packet;
use traffic::example::Example;
use wire::{Config, Direction, LinkType, Transport, decode};

/// Seeds of one target; more add time, not coverage.
const SEEDS: usize = 400;

fn main() -> io::Result<()> {
    let Some(to) = std::env::args_os().nth(1) else {
        return Err(io::Error::other("usage: seeds DIRECTORY"));
    };
    let to = Path::new(&to);
    let example = Example::new(1)?;
    let config = Config::default();
    for (i, packet) in example.packets.iter().enumerate() {
        let mut frame = vec![LinkType::Ethernet as u8];
        frame.extend_from_slice(&packet.bytes);
        write(to, "decode", i, &frame)?;
        let Ok(decoded) = decode(LinkType::Ethernet, &packet.bytes, &config) else { continue };
        let payload = decoded.payload_of(&packet.bytes);
        if payload.is_empty() {
            continue;
        }
        let (from, to_port) = decoded.ports();
        let way = if from > to_port { Direction::ToServer } else { Direction::ToClient };
        let tcp = matches!(decoded.transport, Transport::Tcp(_));
        let target = match from.min(to_port) {
            53 => "dns",
            443 => "tls",
            _ if tcp => "http1",
            _ => continue,
        };
        let mut steps = Vec::new();
        if target == "dns" {
            steps.push(u8::from(tcp));
        }
        steps.push(way.index() as u8);
        steps.extend_from_slice(&(payload.len().min(0x7fff) as u16).to_be_bytes());
        steps.extend_from_slice(payload);
        write(to, target, i, &steps)?;
        let mut first = vec![u8::from(!tcp), 200, 0, 0, 80, 250];
        first.extend_from_slice(payload);
        write(to, "detect", i, &first)?;
    }
    for (i, frames) in conversations(&example).enumerate() {
        let mut input = vec![0];
        for packet in frames {
            input.push(0);
            input.extend_from_slice(&(packet.bytes.len().min(0xffff) as u16).to_be_bytes());
            input.extend_from_slice(&packet.bytes);
        }
        write(to, "core", i, &input)?;
    }
    let rules = fs::read_to_string("deploy/examples/rules/example.rules")?;
    for (i, rule) in rules.lines().filter(|line| line.starts_with("alert")).enumerate() {
        write(to, "rules_parse", i, rule.as_bytes())?;
        let options = rule.split_once('(').map_or("", |(_, options)| options);
        let options = options.trim_end().trim_end_matches(')');
        let mut input = options.replace("sid:", "gid:").into_bytes();
        input.push(0);
        input
            .extend_from_slice(b"GET /index.html?cmd=id HTTP/1.1\r\nHost: www.example.com\r\n\r\n");
        write(to, "rules_eval", i, &input)?;
    }
    Ok(())
}

/// The frames between two addresses and ports each.
fn conversations(example: &Example) -> impl Iterator<Item = Vec<&Packet>> {
    let config = Config::default();
    let mut all: BTreeMap<_, Vec<&Packet>> = BTreeMap::new();
    for packet in &example.packets {
        let Ok(decoded) = decode(LinkType::Ethernet, &packet.bytes, &config) else { continue };
        let (from, to) = decoded.ports();
        all.entry((from.min(to), from.max(to))).or_default().push(packet);
    }
    all.into_values()
}

fn write(to: &Path, target: &str, number: usize, bytes: &[u8]) -> io::Result<()> {
    if number >= SEEDS {
        return Ok(());
    }
    let folder = to.join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("seed-{number}")), bytes)
}
