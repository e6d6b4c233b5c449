//! [`TcpSession`]: a TCP connection from its handshake to its end, as two well-behaved hosts would
//! have it, and the ways in which the network or an evader may deliver its segments.

use std::io;

use crate::frame::{self, Tcp, tcp_flag};
use crate::{Path, Random, Side, Sink};

/// Largest payload of a segment: what fits a 1,500-byte datagram over IPv4.
const MSS: usize = 1460;

/// In which order the segments of one message arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As sent.
    #[default]
    Sent,
    /// The last one first.
    Reversed,
    /// Of every two the later one first.
    Swapped,
}

/// How one message is cut and delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Most bytes of a segment; at least 1.
    pub segment: usize,
    /// The order of arrival.
    pub order: Order,
    /// Each segment arrives twice.
    pub repeated: bool,
}

impl Default for Delivery {
    fn default() -> Self {
        Self { segment: MSS, order: Order::Sent, repeated: false }
    }
}

/// A connection whose packets go to a [`Sink`] as it proceeds.
#[derive(Debug)]
pub struct TcpSession {
    path: Path,
    /// The next sequence number of client and server.
    next: [u32; 2],
    /// The next IP identification of client and server.
    id: [u16; 2],
    mss: usize,
    frame: Vec<u8>,
}

impl TcpSession {
    /// A connection not yet opened; its initial sequence numbers are drawn from `random`.
    pub fn new(path: Path, random: &mut Random) -> Self {
        let next = [random.number() as u32, random.number() as u32];
        let id = [random.number() as u16, random.number() as u16];
        // Room for IPv6's longer header and for the envelope, as Calico sets a pod's MTU.
        let mss = MSS - 70;
        Self { path, next, id, mss, frame: Vec::new() }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The three packets of the handshake.
    ///
    /// # Errors
    /// Those of the sink, here and below.
    pub fn open(&mut self, sink: &mut impl Sink) -> io::Result<()> {
        let mss = (self.mss as u16).to_be_bytes();
        // Maximum segment size, SACK permitted, no-operation, window scale 7.
        let options = [2, 4, mss[0], mss[1], 4, 2, 1, 1, 1, 3, 3, 7];
        self.control(Side::Client, tcp_flag::SYN, &options, sink)?;
        self.control(Side::Server, tcp_flag::SYN | tcp_flag::ACK, &options, sink)?;
        self.acknowledge(Side::Client, sink)
    }

    /// A message in segments of the usual size, in order, acknowledged.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub fn send(&mut self, from: Side, message: &[u8], sink: &mut impl Sink) -> io::Result<()> {
        self.deliver(from, message, Delivery::default(), sink)
    }

    /// A message as `delivery` says. The receiver acknowledges what it has without a gap: every
    /// second segment, each one that leaves or fills a gap or came before, and the last.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub fn deliver(
        &mut self,
        from: Side,
        message: &[u8],
        delivery: Delivery,
        sink: &mut impl Sink,
    ) -> io::Result<()> {
        let size = delivery.segment.clamp(1, self.mss);
        let segments: Vec<&[u8]> = message.chunks(size).collect();
        let base = self.next[from as usize];
        let mut arrived = vec![false; segments.len()];
        // How many segments arrived without a gap before them.
        let mut complete = 0;
        for (position, index) in order(segments.len(), delivery.order).enumerate() {
            let last = position + 1 == segments.len();
            let in_order = index == complete;
            let seq = base.wrapping_add((index * size) as u32);
            let push = if index + 1 == segments.len() { tcp_flag::PSH } else { 0 };
            self.segment(from, seq, tcp_flag::ACK | push, segments[index], sink)?;
            arrived[index] = true;
            while arrived.get(complete) == Some(&true) {
                complete += 1;
            }
            let received = (complete * size).min(message.len());
            self.next[from as usize] = base.wrapping_add(received as u32);
            if !in_order || last || position % 2 == 1 {
                self.acknowledge(from.other(), sink)?;
            }
            if delivery.repeated {
                self.segment(from, seq, tcp_flag::ACK | push, segments[index], sink)?;
                self.acknowledge(from.other(), sink)?;
            }
        }
        Ok(())
    }

    /// The end: `first` says that it is done, the other side too, and that is acknowledged.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub fn close(&mut self, first: Side, sink: &mut impl Sink) -> io::Result<()> {
        self.control(first, tcp_flag::FIN | tcp_flag::ACK, &[], sink)?;
        self.control(first.other(), tcp_flag::FIN | tcp_flag::ACK, &[], sink)?;
        self.acknowledge(first, sink)
    }

    /// The end by force.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub fn reset(&mut self, from: Side, sink: &mut impl Sink) -> io::Result<()> {
        let seq = self.next[from as usize];
        self.segment(from, seq, tcp_flag::RST | tcp_flag::ACK, &[], sink)
    }

    /// A bare acknowledgment.
    fn acknowledge(&mut self, from: Side, sink: &mut impl Sink) -> io::Result<()> {
        self.segment(from, self.next[from as usize], tcp_flag::ACK, &[], sink)
    }

    /// A SYN or FIN, which takes up a sequence number.
    fn control(
        &mut self,
        from: Side,
        flags: u8,
        options: &[u8],
        sink: &mut impl Sink,
    ) -> io::Result<()> {
        let seq = self.next[from as usize];
        self.emit(from, seq, flags, options, &[], sink)?;
        self.next[from as usize] = seq.wrapping_add(1);
        Ok(())
    }

    fn segment(
        &mut self,
        from: Side,
        seq: u32,
        flags: u8,
        payload: &[u8],
        sink: &mut impl Sink,
    ) -> io::Result<()> {
        self.emit(from, seq, flags, &[], payload, sink)
    }

    fn emit(
        &mut self,
        from: Side,
        seq: u32,
        flags: u8,
        options: &[u8],
        payload: &[u8],
        sink: &mut impl Sink,
    ) -> io::Result<()> {
        let acknowledges = flags & tcp_flag::ACK != 0;
        let ack = if acknowledges { self.next[from.other() as usize] } else { 0 };
        let id = &mut self.id[from as usize];
        *id = id.wrapping_add(1);
        let header = Tcp { seq, ack, flags, options };
        frame::tcp(&mut self.frame, &self.path, from, *id, &header, payload);
        sink.put(&self.frame)
    }
}

/// The indices below `count` in an order of arrival.
fn order(count: usize, order: Order) -> impl Iterator<Item = usize> {
    (0..count).map(move |position| match order {
        Order::Sent => position,
        Order::Reversed => count - 1 - position,
        // The last of an odd number has no other to be swapped with.
        Order::Swapped => (position ^ 1).min(count - 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_of_arrival_delivers_each_segment_once() {
        for kind in [Order::Sent, Order::Reversed, Order::Swapped] {
            for count in 0..9 {
                let mut indices: Vec<usize> = order(count, kind).collect();
                indices.sort_unstable();
                assert_eq!(indices, (0..count).collect::<Vec<_>>(), "{kind:?} of {count}");
            }
        }
    }
}
