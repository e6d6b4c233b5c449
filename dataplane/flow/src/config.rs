//! How large a flow table is and how long flows live in it.

/// Time-outs of one protocol in seconds, by the state of the flow. A flow is timed out in the
/// second after its last packet's second plus this many, as Suricata counts (`flow-timeouts`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtocolTimeouts {
    /// Before the flow is established.
    pub new: u32,
    /// Once it is: a TCP handshake is complete, or both sides have sent.
    pub established: u32,
    /// After a TCP connection's end.
    pub closed: u32,
}

/// Time-outs of flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Of TCP.
    pub tcp: ProtocolTimeouts,
    /// Of UDP.
    pub udp: ProtocolTimeouts,
    /// Of ICMP and ICMPv6.
    pub icmp: ProtocolTimeouts,
    /// Of all other protocols.
    pub other: ProtocolTimeouts,
}

impl Default for Timeouts {
    /// Suricata's own: TCP 60, 600 and 60 seconds, all others 30 and 300.
    fn default() -> Self {
        let others = ProtocolTimeouts { new: 30, established: 300, closed: 0 };
        Self {
            tcp: ProtocolTimeouts { new: 60, established: 600, closed: 60 },
            udp: others,
            icmp: others,
            other: others,
        }
    }
}

impl Timeouts {
    /// Those of an IP protocol number.
    #[inline]
    pub const fn of(&self, protocol: u8) -> &ProtocolTimeouts {
        match protocol {
            6 => &self.tcp,
            17 => &self.udp,
            1 | 58 => &self.icmp,
            _ => &self.other,
        }
    }
}

/// Settings of a [`crate::FlowTable`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowConfig {
    /// The most flows at a time: a hard bound, from 1 to 2^30. Address space for all of
    /// them is reserved at the start, memory is used as flows come.
    pub capacity: usize,
    /// Seed of the hash. `None`: by chance, once per process, so that nobody who sends packets can
    /// choose what collides.
    pub hash_seed: Option<u64>,
    /// Seed of [`crate::Flow::id`]; the same for all workers that feed one output.
    pub id_seed: u64,
    /// When flows end by silence.
    pub timeouts: Timeouts,
    /// How many entries one call of [`crate::FlowTable::expire`] looks at where no packet waits for it: no longer
    /// than a packet may wait then.
    pub expire_budget: usize,
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self {
            capacity: 1 << 18,
            hash_seed: None,
            id_seed: 0,
            timeouts: Timeouts::default(),
            expire_budget: 64,
        }
    }
}
