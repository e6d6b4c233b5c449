//! Signatures, generations and alerts made by hand for this folder's tests.

use std::net::IpAddr;
use std::sync::Arc;

use api::{DeepPacketInspection, Endpoint, ScopeTable};
use app::{AppProto, DnsQuestion, DnsSummary, TxSummary};
use engine::alert::{Alert, FlowSummary, OrderKey, Source};
use engine::scope::{Address, Hits, Scope};
use engine::{Settings, Snapshot};
use rules::ruleset::Ruleset;
use rules::signature::{
    Action, AddressSet, Class, FlowMatch, Kind, Origin, PortSet, Protocol, Signature,
};
use wire::{Direction, LinkType, Nanos};

/// 2023-11-14T22:13:24.650161
pub(crate) const TIME: Nanos = 1_700_000_004_650_161_000;

/// `alert udp any any -> any any (sid:<sid>;)`
pub(crate) fn signature(sid: u32) -> Signature {
    Signature {
        gid: 1,
        sid,
        rev: 7,
        msg: "ET DNS Query to a .tk domain - Likely Hostile".into(),
        origin: Origin { file: "test.rules".into(), line: sid },
        text: "".into(),
        action: Action::Alert,
        protocol: Protocol {
            name: "udp",
            ip_protocols: &[17],
            ip_version: None,
            app: None,
            packet_only: false,
            stream_only: false,
        },
        src: AddressSet { any: true, ..AddressSet::default() },
        src_port: PortSet { any: true, ..PortSet::default() },
        dst: AddressSet { any: true, ..AddressSet::default() },
        dst_port: PortSet { any: true, ..PortSet::default() },
        bidirectional: false,
        class: Some(Class {
            name: "bad-unknown".into(),
            description: "Potentially Bad Traffic".into(),
        }),
        priority: 2,
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
        needs_packet: true,
        needs_stream: false,
        to_server: true,
        to_client: true,
        rulesets: 1,
    }
}

/// A generation of these signatures; the first is number 0 if no other sorts before it.
pub(crate) fn snapshot(generation: u64, scope: Scope, signatures: Vec<Signature>) -> Arc<Snapshot> {
    let (rules, _) = Ruleset::compile(signatures, None, 1, &|_| {}).expect("they compile");
    Arc::new(Snapshot::new(generation, scope, Arc::new(rules), Settings::default()))
}

/// A DNS query from 10.0.10.1 to 10.0.10.2, as its alert would be with the first signature.
pub(crate) fn alert(snapshot: &Arc<Snapshot>) -> Alert {
    let (src, dst) = (address("10.0.10.1"), address("10.0.10.2"));
    Alert {
        key: OrderKey { clock: TIME, class: 1, order: 197, index: 0 },
        snapshot: Arc::clone(snapshot),
        signature: 0,
        tagged: false,
        pcap: None,
        timestamp: TIME,
        packet_number: 197,
        port: 0,
        hits: Hits::default(),
        src,
        dst,
        src_port: Some(51954),
        dst_port: Some(53),
        protocol: Some(17),
        icmp: None,
        vlan: Vec::new(),
        tunnel: None,
        source: Source::Wire,
        tx_id: Some(0),
        app_proto: Some(AppProto::Dns),
        direction: Some(Direction::ToServer),
        summary: Some(Box::new(TxSummary::Dns(DnsSummary {
            id: 2182,
            questions: vec![DnsQuestion {
                rrname: "whois.dot.tk".into(),
                rrtype: 1,
                rrtype_name: "A".into(),
            }],
            ..DnsSummary::default()
        }))),
        vars: None,
        forwarded: None,
        files: Vec::new(),
        flow: Some(Box::new(FlowSummary {
            id: 1_385_047_884_398_743,
            start: TIME,
            packets: [1, 0],
            bytes: [72, 0],
            client: (src, 51954),
            server: (dst, 53),
        })),
        stream: false,
        payload: None,
        packet: None,
    }
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A pod of namespace `shop`.
pub(crate) fn pod(name: &str, addresses: &[&str]) -> Endpoint {
    Endpoint {
        namespace: "shop".into(),
        pod: name.into(),
        node: "node-1".into(),
        service_account: "default".into(),
        addresses: addresses.iter().map(|text| address(text)).collect(),
        labels: [("app".to_owned(), name.to_owned())].into(),
    }
}

/// The table of these pods under two resources: `shop/all`, and `shop/web` for the pod `web`.
pub(crate) fn table(pods: &[Endpoint]) -> Arc<ScopeTable> {
    let resources = [
        DeepPacketInspection::new("shop", "web", "app == 'web'"),
        DeepPacketInspection::new("shop", "all", ""),
    ];
    Arc::new(ScopeTable::build(&resources, pods))
}

/// The scope that a generation with this table has.
pub(crate) fn scope(table: &ScopeTable) -> Scope {
    let mut addresses: Vec<_> = table.by_address.iter().collect();
    addresses.sort();
    let entries = addresses.into_iter().map(|(&address, endpoints)| {
        let mut resources: Vec<u32> =
            endpoints.iter().flat_map(|&it| table.resources_of(it).iter().copied()).collect();
        resources.sort_unstable();
        resources.dedup();
        (address, Address { endpoints: endpoints.clone(), resources, rulesets: 1 })
    });
    Scope::of(entries, 1)
}

/// What the scope finds for a UDP packet; `outer` is the header of an IP-in-IP packet around it.
pub(crate) fn hits(scope: &Scope, src: &str, dst: &str, outer: Option<(&str, &str)>) -> Hits {
    let ipv4 = |protocol: u8, src: &str, dst: &str, payload: &[u8]| {
        let length = (20 + payload.len()) as u16;
        let mut packet = vec![0x45, 0];
        packet.extend(length.to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
        for text in [src, dst] {
            let IpAddr::V4(address) = address(text) else { panic!("no IPv4 address: {text}") };
            packet.extend(address.octets());
        }
        packet.extend(payload);
        packet
    };
    let mut packet = ipv4(17, src, dst, &[0, 1, 0, 2, 0, 8, 0, 0]);
    if let Some((src, dst)) = outer {
        packet = ipv4(4, src, dst, &packet);
    }
    let config = wire::Config { verify_checksums: false, ..wire::Config::default() };
    scope.lookup(&wire::decode(LinkType::RawIp, &packet, &config).expect("a packet"))
}
