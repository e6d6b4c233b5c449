//! Settings of TCP tracking and reassembly.

use super::policy::Policy;
use super::urgent::UrgentPolicy;

/// Settings of TCP tracking and reassembly (Suricata's `stream` section; the defaults are its).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamConfig {
    /// Take up connections whose beginning was not seen.
    pub midstream: bool,
    /// Take up connections of which one side only is seen.
    pub async_oneside: bool,
    /// Bytes of each direction that are reassembled; 0: all.
    pub depth: u64,
    /// Bytes that one core buffers: the cap for [`super::Memory::new`].
    pub memcap: u64,
    /// Pieces of one direction that wait for what is missing before them.
    pub max_segments: usize,
    /// Whose bytes count where segments overlap.
    pub policy: Policy,
    /// What becomes of urgent data.
    pub urgent: UrgentPolicy,
    /// New bytes to the server that are worth a raw inspection.
    pub toserver_chunk: u32,
    /// New bytes to the client that are worth a raw inspection.
    pub toclient_chunk: u32,
    /// Inspected bytes that are kept before the new ones, for patterns that straddle.
    pub raw_overlap: u32,
    /// Different SYN/ACKs (or SYNs) that are kept until it shows which one counts.
    pub max_handshakes: usize,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            midstream: false,
            async_oneside: false,
            depth: 1 << 20,
            memcap: 256 << 20,
            max_segments: 1024,
            policy: Policy::Bsd,
            urgent: UrgentPolicy::Inline,
            toserver_chunk: 2560,
            toclient_chunk: 2560,
            raw_overlap: 512,
            max_handshakes: 5,
        }
    }
}
