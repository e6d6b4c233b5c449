//! How a generation reaches a core and how the old one comes back: one mailbox a core, taken
//! between two bursts. No lock, no allocation, no free and no system call on the core.

use std::sync::Arc;

use hyperscan::Scratch;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::snapshot::Snapshot;

/// A generation as one core gets it: the shared part, and what only this core uses.
#[derive(Debug)]
pub struct Delivery {
    /// The generation.
    pub snapshot: Arc<Snapshot>,
    /// This core's scratch space for its databases.
    pub scratch: Scratch,
}

/// The control side's end.
#[derive(Debug)]
pub struct Sender {
    out: Producer<Box<Delivery>>,
    back: Consumer<Box<Delivery>>,
    in_flight: usize,
}

/// The core's end.
#[derive(Debug)]
pub struct Receiver {
    inbox: Consumer<Box<Delivery>>,
    back: Producer<Box<Delivery>>,
}

/// How many generations a core may hold or have under way: the one in use and two more.
const CAPACITY: usize = 3;

/// A mailbox.
pub fn mailbox() -> (Sender, Receiver) {
    let (out, inbox) = RingBuffer::new(CAPACITY);
    // Whatever was sent fits back, so that the core never has to free anything.
    let (back, returned) = RingBuffer::new(CAPACITY + 1);
    (Sender { out, back: returned, in_flight: 0 }, Receiver { inbox, back })
}

impl Sender {
    /// Sends a generation; gives it back if the core has not taken the last ones yet.
    pub fn send(&mut self, delivery: Box<Delivery>) -> Result<(), Box<Delivery>> {
        self.collect();
        if self.in_flight >= CAPACITY {
            return Err(delivery);
        }
        match self.out.push(delivery) {
            Ok(()) => {
                self.in_flight += 1;
                Ok(())
            }
            Err(rtrb::PushError::Full(delivery)) => Err(delivery),
        }
    }

    /// Frees what the core has returned; says how many that were.
    pub fn collect(&mut self) -> usize {
        let mut freed = 0;
        while let Ok(old) = self.back.pop() {
            drop(old);
            self.in_flight = self.in_flight.saturating_sub(1);
            freed += 1;
        }
        freed
    }
}

impl Receiver {
    /// Takes the newest generation that waits, if any, in exchange for the one in use.
    #[inline]
    pub fn exchange(&mut self, current: &mut Box<Delivery>) -> bool {
        let mut changed = false;
        while let Ok(next) = self.inbox.pop() {
            let old = std::mem::replace(current, next);
            // There is room: see `mailbox`. If not, freeing here is the lesser evil.
            let _ = self.back.push(old);
            changed = true;
        }
        changed
    }

    /// Waits for the first generation without taking the core's time.
    pub fn first(&mut self, stop: &dyn Fn() -> bool) -> Option<Box<Delivery>> {
        loop {
            if let Ok(delivery) = self.inbox.pop() {
                return Some(delivery);
            }
            if stop() {
                return None;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}
