//! Packets that came to one core and belong to another: a ring for each pair of cores.

use dpdk::{Mbuf, PacketMeta};
use rtrb::{Consumer, Producer, PushError, RingBuffer};

use crate::part::Datagram;
use crate::pressure::{Occupancy, share};

/// What one core hands to another.
#[derive(Debug)]
pub enum Parcel {
    /// A whole packet; its owner changes, its bytes stay where they are.
    Packet(Mbuf, PacketMeta),
    /// A datagram put together from fragments. Its fragments are in the sender's ledger.
    Datagram(Box<Datagram>),
}

/// A core's ends of the rings to and from all other cores.
#[derive(Debug, Default)]
pub struct Exchange {
    to: Vec<Option<Producer<Parcel>>>,
    from: Vec<Consumer<Parcel>>,
}

/// Rings between `workers` cores, each for `capacity` parcels.
pub fn exchanges(workers: usize, capacity: usize) -> Vec<Exchange> {
    let mut all: Vec<Exchange> = (0..workers)
        .map(|_| Exchange { to: (0..workers).map(|_| None).collect(), from: Vec::new() })
        .collect();
    for from in 0..workers {
        for to in 0..workers {
            if from == to {
                continue;
            }
            let (producer, consumer) = RingBuffer::new(capacity);
            if let Some(slot) = all.get_mut(from).and_then(|e| e.to.get_mut(to)) {
                *slot = Some(producer);
            }
            if let Some(exchange) = all.get_mut(to) {
                exchange.from.push(consumer);
            }
        }
    }
    all
}

impl Exchange {
    /// Sends a parcel; gives it back if the ring is full (or there is no such core).
    pub fn send(&mut self, to: usize, parcel: Parcel) -> Result<(), Parcel> {
        match self.to.get_mut(to).and_then(Option::as_mut) {
            Some(ring) => ring.push(parcel).map_err(|PushError::Full(parcel)| parcel),
            None => Err(parcel),
        }
    }

    /// How many other cores may send to this one.
    pub fn peers(&self) -> usize {
        self.from.len()
    }

    /// The next parcel from a peer.
    pub fn receive(&mut self, peer: usize) -> Option<Parcel> {
        self.from.get_mut(peer)?.pop().ok()
    }

    /// How full the fullest ring to this core is.
    #[inline]
    pub fn occupancy(&self) -> Occupancy {
        let of =
            |ring: &Consumer<Parcel>| share(ring.slots() as u32, ring.buffer().capacity() as u32);
        self.from.iter().map(of).max().unwrap_or(0)
    }

    /// Has nobody sent anything?
    pub fn is_empty(&self) -> bool {
        self.from.iter().all(Consumer::is_empty)
    }
}
