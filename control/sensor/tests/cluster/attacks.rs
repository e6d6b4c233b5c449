//! An attacker who never stops: one connection after the other to a pod, each with a request that the
//! example's rules tell of, and a diary of what was sent when.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::live::{Net, attacks, write_capture};
use crate::common::{port, sid};

/// The rule that tells of each.
pub(crate) const SID: u32 = 9_000_001;

/// Connections of one go.
const AT_ONCE: u16 = 5;

/// Some connections, each known by the attacker's port.
#[derive(Debug, Clone)]
struct Go {
    ports: Range<u16>,
    begin: Instant,
    end: Instant,
}

/// The attacker.
pub(crate) struct Attacker {
    server: SocketAddr,
    ports: Range<u16>,
    diary: Mutex<Vec<Go>>,
    packets: Mutex<u64>,
    stop: AtomicBool,
}

impl Attacker {
    /// Of a pod, from these ports, which nobody else is to have: they tell the attacks.
    pub(crate) fn of(server: SocketAddr, ports: Range<u16>) -> Self {
        Self {
            server,
            ports,
            diary: Mutex::default(),
            packets: Mutex::default(),
            stop: AtomicBool::new(false),
        }
    }

    /// Attacks until told to stop.
    pub(crate) fn run(&self, net: &Net, folder: &Path) {
        let capture = folder.join(format!("attacks-{}.pcap", self.ports.start));
        for first in self.ports.clone().step_by(usize::from(AT_ONCE)) {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let ports = first..first + AT_ONCE;
            write_capture(&capture, &attacks(ports.clone(), self.server));
            let begin = Instant::now();
            let sent = net.send(&capture, 300);
            *self.packets.lock().unwrap_or_else(PoisonError::into_inner) += sent;
            let go = Go { ports, begin, end: Instant::now() };
            self.diary.lock().unwrap_or_else(PoisonError::into_inner).push(go);
        }
        panic!("out of ports");
    }

    /// Stops, after the go that is under way.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Packets sent so far.
    pub(crate) fn packets(&self) -> u64 {
        *self.packets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ports of all connections that were made wholly within a time.
    pub(crate) fn within(&self, time: &Range<Instant>) -> Vec<u16> {
        let diary = self.diary.lock().unwrap_or_else(PoisonError::into_inner);
        let inside = diary.iter().filter(|go| go.begin >= time.start && go.end <= time.end);
        inside.flat_map(|go| go.ports.clone()).collect()
    }
}

/// Stops an attacker when dropped, whatever fails.
pub(crate) struct Stopper<'a>(pub(crate) &'a Attacker);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// What is to hold of the alerts of one stretch of time.
#[derive(Debug)]
pub(crate) struct Stretch {
    /// What was so.
    pub(crate) name: &'static str,
    /// When it was so for certain.
    pub(crate) time: Range<Instant>,
    /// The pod that every attack's alert names; none: no attack is to be alerted of.
    pub(crate) pod: Option<&'static str>,
    /// The resources that it names.
    pub(crate) dpi: Value,
}

impl Stretch {
    /// Asserts that every attack in it has exactly one alert with the right names, or none has any.
    #[track_caller]
    pub(crate) fn check(&self, attacker: &Attacker, alerts: &[Value]) {
        let ports = attacker.within(&self.time);
        assert!(ports.len() >= 2 * usize::from(AT_ONCE), "{}: too few attacks to tell", self.name);
        for attack in &ports {
            let of = |alert: &&Value| sid(alert) == SID && port(alert, "src_port") == *attack;
            let found: Vec<&Value> = alerts.iter().filter(of).collect();
            match self.pod {
                None => assert!(found.is_empty(), "{}: {found:?}", self.name),
                Some(pod) => {
                    assert_eq!(found.len(), 1, "{}: port {attack}: {found:?}", self.name);
                    let alert = found[0];
                    assert_eq!(
                        alert["kubernetes"]["destination"]["pod"], pod,
                        "{}: {alert}",
                        self.name
                    );
                    assert_eq!(alert["dpi"], self.dpi, "{}: {alert}", self.name);
                }
            }
        }
        let pod = self.pod.unwrap_or("nobody");
        println!("   {}: {} attacks, alerts of {pod}: as it must be", self.name, ports.len());
    }
}

/// Asserts that no attack, whenever it was, has more than one alert.
#[track_caller]
pub(crate) fn none_doubled(alerts: &[Value]) {
    let mut ports: Vec<u16> =
        alerts.iter().filter(|it| sid(it) == SID).map(|it| port(it, "src_port")).collect();
    let all = ports.len();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), all, "an attack is told of twice");
}

/// Time for some goes.
pub(crate) const SOME_GOES: Duration = Duration::from_millis(1800);
