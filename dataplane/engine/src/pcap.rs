//! Packets of alerting flows, for `pcap-log`: each core remembers its latest packets in a bounded ring, and
//! gives those of a flow that alerts, and a bounded number after them, to whoever writes them to a file.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rtrb::{Consumer, Producer, PushError, RingBuffer};
use wire::{LinkType, Nanos};

use crate::counters::Counters;
use crate::emit::WhenFull;
use crate::part::PacketInfo;

/// What is remembered, and what is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PcapConfig {
    /// Bytes of packets that a core remembers. They are copies: no mbuf is held.
    pub history_bytes: usize,
    /// Packets that a core remembers.
    pub history_packets: usize,
    /// Packets of a flow that are given after its latest alert.
    pub after_packets: u32,
    /// For how long they are.
    pub after: Nanos,
    /// Packets of a core that wait for the writer.
    pub queue_packets: usize,
    /// Bytes of all cores that wait for it.
    pub queue_bytes: u64,
}

/// A packet of a flow that has alerted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PcapPacket {
    /// The clock of the alert that asked for it, or its own if the alert came before: once every
    /// alert up to here is known, it is known whether and with which comments it is written.
    pub due: Nanos,
    /// Its own clock.
    pub clock: Nanos,
    /// Its number.
    pub order: u64,
    /// The flow's id; None where it stands for itself.
    pub flow: Option<u64>,
    /// When it was captured.
    pub timestamp: Nanos,
    /// Bytes on the wire.
    pub wire_len: u32,
    /// Its link type.
    pub link: u16,
    /// Its port, by the sensor's numbering.
    pub port: u16,
    /// What was captured of it. Of a datagram put together from fragments: the datagram, behind the
    /// link header of its last fragment.
    pub bytes: Box<[u8]>,
}

/// What a core knows of a flow's packets. Kept with the flow.
#[derive(Debug, Default)]
pub struct Followed {
    /// One more than the number of its newest packet in the ring; 0: none.
    newest: u64,
    /// Its packets that went into the ring since the last alert.
    remembered: u64,
    /// Clock and number of its last packet.
    last: (Nanos, u64),
    /// Packets that are still to be given.
    left: u32,
    /// Until when they are; 0: the flow has not alerted.
    until: Nanos,
}

impl Followed {
    /// Clock and number of its last packet.
    pub(crate) fn last(&self) -> (Nanos, u64) {
        self.last
    }
}

/// A packet in the ring.
#[derive(Debug, Clone, Copy)]
struct Entry {
    flow: u64,
    /// As [`Followed::newest`], of the flow's packet before.
    previous: u64,
    start: usize,
    len: usize,
    info: PacketInfo,
}

/// The latest packets of a core.
#[derive(Debug)]
struct History {
    bytes: Vec<u8>,
    entries: VecDeque<Entry>,
    /// The number of the oldest entry.
    first: u64,
    /// Where the next packet's bytes go.
    at: usize,
    most: usize,
}

impl History {
    fn new(bytes: usize, packets: usize) -> Self {
        let (bytes, entries) = (vec![0; bytes], VecDeque::with_capacity(packets));
        Self { bytes, entries, first: 0, at: 0, most: packets }
    }

    fn forget_oldest(&mut self) {
        if self.entries.pop_front().is_some() {
            self.first += 1;
        }
    }

    /// Copies a packet into the ring, over the oldest ones. Returns one more than its number.
    fn push(&mut self, mut entry: Entry, parts: [&[u8]; 2]) -> Option<u64> {
        let len = parts[0].len() + parts[1].len();
        if len > self.bytes.len() || self.most == 0 {
            return None;
        }
        if self.bytes.len() - self.at < len {
            // The rest of the buffer is too short: those who lie there are the oldest ones.
            while self.entries.front().is_some_and(|oldest| oldest.start >= self.at) {
                self.forget_oldest();
            }
            self.at = 0;
        }
        let end = self.at + len;
        let overlaps = |oldest: &Entry| oldest.start < end && oldest.start + oldest.len > self.at;
        let mut gone = self.entries.iter().take_while(|oldest| overlaps(oldest)).count();
        gone = gone.max((self.entries.len() + 1).saturating_sub(self.most));
        (0..gone).for_each(|_| self.forget_oldest());
        let middle = self.at + parts[0].len();
        self.bytes.get_mut(self.at..middle)?.copy_from_slice(parts[0]);
        self.bytes.get_mut(middle..end)?.copy_from_slice(parts[1]);
        (entry.start, entry.len) = (self.at, len);
        self.at = end;
        self.entries.push_back(entry);
        Some(self.first + self.entries.len() as u64)
    }

    /// The packet of this number, if it is still there.
    fn get(&self, number: u64) -> Option<(&Entry, &[u8])> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let entry = self.entries.get(index)?;
        Some((entry, self.bytes.get(entry.start..entry.start + entry.len)?))
    }
}

/// A core's end: remembers packets, and gives those that are asked for.
#[derive(Debug)]
pub struct Recorder {
    config: PcapConfig,
    history: History,
    out: Producer<Box<PcapPacket>>,
    waiting: Arc<AtomicU64>,
    when_full: WhenFull,
    port: u16,
    /// Numbers of a flow's packets, newest first; kept for its memory.
    chain: Vec<u64>,
}

impl Recorder {
    /// Takes note of a packet of a flow. `parts`: what stood before its bytes, and its bytes.
    pub(crate) fn record(
        &mut self,
        slot: &mut Option<Box<Followed>>,
        flow: u64,
        parts: [&[u8]; 2],
        info: &PacketInfo,
        counters: &Counters,
    ) {
        let followed = slot.get_or_insert_default();
        followed.last = (info.clock, info.order);
        if followed.left > 0 && info.clock <= followed.until {
            followed.left -= 1;
            self.give(info.clock, Some(flow), parts, info, counters);
            return;
        }
        followed.left = 0;
        if followed.until > 0 {
            counters.pcap_beyond.add(1);
        }
        let entry = Entry { flow, previous: followed.newest, start: 0, len: 0, info: *info };
        followed.remembered += 1;
        if let Some(newest) = self.history.push(entry, parts) {
            followed.newest = newest;
        }
    }

    /// The flow has alerted: gives what is remembered of it, and lets what follows be given.
    pub(crate) fn alerted(
        &mut self,
        slot: &mut Option<Box<Followed>>,
        flow: u64,
        clock: Nanos,
        counters: &Counters,
    ) {
        let followed = slot.get_or_insert_default();
        let mut chain = std::mem::take(&mut self.chain);
        chain.clear();
        let mut next = followed.newest;
        while let Some(number) = next.checked_sub(1)
            && let Some((entry, _)) = self.history.get(number)
            && entry.flow == flow
        {
            chain.push(number);
            next = entry.previous;
        }
        counters.pcap_gone.add(followed.remembered.saturating_sub(chain.len() as u64));
        for &number in chain.iter().rev() {
            let Some((entry, bytes)) = self.history.get(number) else { continue };
            let packet = self.packet(clock, Some(flow), [&[], bytes], &entry.info);
            self.send(packet, counters);
        }
        self.chain = chain;
        (followed.newest, followed.remembered) = (0, 0);
        followed.left = self.config.after_packets;
        followed.until = clock.saturating_add(self.config.after).max(1);
    }

    /// Gives a packet.
    pub(crate) fn give(
        &mut self,
        due: Nanos,
        flow: Option<u64>,
        parts: [&[u8]; 2],
        info: &PacketInfo,
        counters: &Counters,
    ) {
        let packet = self.packet(due, flow, parts, info);
        self.send(packet, counters);
    }

    fn packet(
        &self,
        due: Nanos,
        flow: Option<u64>,
        parts: [&[u8]; 2],
        info: &PacketInfo,
    ) -> Box<PcapPacket> {
        let bytes: Box<[u8]> = parts.concat().into();
        Box::new(PcapPacket {
            due,
            clock: info.clock,
            order: info.order,
            flow,
            timestamp: info.timestamp,
            wire_len: info.wire_len.max(u32::try_from(bytes.len()).unwrap_or(u32::MAX)),
            link: info.link.map_or(0, LinkType::dlt),
            port: self.port,
            bytes,
        })
    }

    /// Puts a packet into the ring. Too much waiting is lost: a worker waits for no disk. In a replay
    /// it waits for room in the ring, which empties whatever the disk does.
    fn send(&mut self, mut packet: Box<PcapPacket>, counters: &Counters) {
        let len = packet.bytes.len() as u64;
        if self.waiting.fetch_add(len, Ordering::Relaxed) + len > self.config.queue_bytes {
            self.waiting.fetch_sub(len, Ordering::Relaxed);
            counters.pcap_lost.add(1);
            return;
        }
        loop {
            match self.out.push(packet) {
                Ok(()) => return,
                Err(PushError::Full(back))
                    if self.when_full == WhenFull::Wait && !self.out.is_abandoned() =>
                {
                    packet = back;
                    std::thread::yield_now();
                }
                Err(PushError::Full(_)) => {
                    self.waiting.fetch_sub(len, Ordering::Relaxed);
                    counters.pcap_lost.add(1);
                    return;
                }
            }
        }
    }
}

/// The writer's ends: what all cores give.
#[derive(Debug)]
pub struct PcapLanes {
    lanes: Vec<Consumer<Box<PcapPacket>>>,
    waiting: Arc<AtomicU64>,
}

impl PcapLanes {
    /// No core yet.
    pub fn new() -> Self {
        Self { lanes: Vec::new(), waiting: Arc::default() }
    }

    /// A recorder for one more core, of this port.
    pub fn recorder(&mut self, config: &PcapConfig, when_full: WhenFull, port: u16) -> Recorder {
        let (out, lane) = RingBuffer::new(config.queue_packets.max(1));
        self.lanes.push(lane);
        Recorder {
            history: History::new(config.history_bytes, config.history_packets),
            config: config.clone(),
            out,
            waiting: Arc::clone(&self.waiting),
            when_full,
            port,
            chain: Vec::new(),
        }
    }

    /// Hands out everything that the cores have given, of each in its order. Each packet counts as
    /// waiting until [`PcapLanes::done`] is told.
    pub fn poll(&mut self, mut each: impl FnMut(Box<PcapPacket>)) -> usize {
        let mut moved = 0;
        for lane in &mut self.lanes {
            while let Ok(packet) = lane.pop() {
                each(packet);
                moved += 1;
            }
        }
        moved
    }

    /// So many bytes of packets wait no longer.
    pub fn done(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes as u64, Ordering::Relaxed);
    }
}

impl Default for PcapLanes {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[path = "pcap_tests.rs"]
mod tests;
