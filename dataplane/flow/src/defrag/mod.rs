//! IP defragmentation: datagrams of both versions put together from their fragments, within bounds.

mod policy;
mod table;
#[cfg(test)]
mod table_tests;
mod tracker;
mod whole;

pub use policy::FragmentPolicy;
pub use table::{DefragStats, Defragmenter, OpenFates};

/// Settings of a [`Defragmenter`] (Suricata's `defrag` section; the defaults follow it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefragConfig {
    /// Datagrams that can be in the making at a time.
    pub trackers: usize,
    /// Bytes that one core keeps of fragments.
    pub memcap: usize,
    /// Pieces that one datagram may be in.
    pub max_fragments: usize,
    /// Seconds from the first fragment to the last.
    pub timeout: u32,
    /// Whose bytes count where fragments overlap.
    pub policy: FragmentPolicy,
    /// Fragments in different VLANs belong to different datagrams.
    pub use_vlan: bool,
}

impl Default for DefragConfig {
    fn default() -> Self {
        Self {
            trackers: 1 << 14,
            memcap: 32 << 20,
            max_fragments: 2048,
            timeout: 60,
            policy: FragmentPolicy::Bsd,
            use_vlan: true,
        }
    }
}

/// What became of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub enum DefragOutcome<'a> {
    /// Others are missing.
    Pending,
    /// It was the last that was missing.
    Complete {
        /// The datagram, as if it had never been in fragments: the first fragment's header with
        /// length, checksum and protocol set right, and everything after it.
        datagram: &'a [u8],
        /// How many fragments it came in, this one counted.
        fragments: u32,
    },
    /// There is no memory for it.
    MemcapDrop,
    /// It would make a datagram longer than 65,535 bytes.
    TooLarge,
    /// It contradicts what others say of the datagram's end.
    Inconsistent,
    /// The datagram is in too many pieces.
    TooMany,
    /// It is none, or not within the packet.
    NotAFragment,
}
