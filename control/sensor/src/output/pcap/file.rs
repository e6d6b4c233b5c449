//! Rotated files: whole blocks only, bounded in size and number, begun anew after a failure.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::pcap::PcapPacket;

use super::{PcapConfig, blocks};
use crate::output::eve_file::Existing;

/// Waiting bytes that are worth a write.
const FLUSH_BYTES: usize = 256 << 10;

/// A packet with its comments.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) packet: &'a PcapPacket,
    pub(super) comments: &'a [String],
}

/// The files.
#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    limit: u64,
    max_files: usize,
    interfaces: Vec<String>,
    /// The number of the file that is written to, or will be.
    pub(super) number: u64,
    /// Numbers of the files that are there, the oldest first.
    pub(super) there: Vec<u64>,
    open: Option<Open>,
    /// Blocks that wait, and how many packets and bytes of packets are among them.
    waiting: Vec<u8>,
    waiting_packets: (u64, u64),
    /// Nothing is tried before the next flush: the last one failed.
    failed: bool,
    failure: Option<io::Error>,
    /// Packets written, bytes of them, files begun, packets lost.
    pub(super) written: u64,
    pub(super) bytes: u64,
    pub(super) files: u64,
    pub(super) lost: u64,
}

/// The file that is written to.
#[derive(Debug)]
struct Open {
    file: File,
    /// Bytes of whole blocks in it.
    len: u64,
    /// Port and link type of its interfaces, by their numbers.
    interfaces: Vec<(u16, u16)>,
}

/// The path of a file: `log.pcapng` of number 7 is `log.7.pcapng`.
pub fn numbered(path: &Path, number: u64) -> PathBuf {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(match &*extension {
        "" => format!("{stem}.{number}"),
        extension => format!("{stem}.{number}.{extension}"),
    })
}

/// Numbers of the files that are there, in order.
fn there(path: &Path) -> io::Result<Vec<u64>> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let text = format!("cannot read {}: {error}", directory.display());
            return Err(io::Error::new(error.kind(), text));
        }
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let middle = name.to_str().into_iter().flat_map(|name| name.split('.'));
        // Whatever looks like a number is one if it leads to this very name.
        let found = middle.filter_map(|part| part.parse().ok());
        numbers.extend(found.filter(|&it| numbered(path, it).file_name() == Some(&name)));
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

impl Files {
    pub(super) fn new(config: &PcapConfig) -> io::Result<Self> {
        let mut there = there(&config.path)?;
        if config.existing == Existing::Replace {
            for number in there.drain(..) {
                fs::remove_file(numbered(&config.path, number))?;
            }
        }
        Ok(Self {
            path: config.path.clone(),
            limit: config.limit,
            max_files: config.max_files.max(1),
            interfaces: config.interfaces.clone(),
            number: there.last().map_or(1, |last| last + 1),
            there,
            open: None,
            waiting: Vec::new(),
            waiting_packets: (0, 0),
            failed: false,
            failure: None,
            written: 0,
            bytes: 0,
            files: 0,
            lost: 0,
        })
    }

    /// The name of the file that is written to, or will be.
    pub(super) fn name(&self) -> Arc<str> {
        numbered(&self.path, self.number).display().to_string().into()
    }

    /// Is enough waiting to be written?
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= FLUSH_BYTES
    }

    /// Adds a packet.
    pub(super) fn push(&mut self, item: &Item<'_>) {
        if self.failed {
            self.lost += 1;
            return;
        }
        if let Err(error) = self.add(item) {
            self.lost += 1;
            self.fail(error);
        } else if self.is_full() {
            self.write_waiting();
        }
    }

    fn add(&mut self, item: &Item<'_>) -> io::Result<()> {
        let Item { packet, comments } = item;
        let comments_bytes: usize = comments.iter().map(|it| it.len() + 8).sum();
        // The packet, its block, and an interface that may have to come before it.
        let about = (packet.bytes.len() + comments_bytes) as u64 + 128;
        if self.open.as_ref().is_some_and(|open| {
            open.len + self.waiting.len() as u64 + about > self.limit && !open.interfaces.is_empty()
        }) {
            self.write_waiting();
            if self.open.take().is_some() {
                self.number += 1;
            }
            if let Some(error) = self.failure.take() {
                return Err(error);
            }
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let open = self.begin()?;
                self.open.insert(open)
            }
        };
        let key = (packet.port, packet.link);
        let known = open.interfaces.iter().position(|&it| it == key);
        let number = known.unwrap_or(open.interfaces.len());
        if known.is_none() {
            let name = self.interfaces.get(usize::from(packet.port)).map(String::as_str);
            self.waiting.extend(blocks::interface(name, packet.link)?);
            open.interfaces.push(key);
        }
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.waiting.extend(blocks::packet(number, packet, comments)?);
        self.waiting_packets.0 += 1;
        self.waiting_packets.1 += packet.bytes.len() as u64;
        Ok(())
    }

    /// Begins a file, after the oldest ones have made room.
    fn begin(&mut self) -> io::Result<Open> {
        while self.there.len() >= self.max_files {
            let oldest = self.there.remove(0);
            match fs::remove_file(numbered(&self.path, oldest)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let path = numbered(&self.path, self.number);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let explain =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = OpenOptions::new().create_new(true).append(true).open(&path).map_err(explain)?;
        self.there.push(self.number);
        self.files += 1;
        self.waiting.extend(blocks::section()?);
        Ok(Open { file, len: 0, interfaces: Vec::new() })
    }

    /// Brings what waits into the file.
    ///
    /// # Errors
    /// What has failed since the last time.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.write_waiting();
        self.failed = false;
        self.failure.take().map_or(Ok(()), Err)
    }

    fn write_waiting(&mut self) {
        let Some(open) = &mut self.open else { return };
        if self.waiting.is_empty() {
            return;
        }
        match open.file.write_all(&self.waiting) {
            Ok(()) => {
                open.len += self.waiting.len() as u64;
                self.waiting.clear();
                let (packets, bytes) = std::mem::take(&mut self.waiting_packets);
                self.written += packets;
                self.bytes += bytes;
            }
            Err(error) => self.fail(error),
        }
    }

    /// Gives up what waits, and the file, of which whole blocks are left.
    fn fail(&mut self, error: io::Error) {
        self.waiting.clear();
        self.lost += std::mem::take(&mut self.waiting_packets).0;
        if let Some(open) = self.open.take() {
            let path = numbered(&self.path, self.number);
            if open.len == 0 {
                let _ = fs::remove_file(path);
                self.there.pop();
                self.files -= 1;
            } else {
                let _ = open.file.set_len(open.len);
                self.number += 1;
            }
        }
        self.failed = true;
        self.failure = Some(error);
    }
}
