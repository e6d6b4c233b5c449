//! Signatures made by hand for this folder's tests, so that these prove the compiler and not the
//! parser.

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::signature::{
    Action, AddressSet, Buffer, BufferTests, Content, FlowMatch, Kind, Origin, PortSet, Protocol,
    Signature, Test, Transform,
};

/// `alert <protocol> any any -> any any (sid:<sid>;)`
pub(crate) fn rule(protocol: &'static str, sid: u32) -> Signature {
    let ip_protocols: &[u8] = match protocol {
        "ip" => &[],
        "udp" => &[17],
        "icmp" => &[1, 58],
        "dns" => &[6, 17],
        _ => &[6],
    };
    Signature {
        gid: 1,
        sid,
        rev: 0,
        msg: "".into(),
        origin: Origin { file: "test.rules".into(), line: sid },
        text: "".into(),
        action: Action::Alert,
        protocol: Protocol {
            name: protocol,
            ip_protocols,
            ip_version: None,
            app: ["http", "dns", "tls"].into_iter().find(|&app| app == protocol),
            packet_only: protocol == "tcp-pkt",
            stream_only: protocol == "tcp-stream",
        },
        src: any_address(),
        src_port: any_port(),
        dst: any_address(),
        dst_port: any_port(),
        bidirectional: false,
        class: None,
        priority: 3,
        metadata: Arc::default(),
        references: Arc::default(),
        target: None,
        flow: FlowMatch::default(),
        header: Vec::new(),
        buffers: Vec::new(),
        app_protocol_tests: Vec::new(),
        events: Vec::new(),
        transaction_tests: Vec::new(),
        flowbit_tests: Vec::new(),
        flowbit_sets: Vec::new(),
        flowint_tests: Vec::new(),
        flowint_sets: Vec::new(),
        threshold: None,
        detection_filter: None,
        filters: None,
        extra: None,
        noalert: false,
        variables: 0,
        fast_pattern: None,
        kind: Kind::Packet,
        needs_packet: false,
        needs_stream: false,
        to_server: false,
        to_client: false,
        rulesets: 1,
    }
}

pub(crate) fn any_address() -> AddressSet {
    AddressSet { any: true, ..AddressSet::default() }
}

pub(crate) fn any_port() -> PortSet {
    PortSet { any: true, ..PortSet::default() }
}

pub(crate) fn ports(ranges: &[(u16, u16)]) -> PortSet {
    PortSet { any: false, ranges: ranges.into() }
}

/// IPv4 ranges, ascending and disjoint.
pub(crate) fn v4(ranges: &[(Ipv4Addr, Ipv4Addr)]) -> AddressSet {
    let ranges = ranges.iter().map(|&(low, high)| (low.into(), high.into())).collect();
    AddressSet { v4: ranges, ..AddressSet::default() }
}

/// A content without modifiers.
pub(crate) fn content(pattern: &[u8]) -> Content {
    Content::new(pattern.into())
}

impl Signature {
    /// Changes one thing and hands the signature on.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Adds a test to a buffer.
    pub(crate) fn test(self, buffer: Buffer, test: Test) -> Self {
        self.transformed(buffer, &[], test)
    }

    /// Adds a test to a transformed buffer.
    pub(crate) fn transformed(self, buffer: Buffer, transforms: &[Transform], test: Test) -> Self {
        self.with(|s| {
            let there =
                s.buffers.iter_mut().find(|b| b.buffer == buffer && b.transforms == transforms);
            match there {
                Some(tests) => tests.tests.push(test),
                None => s.buffers.push(BufferTests {
                    buffer,
                    transforms: transforms.into(),
                    tests: vec![test],
                }),
            }
        })
    }

    /// Adds a plain content.
    pub(crate) fn content(self, buffer: Buffer, pattern: &[u8]) -> Self {
        self.test(buffer, Test::Content(content(pattern)))
    }

    /// Adds a content with modifiers.
    pub(crate) fn content_with(
        self,
        buffer: Buffer,
        pattern: &[u8],
        change: impl FnOnce(&mut Content),
    ) -> Self {
        let mut content = content(pattern);
        change(&mut content);
        self.test(buffer, Test::Content(content))
    }
}
