//! The packet path: decoder, flows, streams and defragmentation.

use engine::DuplicateMode;

use super::Key;
use super::value::{ANY, FRAGMENT_POLICIES, POLICIES, bytes, chunk, seconds};
use crate::config::{BypassMode, Checksums};

const DUPLICATES: &[(&str, DuplicateMode)] = &[
    ("off", DuplicateMode::Off),
    ("no", DuplicateMode::Off),
    ("auto", DuplicateMode::Auto),
    ("on", DuplicateMode::On),
    ("yes", DuplicateMode::On),
];

const URGENT: &[(&str, flow::UrgentPolicy)] = &[
    ("oob", flow::UrgentPolicy::OutOfBand),
    ("inline", flow::UrgentPolicy::Inline),
    ("drop", flow::UrgentPolicy::Drop),
    ("gap", flow::UrgentPolicy::Gap),
];

const CHECKS: &[(&str, Checksums)] = &[
    ("auto", Checksums::Auto),
    ("yes", Checksums::Yes),
    ("all", Checksums::Yes),
    ("no", Checksums::No),
    ("none", Checksums::No),
];

const BYPASSES: &[(&str, BypassMode)] = &[
    ("off", BypassMode::Off),
    ("no", BypassMode::Off),
    ("auto", BypassMode::Auto),
    ("on", BypassMode::On),
    ("yes", BypassMode::On),
];

pub(super) const KEYS: &[Key] = keys! {
    "decoder.checksum-checks", "whether checksums are looked at: yes, no, or auto (no where more than a tenth are wrong \
        at first); default: auto",
        |c, v| { c.checksums = v.choice(CHECKS)?; Ok(()) };
    "decoder.max-layers", "headers that are gone through in one packet; default: 16",
        |c, v| { c.decoder.max_layers = v.number(2..=64)?; Ok(()) };
    "decoder.vxlan.enabled", "look into VXLAN; default: true",
        |c, v| { c.decoder.vxlan = v.boolean()?; Ok(()) };
    "decoder.vxlan.ports", "UDP ports that carry VXLAN; default: [4789, 8472]",
        |c, v| { c.decoder.vxlan_ports = v.numbers(1..=65_535)?; Ok(()) };
    "decoder.vxlan-gpe.enabled", "look into VXLAN-GPE at UDP port 4790; default: true",
        |c, v| { c.decoder.vxlan_gpe = v.boolean()?; Ok(()) };
    "decoder.geneve.enabled", "look into GENEVE; default: true",
        |c, v| { c.decoder.geneve = v.boolean()?; Ok(()) };
    "decoder.geneve.ports", "UDP ports that carry GENEVE; default: [6081]",
        |c, v| { c.decoder.geneve_ports = v.numbers(1..=65_535)?; Ok(()) };
    "decoder.gre.enabled", "look into GRE; default: true",
        |c, v| { c.decoder.gre = v.boolean()?; Ok(()) };
    "decoder.erspan.enabled", "look into ERSPAN within GRE; default: true",
        |c, v| { c.decoder.erspan = v.boolean()?; Ok(()) };
    "decoder.ip-in-ip.enabled", "look into IP within IP; default: true",
        |c, v| { c.decoder.ip_in_ip = v.boolean()?; Ok(()) };
    "decoder.teredo.enabled", "look into Teredo; default: true",
        |c, v| { c.decoder.teredo = v.boolean()?; Ok(()) };
    "decoder.teredo.ports", "UDP ports of Teredo; default: [3544]",
        |c, v| { c.decoder.teredo_ports = v.numbers(1..=65_535)?; Ok(()) };
    "decoder.wireguard.ports", "UDP ports at which WireGuard is recognised, to be told as not inspected; default: \
        [51820, 51821]",
        |c, v| { c.decoder.wireguard_ports = v.numbers(1..=65_535)?; Ok(()) };
    "decoder.l2tp.enabled", "look into L2TP at UDP port 1701; default: true",
        |c, v| { c.decoder.l2tp = v.boolean()?; Ok(()) };
    "decoder.tzsp.enabled", "look into TZSP; default: true",
        |c, v| { c.decoder.tzsp = v.boolean()?; Ok(()) };
    "decoder.tzsp.ports", "UDP ports that carry TZSP; default: [37008]",
        |c, v| { c.decoder.tzsp_ports = v.numbers(1..=65_535)?; Ok(()) };
    "decoder.duplicates", "packets that a mirror copies twice: off, auto (dropped where at least one in twenty is one) \
        or on (dropped); default: auto live, off in a replay",
        |c, v| { c.duplicates = Some(v.choice(DUPLICATES)?); Ok(()) };
    "decoder.duplicate-window", "how long after the first the second may come; default: 10ms",
        |c, v| { c.duplicate_window = v.duration()?; Ok(()) };
    "decoder.reorder-window", "how long a TCP packet that comes before what it answers, as where a mirror's two \
        directions are not in step, waits for that; 0s: it does not; default: 250ms",
        |c, v| { c.reorder_window = v.duration()?; Ok(()) };

    "overload.shed", "where a core cannot keep up, leave uninspected what long flows carry beyond elephant-depth, then \
        whole new flows, each counted, before the port's queue overflows; default: true",
        |c, v| { c.overload.shed = v.boolean()?; Ok(()) };
    "overload.elephant-depth", "bytes of a flow, both directions together, after which it is long; default: 1mb",
        |c, v| { c.overload.elephant_depth = v.size(ANY)?; Ok(()) };
    "overload.high-watermark", "percent of a core's fullest queue from which on long flows are shed, and new flows from \
        half of the way to full; default: 50",
        |c, v| { c.overload.high_watermark = 10 * v.number::<u16>(50..=95)?; Ok(()) };
    "overload.low-watermark", "percent of it at which less is shed again; default: 25",
        |c, v| { c.overload.low_watermark = 10 * v.number::<u16>(1..=49)?; Ok(()) };
    "overload.bypass", "long flows that are shed are left to the NIC to drop (rte_flow), so that they need not be \
        received: off, auto (on ports that can) or on (a port that cannot keeps the sensor from starting); default: off",
        |c, v| { c.bypass.mode = v.choice(BYPASSES)?; Ok(()) };
    "overload.bypass-flows", "the most flows that NICs drop at a time; default: 1024",
        |c, v| { c.bypass.flows = v.number(1..=65_536)?; Ok(()) };
    "overload.bypass-life", "how long a flow is dropped by the NIC until it is received again; default: 60s",
        |c, v| {
            match v.duration()? {
                life if life.is_zero() => Err("expected more than no time".to_owned()),
                life => {
                    c.bypass.life = life;
                    Ok(())
                }
            }
        };

    "flows.max", "the most flows of a core; default: 262144",
        |c, v| { c.flows.capacity = v.number(1..=1 << 31)?; Ok(()) };
    "flows.vlan.use-for-tracking", "VLAN ids tell flows apart; default: true",
        |c, v| { c.vlan_tracking = v.boolean()?; Ok(()) };
    "flows.timeouts.tcp.new", "seconds of silence that end a TCP flow in its handshake; default: 60",
        |c, v| { c.flows.timeouts.tcp.new = seconds(v)?; Ok(()) };
    "flows.timeouts.tcp.established", "the same, established; default: 600",
        |c, v| { c.flows.timeouts.tcp.established = seconds(v)?; Ok(()) };
    "flows.timeouts.tcp.closed", "the same, closed; default: 60",
        |c, v| { c.flows.timeouts.tcp.closed = seconds(v)?; Ok(()) };
    "flows.timeouts.udp.new", "seconds of silence that end a UDP flow of one side; default: 30",
        |c, v| { c.flows.timeouts.udp.new = seconds(v)?; Ok(()) };
    "flows.timeouts.udp.established", "the same, of both sides; default: 300",
        |c, v| { c.flows.timeouts.udp.established = seconds(v)?; Ok(()) };
    "flows.timeouts.icmp.new", "seconds of silence that end an ICMP flow of one side; default: 30",
        |c, v| { c.flows.timeouts.icmp.new = seconds(v)?; Ok(()) };
    "flows.timeouts.icmp.established", "the same, of both sides; default: 300",
        |c, v| { c.flows.timeouts.icmp.established = seconds(v)?; Ok(()) };
    "flows.timeouts.default.new", "seconds of silence that end another flow of one side; default: 30",
        |c, v| { c.flows.timeouts.other.new = seconds(v)?; Ok(()) };
    "flows.timeouts.default.established", "the same, of both sides; default: 300",
        |c, v| { c.flows.timeouts.other.established = seconds(v)?; Ok(()) };
    "flows.timeouts.default.closed", "the same, closed; default: 0",
        |c, v| { c.flows.timeouts.other.closed = seconds(v)?; Ok(()) };

    "streams.midstream", "take up TCP connections whose beginning was not seen; default: false",
        |c, v| { c.streams.midstream = v.boolean()?; Ok(()) };
    "streams.async-oneside", "take up TCP connections of which one side is seen; default: false",
        |c, v| { c.streams.async_oneside = v.boolean()?; Ok(()) };
    "streams.checksum-validation", "false: no checksum is looked at; default: true",
        |c, v| { c.checksum_validation = v.boolean()?; Ok(()) };
    "streams.urgent-policy", "what becomes of urgent data: oob (one byte is no part of the stream), inline, drop or gap; \
        default: inline",
        |c, v| { c.streams.urgent = v.choice(URGENT)?; Ok(()) };
    "streams.policy", "whose bytes count where segments overlap: bsd, windows, linux, \
        old-linux, solaris, first or last; default: bsd",
        |c, v| { c.streams.policy = v.choice(POLICIES)?; Ok(()) };
    "streams.max-synack-queued", "different SYN/ACKs that are kept until one counts; default: 5",
        |c, v| { c.streams.max_handshakes = v.number(0..=255)?; Ok(()) };
    "streams.reassembly.memcap", "bytes that a core keeps of TCP payload; default: 256mb",
        |c, v| { c.streams.memcap = v.size((1 << 16)..=(1 << 40))?; Ok(()) };
    "streams.reassembly.depth", "bytes of a direction that are put together, 0: all; default: 1mb",
        |c, v| { c.streams.depth = v.size(ANY)?; Ok(()) };
    "streams.reassembly.max-segments", "pieces of a direction that wait for another; default: 1024",
        |c, v| { c.streams.max_segments = v.number(1..=1 << 20)?; Ok(()) };
    "streams.reassembly.toserver-chunk-size", "new bytes to the server worth a look; default: 2560",
        |c, v| { c.streams.toserver_chunk = chunk(v)?; Ok(()) };
    "streams.reassembly.toclient-chunk-size", "new bytes to the client worth a look; default: 2560",
        |c, v| { c.streams.toclient_chunk = chunk(v)?; Ok(()) };
    "streams.reassembly.randomize-chunk-size", "true: both vary by connection and place; default: true",
        |c, v| { c.randomize_chunk_size = v.boolean()?; Ok(()) };
    "streams.reassembly.randomize-chunk-range", "by how many percent of them at most; default: 10",
        |c, v| { c.streams.chunk_range = v.number(0..=100)?; Ok(()) };

    "defrag.memcap", "bytes that a core keeps of fragments; default: 32mb",
        |c, v| { c.defrag.memcap = bytes(v, (1 << 16)..=(1 << 40))?; Ok(()) };
    "defrag.trackers", "datagrams that a core puts together at a time; default: 16384",
        |c, v| { c.defrag.trackers = v.number(1..=1 << 24)?; Ok(()) };
    "defrag.max-fragments", "pieces that a datagram may be in; default: 2048",
        |c, v| { c.defrag.max_fragments = v.number(1..=1 << 16)?; Ok(()) };
    "defrag.timeout", "seconds from a datagram's first fragment to its last; default: 60",
        |c, v| { c.defrag.timeout = v.number(1..=3600)?; Ok(()) };
    "defrag.policy", "whose bytes count where fragments overlap: bsd, bsd-right, linux, windows, first or last; default: bsd",
        |c, v| { c.defrag.policy = v.choice(FRAGMENT_POLICIES)?; Ok(()) };
};
