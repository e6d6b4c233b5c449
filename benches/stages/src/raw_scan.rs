//! Hyperscan alone: one database of all fast patterns in raw payload, over every packet's payload.
//! What a sensor that did nothing but scan would take.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use hyperscan::{Database, MatchQueue, PaddedBuf, Pattern, Scratch};
use pollux::capture;
use wire::{Decoded, LinkType};

use crate::cpu;
use crate::load::Rules;

/// The database and the payloads of a capture, in memory.
#[derive(Debug)]
pub struct RawScan {
    database: Database,
    scratch: Scratch,
    queue: MatchQueue,
    bytes: PaddedBuf,
    payloads: Vec<Range<usize>>,
}

impl RawScan {
    /// Compiles the patterns and reads the capture. None if no rule has such a pattern.
    ///
    /// # Errors
    /// Hyperscan's and the capture's.
    pub fn new(rules: &Rules, capture: &Path) -> anyhow::Result<Option<Self>> {
        let patterns: Vec<Pattern> = (0..)
            .zip(rules.raw_patterns())
            .map(|(id, (bytes, nocase))| Pattern::literal(id, bytes).nocase(nocase))
            .collect();
        if patterns.is_empty() {
            return Ok(None);
        }
        let database = Database::compile(&patterns)?;
        let scratch = Scratch::for_databases([&database])?;
        let queue = MatchQueue::with_limit(database.pattern_count());
        let mut bytes = PaddedBuf::new();
        let mut payloads = Vec::new();
        let mut decoded = Decoded::EMPTY;
        let config = wire::Config { verify_checksums: false, ..wire::Config::default() };
        capture::read(capture, |frame| {
            if let Some(link) = LinkType::from_dlt(frame.link)
                && wire::decode_into(link, frame.data, &config, &mut decoded).is_ok()
            {
                let payload = decoded.payload_of(frame.data);
                if !payload.is_empty() {
                    let start = bytes.len();
                    bytes.extend_from_slice(payload);
                    payloads.push(start..bytes.len());
                }
            }
            true
        })?;
        Ok(Some(Self { database, scratch, queue, bytes, payloads }))
    }

    /// Scans all payloads: what it took, and how many matches there were.
    ///
    /// # Errors
    /// Hyperscan's.
    pub fn pass(&mut self) -> anyhow::Result<(Duration, u64)> {
        let Self { database, scratch, queue, bytes, payloads } = self;
        let start = cpu::of_thread()?;
        let mut matches = 0;
        for payload in payloads.iter() {
            let Some(data) = bytes.as_padded().get(payload.clone()) else { continue };
            queue.clear();
            database.scan(data, scratch, queue)?;
            matches += queue.len() as u64;
        }
        Ok((cpu::of_thread()?.saturating_sub(start), matches))
    }

    /// How many patterns there are.
    pub fn patterns(&self) -> usize {
        self.database.pattern_count()
    }

    /// Bytes that are scanned.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
}
