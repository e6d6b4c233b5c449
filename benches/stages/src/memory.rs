//! What a replay holds at the most, in a process of its own: its peak must not follow the length of
//! the capture. The longer capture is the same one again and again, each time later, and comes
//! through a pipe.

use std::fs::OpenOptions;
use std::io::BufWriter;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use dpdk::Fresh;
use engine::collect::Rest;
use engine::emit::WhenFull;
use engine::scope::Scope;
use engine::worker::TimeSource;
use engine::{Crew, CrewConfig, Seat, Settings, Snapshot};
use flow::FlowConfig;
use nix::sys::stat::Mode;
use pollux::capture;
use pollux::feeder::{Checksums, Feeder, Spread};
use serde::{Deserialize, Serialize};

use crate::load::RuleSource;
use crate::{cpu, port};

/// What a replay held.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Peak {
    /// How often the capture was repeated.
    pub times: u32,
    /// Packets in all.
    pub packets: u64,
    /// Bytes held once the rules were loaded and the worker stood ready.
    pub ready: u64,
    /// The most that was held from then on.
    pub peak: u64,
}

/// Replays the capture, that many times as long, with the sensor's own feeder, and tells what this process held.
/// To be called in a process that has done nothing else.
///
/// # Errors
/// The rules', DPDK's, the capture's.
pub fn measure_here(source: &RuleSource, capture: &Path, times: u32) -> anyhow::Result<Peak> {
    let rules = source.load()?;
    let eal = port::eal()?;
    let opened = port::open(eal)?;
    let clock = Arc::new(AtomicU64::new(0));
    let everything = Scope::everything();
    let snapshot = Arc::new(Snapshot::new(1, everything, rules.ruleset, Settings::default()));
    let seat = Seat::new(Some(opened.queue), 0);
    let config = CrewConfig {
        flows: FlowConfig::default(),
        time: TimeSource::Packets(Arc::clone(&clock), opened.meta),
        when_full: WhenFull::Wait,
        exchange_capacity: 64,
        alert_capacity: 1 << 14,
        profile_every: 0,
        pcap: None,
    };
    let (mut crew, mut collector) = Crew::start(eal, vec![seat], &config)?;
    crew.publish(&snapshot)?;
    while !crew.acknowledged(1) && !crew.has_failed() {
        std::thread::sleep(Duration::from_millis(1));
    }
    cpu::forget_peak()?;
    let ready = cpu::peak_rss();
    let done = AtomicBool::new(false);
    let folder = tempfile::tempdir()?;
    let pipe = folder.path().join("long.pcap");
    nix::unistd::mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let fed = std::thread::scope(|scope| {
        let writer = scope.spawn(|| lengthen(capture, times, &pipe));
        scope.spawn(|| {
            let mut rest = Rest::default();
            while !done.load(Ordering::Acquire) {
                if let Some(rest) = rest.after(collector.poll(drop)) {
                    std::thread::sleep(rest);
                }
            }
            collector.finish(drop);
        });
        let feeder = Feeder {
            rings: vec![opened.ring],
            fresh: Fresh::new(opened.pool.clone()),
            meta: opened.meta,
            clock: Arc::clone(&clock),
            shared: Some(Arc::clone(crew.shared())),
            checksums: Checksums::Ignore,
            spread: Spread::Inner,
            decoder: wire::Config::default(),
        };
        let (fed, result) = feeder.feed(std::slice::from_ref(&pipe), &|_| ());
        let stopped = crew.stop();
        done.store(true, Ordering::Release);
        let written =
            writer.join().map_err(|_| anyhow::anyhow!("the pipe's writer panicked"))??;
        result?;
        stopped?;
        anyhow::ensure!(fed.packets == written, "{} of {written} packets came", fed.packets);
        anyhow::Ok(fed)
    })?;
    Ok(Peak { times, packets: fed.packets, ready, peak: cpu::peak_rss() })
}

/// Writes the capture so many times, each time beginning a second after the last one's end. Says how
/// many packets that were.
fn lengthen(capture: &Path, times: u32, to: &Path) -> anyhow::Result<u64> {
    let pipe = OpenOptions::new().write(true).open(to)?;
    let mut pcap = traffic::PcapWriter::new(BufWriter::new(pipe))?;
    let mut result = Ok(());
    let mut start = None;
    let mut latest = 0;
    for turn in 0..times {
        let begin = latest + 1_000_000;
        capture::read(capture, |frame| {
            // Microseconds, and Ethernet, is what the writer knows.
            let own = frame.timestamp / 1000;
            let start = *start.get_or_insert(own);
            let time = if turn == 0 { own } else { (own + begin).saturating_sub(start) };
            latest = latest.max(time);
            result = if frame.link == 1 {
                pcap.write(time, frame.data)
            } else {
                Err(std::io::Error::other("the capture is not of Ethernet"))
            };
            result.is_ok()
        })?;
        std::mem::replace(&mut result, Ok(()))?;
    }
    let packets = pcap.packets();
    pcap.finish()?;
    Ok(packets)
}

/// The same in a process of its own, by this program's option `--measure-memory`.
///
/// # Errors
/// What the other process says.
pub fn measure(source: &RuleSource, capture: &Path, times: u32) -> anyhow::Result<Peak> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(program);
    command.arg("--measure-memory").arg(times.to_string());
    command.arg("--capture").arg(capture).arg("--cache").arg(&source.cache);
    if let Some(home) = &source.home_net {
        command.arg("--home-net").arg(home);
    }
    command.arg("--rules").args(&source.paths);
    let told = command.output()?;
    if !told.status.success() {
        bail!("measuring memory failed: {}", String::from_utf8_lossy(&told.stderr).trim());
    }
    let text = String::from_utf8_lossy(&told.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("an answer was expected, not {last:?}"))
}
