//! All workers of a sensor and the control side's ends to them: mailboxes out, alert rings in.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dpdk::{Eal, RxQueue};
use flow::FlowConfig;
use rtrb::{Producer, RingBuffer};
use thiserror::Error;
use wire::LinkType;

use crate::bypass::Elephant;
use crate::collect::Collector;
use crate::counters::Counters;
use crate::emit::{Emitter, WhenFull};
use crate::handover::exchanges;
use crate::mailbox::{Delivery, Sender, mailbox};
use crate::pcap::{PcapConfig, PcapLanes};
use crate::pipeline::{CoreConfig, Place};
use crate::snapshot::Snapshot;
use crate::spread::Spread;
use crate::worker::{self, Idle, Shared, Supply, TimeSource, Watch, Worker, WorkerConfig};

/// What a worker is to work on.
#[derive(Debug)]
pub struct Seat {
    /// Its queue; None: it takes only what others hand over.
    pub queue: Option<RxQueue>,
    /// The port that the queue is of, by the sensor's numbering.
    pub port: u16,
    /// The CPU to pin the worker to.
    pub cpu: Option<usize>,
    /// Who owns the packets that come to it.
    pub spread: Spread,
    /// What the worker does while nothing comes.
    pub idle: Idle,
    /// Link type of the port's packets, where they do not say.
    pub link: LinkType,
    /// Where the worker asks that elephants be dropped by the NIC, if it can.
    pub bypass: Option<Producer<Elephant>>,
    /// Who fills the queue from within the worker's thread, if not another thread or a NIC.
    pub supply: Option<Box<dyn Supply>>,
}

impl Seat {
    /// A seat with a queue of a port, or with none: not pinned, polling without rest, for Ethernet,
    /// owning its share of all packets by their hash.
    pub fn new(queue: Option<RxQueue>, port: u16) -> Self {
        Self {
            queue,
            port,
            cpu: None,
            spread: Spread::default(),
            idle: Idle::default(),
            link: LinkType::Ethernet,
            bypass: None,
            supply: None,
        }
    }
}

/// How a crew works.
#[derive(Debug, Clone)]
pub struct CrewConfig {
    /// Every core's flow table.
    pub flows: FlowConfig,
    /// Time.
    pub time: TimeSource,
    /// What to do when a ring is full.
    pub when_full: WhenFull,
    /// Parcels that a ring between two cores holds.
    pub exchange_capacity: usize,
    /// Alerts that a core's ring holds.
    pub alert_capacity: usize,
    /// Workers measure one burst in so many ([`crate::profile`]) and leave what they measured in
    /// [`Shared::profiles`]; 0: they do not.
    pub profile_every: u32,
    /// Workers keep packets and give those of flows that alert.
    pub pcap: Option<PcapConfig>,
}

/// Why a crew cannot start or take a generation.
#[derive(Debug, Error)]
pub enum CrewError {
    /// A thread could not be started.
    #[error("cannot start a worker thread: {0}")]
    Spawn(#[from] std::io::Error),
    /// Hyperscan refused scratch space.
    #[error("cannot make scratch space for the rules' databases: {0}")]
    Scratch(#[from] hyperscan::ScratchError),
    /// A core has not taken the generations before.
    #[error("a worker has not taken the generations sent before: it is stuck or gone")]
    Stuck,
    /// A worker ended with an error.
    #[error("{0}")]
    Worker(String),
}

/// The workers, running.
#[derive(Debug)]
pub struct Crew {
    workers: Vec<Worker>,
    senders: Vec<Sender>,
    ledgers: Arc<[Arc<Counters>]>,
    shared: Arc<Shared>,
    generation: u64,
}

impl Crew {
    /// Starts a worker for every seat. They wait for the first [`Crew::publish`].
    pub fn start(
        eal: &'static Eal,
        seats: Vec<Seat>,
        config: &CrewConfig,
    ) -> Result<(Self, Collector), CrewError> {
        Self::start_watched(eal, seats, config, |_| None)
    }

    /// As [`Crew::start`], with someone to measure the workers that `watch` names one for.
    pub fn start_watched(
        eal: &'static Eal,
        seats: Vec<Seat>,
        config: &CrewConfig,
        mut watch: impl FnMut(usize) -> Option<Box<dyn Watch>>,
    ) -> Result<(Self, Collector), CrewError> {
        let count = seats.len();
        let ledgers: Arc<[Arc<Counters>]> = (0..count).map(|_| Arc::default()).collect();
        let shared = Arc::new(Shared::default());
        let mut crew = Self {
            workers: Vec::with_capacity(count),
            senders: Vec::with_capacity(count),
            ledgers: Arc::clone(&ledgers),
            shared: Arc::clone(&shared),
            generation: 0,
        };
        let mut lanes = Vec::with_capacity(count);
        let mut packets = config.pcap.as_ref().map(|_| PcapLanes::new());
        let exchanges = exchanges(count, config.exchange_capacity);
        for (number, (seat, exchange)) in seats.into_iter().zip(exchanges).enumerate() {
            let (producer, consumer) = RingBuffer::new(config.alert_capacity);
            let (sender, receiver) = mailbox();
            let core = CoreConfig {
                flows: config.flows.clone(),
                place: Place { worker: number, workers: count },
                spread: seat.spread,
                port: seat.port,
                profile_every: config.profile_every,
            };
            let worker_config = WorkerConfig {
                core,
                cpu: seat.cpu,
                idle: seat.idle,
                queue: seat.queue,
                link: seat.link,
                time: config.time.clone(),
                when_full: config.when_full,
                bypass: seat.bypass,
                supply: seat.supply,
                watch: watch(number),
            };
            let mut emitter = Emitter::new(producer, config.when_full, seat.port);
            if let (Some(lanes), Some(pcap)) = (&mut packets, &config.pcap) {
                emitter.record_packets(lanes.recorder(pcap, config.when_full, seat.port));
            }
            let worker = worker::spawn(
                eal,
                worker_config,
                receiver,
                exchange,
                emitter,
                Arc::clone(&shared),
                Arc::clone(&ledgers),
            );
            match worker {
                Ok(worker) => {
                    lanes.push((consumer, Arc::clone(&worker.counters)));
                    crew.workers.push(worker);
                    crew.senders.push(sender);
                }
                Err(error) => {
                    shared.stop.store(true, Ordering::Release);
                    return Err(error.into());
                }
            }
        }
        Ok((crew, Collector::new(lanes).with_packets(packets)))
    }

    /// Sends a generation to every core. All of them take it between two bursts.
    pub fn publish(&mut self, snapshot: &Arc<Snapshot>) -> Result<(), CrewError> {
        let first = snapshot.rules.scratch()?;
        let mut deliveries = Vec::with_capacity(self.senders.len());
        for _ in 1..self.senders.len() {
            let scratch = first.try_clone()?;
            deliveries.push(Box::new(Delivery { snapshot: Arc::clone(snapshot), scratch }));
        }
        deliveries.push(Box::new(Delivery { snapshot: Arc::clone(snapshot), scratch: first }));
        for sender in &mut self.senders {
            let Some(mut delivery) = deliveries.pop() else { break };
            let mut patience = 5000;
            while let Err(back) = sender.send(delivery) {
                if patience == 0 || self.shared.failed.load(Ordering::Acquire) {
                    return Err(CrewError::Stuck);
                }
                patience -= 1;
                delivery = back;
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        self.generation = snapshot.generation;
        Ok(())
    }

    /// Frees the generations that cores have returned.
    pub fn collect_returned(&mut self) -> usize {
        self.senders.iter_mut().map(Sender::collect).sum()
    }

    /// Does every core work by this generation (or a later one)?
    pub fn acknowledged(&self, generation: u64) -> bool {
        self.ledgers.iter().all(|ledger| ledger.generation.observe() >= generation)
    }

    /// The generation published last.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The ledgers, by worker.
    pub fn ledgers(&self) -> &Arc<[Arc<Counters>]> {
        &self.ledgers
    }

    /// What the workers share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Has a worker given up?
    pub fn has_failed(&self) -> bool {
        self.shared.failed.load(Ordering::Acquire)
    }

    /// Tells the workers to empty their queues and end their flows, and waits until they have.
    /// The collector must be polled meanwhile, by another thread, where alert rings make cores wait.
    pub fn stop(self) -> Result<(), CrewError> {
        self.shared.stop.store(true, Ordering::Release);
        let mut result = Ok(());
        for worker in self.workers {
            let ended = match worker.thread.join() {
                Ok(ended) => ended,
                Err(_) => Err("a worker died of a panic outside of its packets".to_owned()),
            };
            if let Err(text) = ended
                && result.is_ok()
            {
                result = Err(CrewError::Worker(text));
            }
        }
        result
    }
}
