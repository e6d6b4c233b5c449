//! The table of all names of settings: what each takes, and where it goes.

use std::path::PathBuf;

use engine::DuplicateMode;

use super::value::Wrong;
use super::{
    CacheSetting, Checksums, Config, Cores, DriverSetting, Hugepages, IdleSetting, LogLevel, Place,
    PortConfig, RuleSetConfig, SpreadSetting, StatusWriter, Value,
};

/// A setting.
pub struct Key<T = Config> {
    /// Its name, from the top: `streams.reassembly.depth`.
    pub name: &'static str,
    /// What it is about, with unit and default.
    pub about: &'static str,
    /// Checks a value and puts it in its place.
    pub set: fn(&mut T, &Value) -> Result<(), Wrong>,
}

impl<T> std::fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! keys {
    ($($name:literal, $about:literal, $set:expr;)*) => {
        &[$(Key { name: $name, about: $about, set: $set }),*]
    };
}

/// Sizes and numbers without a bound of their own.
const ANY: std::ops::RangeInclusive<u64> = 0..=(1 << 48);
/// What a look at a body may take.
const WINDOW: std::ops::RangeInclusive<u64> = 0..=1 << 24;

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

/// The settings with one place each.
pub const KEYS: &[Key] = keys! {
    "sensor.node", "name of the Kubernetes Node; default: $NODE_NAME, else the host's name",
        |c, v| { c.sensor.node = Some(v.text()?.to_owned()); Ok(()) };
    "sensor.log-level", "error, warn, info, debug or trace; default: info",
        |c, v| { c.sensor.log_level = v.choice(LogLevel::NAMES)?; Ok(()) };
    "sensor.grace", "how long an alert waits for news of its endpoints; default: 1s",
        |c, v| { c.sensor.grace = v.duration()?; Ok(()) };
    "sensor.profile-every", "measure one burst in so many, and write profile.json at the end; default: 0, none",
        |c, v| { c.sensor.profile_every = v.number(0..=1 << 20)?; Ok(()) };

    "source.directory", "directory of Kubernetes documents; default: none, all traffic is in scope",
        |c, v| { c.source.directory = Some(path(v)?); Ok(()) };
    "source.kubernetes", "read resources and endpoints from a cluster; default: false",
        |c, v| { c.source.kubernetes = v.boolean()?; Ok(()) };

    "kubernetes.kubeconfig", "the kubeconfig; default: the pod's service account, else $KUBECONFIG",
        |c, v| { c.kubernetes.kubeconfig = Some(path(v)?); Ok(()) };
    "kubernetes.context", "a context of the kubeconfig; default: the current one",
        |c, v| { c.kubernetes.context = Some(v.text()?.to_owned()); Ok(()) };
    "kubernetes.namespace", "the sensor's own namespace; default: the service account's",
        |c, v| { c.kubernetes.namespace = Some(v.text()?.to_owned()); Ok(()) };
    "kubernetes.nodes", "nodes whose pods are in view; default: all of them",
        |c, v| { c.kubernetes.nodes = v.texts()?; Ok(()) };
    "kubernetes.node-selector", "label selector of the nodes whose pods are in view; default: none, see nodes",
        |c, v| { c.kubernetes.node_selector = Some(v.text()?.to_owned()); Ok(()) };
    "kubernetes.status", "who writes the status of resources: each sensor its own entries, one that is elected all, \
        or nobody (off); default: each",
        |c, v| {
            c.kubernetes.status = match v {
                Value::Boolean(false) => StatusWriter::Off,
                v => v.choice(&[
                    ("each", StatusWriter::Each),
                    ("elected", StatusWriter::Elected),
                    ("off", StatusWriter::Off),
                ])?,
            };
            Ok(())
        };
    "kubernetes.status-rate", "the most writes of status in a second; default: 50",
        |c, v| { c.kubernetes.status_rate = v.number(1..=10_000)?; Ok(()) };
    "kubernetes.status-interval", "time between two writes of a resource's status at the least; default: 1s",
        |c, v| { c.kubernetes.status_interval = v.duration()?; Ok(()) };
    "kubernetes.lease", "hold a lease, by which others see that the sensor lives; default: true",
        |c, v| { c.kubernetes.lease = v.boolean()?; Ok(()) };
    "kubernetes.lease-duration", "how long a lease holds without being renewed; default: 30s",
        |c, v| {
            let duration = v.duration()?;
            if duration < std::time::Duration::from_secs(3) {
                return Err("expected at least 3s".to_owned());
            }
            c.kubernetes.lease_duration = duration;
            Ok(())
        };

    "metrics.listen", "address and port of /healthz, /readyz and /metrics, such as 0.0.0.0:9464; default: none",
        |c, v| {
            let text = v.text()?;
            if text == "none" {
                c.metrics.listen = None;
                return Ok(());
            }
            let address = text.parse().map_err(|_| {
                format!("expected an address and a port, such as 127.0.0.1:9464, found {text:?}")
            })?;
            c.metrics.listen = Some(address);
            Ok(())
        };

    "rules.paths", "rule files, directories and glob patterns",
        |c, v| { c.rules.paths = v.texts()?; Ok(()) };
    "rules.cache", "directory of compiled rules, \"auto\" or \"off\"; default: auto",
        |c, v| {
            c.rules.cache = match v {
                Value::Boolean(false) => CacheSetting::Off,
                _ => match v.text()? {
                    "auto" => CacheSetting::Auto,
                    "off" | "no" | "none" => CacheSetting::Off,
                    directory => CacheSetting::Directory(PathBuf::from(directory)),
                },
            };
            Ok(())
        };
    "rules.classification", "classification file; default: classification.config beside the rules",
        |c, v| { c.rules.classification = Some(path(v)?); Ok(()) };
    "rules.reputation.categories", "file of categories of reputation; default: none, rules with iprep are refused",
        |c, v| { c.rules.reputation_categories = Some(path(v)?); Ok(()) };
    "rules.reputation.directory", "where files of reputation are looked for; default: the working directory",
        |c, v| { c.rules.reputation_directory = Some(path(v)?); Ok(()) };
    "rules.reputation.files", "files of reputation, for iprep",
        |c, v| { c.rules.reputation_files.extend(v.texts()?); Ok(()) };
    "rules.threshold-file", "file of suppressions, thresholds and rate filters; default: none, rules have their own thresholds",
        |c, v| { c.rules.threshold_file = Some(path(v)?); Ok(()) };
    "rules.geoip-database", "MaxMind database of countries; default: none, rules with geoip are refused",
        |c, v| { c.rules.geoip_database = Some(path(v)?); Ok(()) };
    "rules.data-directory", "the one directory in which rules may have data sets saved; default: none, such rules are refused",
        |c, v| { c.rules.data_directory = Some(path(v)?); Ok(()) };
    "rules.threads", "threads that compile rules; default: one for each core",
        |c, v| { c.rules.threads = Some(v.number(1..=1024)?); Ok(()) };

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

    "protocols.http.meta-field-limit", "longest line or header field in bytes; default: 18432",
        |c, v| { c.protocols.http_field = bytes(v, 128..=1 << 24)?; Ok(()) };
    "protocols.http.headers-limit", "most header fields in a message; default: 1024",
        |c, v| { c.protocols.http_headers = v.number(1..=65_535)?; Ok(()) };
    "protocols.http.header-bytes", "bytes of header fields kept of a message; default: 64kb",
        |c, v| { c.protocols.http_header_bytes = bytes(v, 1024..=1 << 24)?; Ok(()) };
    "protocols.http.max-tx", "most transactions of a flow at a time; default: 512",
        |c, v| { c.protocols.http_transactions = v.number(1..=1 << 20)?; Ok(()) };
    "protocols.http.request-body-limit", "bytes of a request's body that rules see, 0: all; default: 100kb",
        |c, v| { c.protocols.http_request_body.limit = v.size(ANY)?; Ok(()) };
    "protocols.http.response-body-limit", "decoded bytes of a response's body that rules see, 0: all; default: 100kb",
        |c, v| { c.protocols.http_response_body.limit = v.size(ANY)?; Ok(()) };
    "protocols.http.request-body-minimal-inspect-size", "bytes of a request's body that the first look waits for; default: 32kb",
        |c, v| { c.protocols.http_request_body.min_inspect = v.size(WINDOW)?; Ok(()) };
    "protocols.http.request-body-inspect-window", "bytes of a request's body that later looks are at; default: 4kb",
        |c, v| { c.protocols.http_request_body.window = v.size(WINDOW)?; Ok(()) };
    "protocols.http.response-body-minimal-inspect-size", "bytes of a response's body that the first look waits for; default: 40kb",
        |c, v| { c.protocols.http_response_body.min_inspect = v.size(WINDOW)?; Ok(()) };
    "protocols.http.response-body-inspect-window", "bytes of a response's body that later looks are at; default: 16kb",
        |c, v| { c.protocols.http_response_body.window = v.size(WINDOW)?; Ok(()) };
    "protocols.http.response-body-decompress-layer-limit", "content codings that are undone, 0: all; default: 2",
        |c, v| { c.protocols.http_layers = v.number(0..=64)?; Ok(()) };
    "protocols.http.compression-bomb-limit", "decoded bytes after which a body that grows absurdly is given up; default: 1mb",
        |c, v| { c.protocols.http_bomb_limit = v.size(ANY)?; Ok(()) };
    "protocols.http.space-in-uri", "a URI may hold spaces; default: false",
        |c, v| { c.protocols.http_space_in_uri = v.boolean()?; Ok(()) };
    "protocols.dns.max-tx", "most transactions of a flow at a time; default: 32",
        |c, v| { c.protocols.dns_transactions = v.number(1..=1 << 20)?; Ok(()) };
    "protocols.dns.name-bytes", "bytes of names kept of a message; default: 64kb",
        |c, v| { c.protocols.dns_name_bytes = bytes(v, 256..=1 << 24)?; Ok(()) };
    "protocols.tls.handshake-bytes", "longest handshake message that is read; default: 64kb",
        |c, v| { c.protocols.tls_handshake = bytes(v, 512..=1 << 24)?; Ok(()) };

    "detection.guess-applayer-tx", "a match by packet or stream names the transaction, if only one is open; default: false",
        |c, v| { c.guess_applayer_tx = v.boolean()?; Ok(()) };
    "detection.packet-alert-max", "the most alerts of one packet; default: 15",
        |c, v| { c.packet_alert_max = v.number(1..=255)?; Ok(()) };

    "outputs.directory", "where relative paths of outputs begin; default: the command's",
        |c, v| { c.outputs.directory = Some(path(v)?); Ok(()) };
    "outputs.eve.enabled", "write alerts; default: true",
        |c, v| { c.outputs.eve.enabled = v.boolean()?; Ok(()) };
    "outputs.eve.path", "the file; default: eve.json",
        |c, v| { c.outputs.eve.path = path(v)?; Ok(()) };
    "outputs.eve.payload", "alerts carry the payload in base64; default: false",
        |c, v| { c.outputs.eve.payload = v.boolean()?; Ok(()) };
    "outputs.eve.payload-printable", "alerts carry the payload's printable characters; default: false",
        |c, v| { c.outputs.eve.payload_printable = v.boolean()?; Ok(()) };
    "outputs.eve.packet", "alerts carry the packet in base64; default: false",
        |c, v| { c.outputs.eve.packet = v.boolean()?; Ok(()) };
    "outputs.eve.payload-buffer-size", "most bytes of a payload or packet; default: 4kb",
        |c, v| { c.outputs.eve.payload_buffer_size = bytes(v, 0..=1 << 20)?; Ok(()) };
    "outputs.eve.signature-rate", "most alerts of a signature in a second, 0: any number; what is beyond is counted; default: 0",
        |c, v| { c.outputs.eve.rates.signature = v.number(0..=u64::from(u32::MAX))?; Ok(()) };
    "outputs.eve.flow-rate", "most alerts of a signature in a flow in a second, 0: any number; default: 0",
        |c, v| { c.outputs.eve.rates.flow = v.number(0..=u64::from(u32::MAX))?; Ok(()) };
    "outputs.ledger.enabled", "write the ledger of packets; default: true",
        |c, v| { c.outputs.ledger.enabled = v.boolean()?; Ok(()) };
    "outputs.ledger.path", "the file; default: ledger.json",
        |c, v| { c.outputs.ledger.path = path(v)?; Ok(()) };
    "outputs.status.enabled", "write the status of resources; default: true",
        |c, v| { c.outputs.status.enabled = v.boolean()?; Ok(()) };
    "outputs.status.path", "the file; default: status.yaml",
        |c, v| { c.outputs.status.path = path(v)?; Ok(()) };

    "memory.hugepages", "whether hugepages are used: yes, no, or auto (where there are enough); default: auto",
        |c, v| {
            c.memory.hugepages = v.choice(&[
                ("auto", Hugepages::Auto),
                ("yes", Hugepages::Yes),
                ("no", Hugepages::No),
            ])?;
            Ok(())
        };
    "memory.size", "bytes that are taken for packets at the start; default: auto",
        |c, v| { c.memory.size = auto_or(v, |v| v.size((32 << 20)..=(1 << 40)))?; Ok(()) };
    "memory.packets", "packet buffers of a port; default: auto",
        |c, v| { c.memory.packets = auto_or(v, |v| v.number(512..=1 << 24))?; Ok(()) };
};

/// The settings of each `[[ports]]`.
pub const PORT_KEYS: &[Key<PortConfig>] = keys! {
    "device", "an interface, a NIC's PCI address or a DPDK virtual device",
        |p, v| { p.device = v.text()?.to_owned(); Ok(()) };
    "driver", "how packets come from an interface: af_packet or af_xdp; default: af_packet",
        |p, v| {
            p.driver = v.choice(&[
                ("af_packet", DriverSetting::AfPacket),
                ("af_xdp", DriverSetting::AfXdp),
            ])?;
            Ok(())
        };
    "queues", "receive queues, as far as the driver has them; auto: one for each core; default: auto",
        |p, v| { p.queues = auto_or(v, |v| v.number(1..=64))?; Ok(()) };
    "cores", "how many cores, a list of them, or auto: one for each queue, near the NIC; default: auto",
        |p, v| {
            p.cores = match v {
                _ if is_auto(v) => Cores::Auto,
                Value::Integer(_) => Cores::Count(v.number(1..=64)?),
                Value::Text(text) if text.trim().parse::<u16>().is_ok() => {
                    Cores::Count(v.number(1..=64)?)
                }
                list => Cores::List(list.numbers(0..=4095)?),
            };
            Ok(())
        };
    "descriptors", "receive descriptors of a queue; default: 1024",
        |p, v| { p.descriptors = v.number(64..=16_384)?; Ok(()) };
    "mtu", "largest payload of a frame in bytes; more than 1500 are jumbo frames; default: 1500",
        |p, v| { p.mtu = v.number(68..=9_978)?; Ok(()) };
    "promiscuous", "take frames that are addressed to others; default: true",
        |p, v| { p.promiscuous = v.boolean()?; Ok(()) };
    "spread", "who spreads packets over cores: nic, hand-over, or auto: the NIC where it can; default: auto",
        |p, v| {
            p.spread = v.choice(&[
                ("auto", SpreadSetting::Auto),
                ("nic", SpreadSetting::Nic),
                ("hand-over", SpreadSetting::HandOver),
            ])?;
            Ok(())
        };
    "idle", "what a core does while nothing comes: poll, sleep, interrupt, or auto: poll NICs, sleep elsewhere; default: auto",
        |p, v| {
            p.idle = v.choice(&[
                ("auto", IdleSetting::Auto),
                ("poll", IdleSetting::Poll),
                ("sleep", IdleSetting::Sleep),
                ("interrupt", IdleSetting::Interrupt),
            ])?;
            Ok(())
        };
};

/// The settings of each `[rules.sets.NAME]`.
pub const RULE_SET_KEYS: &[Key<RuleSetConfig>] = keys! {
    "paths", "rule files, directories and glob patterns",
        |s, v| { s.paths = v.texts()?; Ok(()) };
    "config-maps", "ConfigMaps in the sensor's namespace, each of their keys a file of rules",
        |s, v| { s.config_maps = v.texts()?; Ok(()) };
};

/// Prefix below which the user names rule sets.
pub const RULE_SETS: &str = "rules.sets.";

/// The most rule sets beside the default one: a bit for each.
pub const MAX_RULE_SETS: usize = 63;

/// Prefixes below which the user chooses names.
pub const ADDRESS_GROUPS: &str = "vars.address-groups.";
/// See [`ADDRESS_GROUPS`].
pub const PORT_GROUPS: &str = "vars.port-groups.";

/// The overlap policy of this name.
pub fn stream_policy(name: &str) -> Option<flow::Policy> {
    POLICIES.iter().find(|(known, _)| *known == name).map(|(_, policy)| *policy)
}

/// A policy for fragments by its name.
pub fn fragment_policy(name: &str) -> Option<flow::FragmentPolicy> {
    FRAGMENT_POLICIES.iter().find(|(known, _)| *known == name).map(|(_, policy)| *policy)
}

/// Overlap policies by name.
const POLICIES: &[(&str, flow::Policy)] = &[
    ("bsd", flow::Policy::Bsd),
    ("windows", flow::Policy::Windows),
    ("linux", flow::Policy::Linux),
    ("old-linux", flow::Policy::OldLinux),
    ("solaris", flow::Policy::Solaris),
    ("first", flow::Policy::First),
    ("last", flow::Policy::Last),
];

/// Policies for fragments by name.
const FRAGMENT_POLICIES: &[(&str, flow::FragmentPolicy)] = &[
    ("bsd", flow::FragmentPolicy::Bsd),
    ("bsd-right", flow::FragmentPolicy::BsdRight),
    ("linux", flow::FragmentPolicy::Linux),
    ("windows", flow::FragmentPolicy::Windows),
    ("solaris", flow::FragmentPolicy::Solaris),
    ("first", flow::FragmentPolicy::First),
    ("last", flow::FragmentPolicy::Last),
];

impl LogLevel {
    /// Levels by name.
    pub const NAMES: &'static [(&'static str, LogLevel)] = &[
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
}

fn is_auto(value: &Value) -> bool {
    matches!(value, Value::Text(text) | Value::String(text) if text.trim() == "auto")
}

/// `auto`, or a value.
fn auto_or<T>(
    value: &Value,
    read: impl Fn(&Value) -> Result<T, Wrong>,
) -> Result<Option<T>, Wrong> {
    if is_auto(value) { Ok(None) } else { read(value).map(Some) }
}

fn path(value: &Value) -> Result<PathBuf, Wrong> {
    value.text().map(PathBuf::from)
}

fn seconds(value: &Value) -> Result<u32, Wrong> {
    value.number(0..=86_400)
}

fn chunk(value: &Value) -> Result<u32, Wrong> {
    bytes(value, 1..=1 << 20)
        .and_then(|bytes| u32::try_from(bytes).map_err(|_| "expected a smaller size".to_owned()))
}

fn bytes(value: &Value, range: std::ops::RangeInclusive<u64>) -> Result<usize, Wrong> {
    let bytes = value.size(range)?;
    usize::try_from(bytes).map_err(|_| "expected a smaller size".to_owned())
}

/// How a name ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The value is in its place.
    Set,
    /// The name is known, the value can't be used.
    Wrong(Wrong),
    /// There is no such name.
    Unknown,
}

/// Puts a value in the place that a name means.
pub fn set(config: &mut Config, name: &str, value: &Value, place: &Place) -> Outcome {
    let result = if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        (key.set)(config, value)
    } else if let Some(group) = name.strip_prefix(ADDRESS_GROUPS) {
        value.group().map(|value| {
            config.vars.address_groups.insert(group.to_owned(), (value, place.clone()));
        })
    } else if let Some(group) = name.strip_prefix(PORT_GROUPS) {
        value.group().map(|value| {
            config.vars.port_groups.insert(group.to_owned(), (value, place.clone()));
        })
    } else if let Some((set, key)) = rule_set_key(name) {
        let is_new = !config.rules.sets.contains_key(set);
        if is_new && config.rules.sets.len() >= MAX_RULE_SETS {
            Err(format!("at most {MAX_RULE_SETS} rule sets can be told apart"))
        } else if !api::documents::is_subdomain(set) || set == "default" {
            Err(format!(
                "a rule set's name is made of a-z, 0-9, - and ., and is not `default`; found {set:?}"
            ))
        } else {
            (key.set)(config.rules.sets.entry(set.to_owned()).or_default(), value)
        }
    } else if let Some((index, key)) = port_key(name) {
        // A port more than there are is a new one.
        if index > config.ports.len() || index >= 64 {
            Err(format!(
                "there are {} ports; the next is ports.{}",
                config.ports.len(),
                config.ports.len()
            ))
        } else {
            if index == config.ports.len() {
                config.ports.push(PortConfig::default());
            }
            match config.ports.get_mut(index) {
                Some(port) => (key.set)(port, value),
                None => Ok(()),
            }
        }
    } else {
        return Outcome::Unknown;
    };
    result.map_or_else(Outcome::Wrong, |()| Outcome::Set)
}

/// `ports.0.device`
fn port_key(name: &str) -> Option<(usize, &'static Key<PortConfig>)> {
    let (index, name) = name.strip_prefix("ports.")?.split_once('.')?;
    let key = PORT_KEYS.iter().find(|key| key.name == name)?;
    Some((index.parse().ok()?, key))
}

/// `rules.sets.NAME.paths`; the name may hold dots.
fn rule_set_key(name: &str) -> Option<(&str, &'static Key<RuleSetConfig>)> {
    let (set, name) = name.strip_prefix(RULE_SETS)?.rsplit_once('.')?;
    let key = RULE_SET_KEYS.iter().find(|key| key.name == name)?;
    (!set.is_empty()).then_some((set, key))
}

/// Is there a setting below this name?
pub fn is_section(name: &str) -> bool {
    if name == RULE_SETS.trim_end_matches('.')
        || name.starts_with(RULE_SETS) && rule_set_key(name).is_none()
    {
        return true;
    }
    let below = |key: &str| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
    KEYS.iter().any(|key| below(key.name)) || below(ADDRESS_GROUPS) || below(PORT_GROUPS)
}

/// All names, for suggestions; those of ports with the index that `name` has.
pub fn names(name: &str) -> Vec<String> {
    let index = name.split('.').nth(1).filter(|part| part.parse::<usize>().is_ok()).unwrap_or("0");
    let ports = PORT_KEYS.iter().map(|key| format!("ports.{index}.{}", key.name));
    KEYS.iter().map(|key| key.name.to_owned()).chain(ports).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(name: &str, text: &str) -> Outcome {
        let place = Place::CommandLine(String::new());
        set(&mut Config::default(), name, &Value::Text(text.to_owned()), &place)
    }

    #[test]
    fn every_default_that_the_table_states_is_the_default() {
        let before = format!("{:?}", Config::default());
        for key in KEYS {
            let Some((_, stated)) = key.about.rsplit_once("default: ") else { continue };
            let list = stated.trim_start_matches('[').trim_end_matches(']');
            let mut config = Config::default();
            let value = Value::Text(list.to_owned());
            // Defaults in words (the host's name) are no values of typed keys.
            let in_words =
                stated.contains(' ') && !stated.starts_with('[') || stated.starts_with('$');
            if in_words || matches!(stated, "the command's" | "none") {
                continue;
            }
            assert_eq!((key.set)(&mut config, &value), Ok(()), "{}", key.name);
            let after = format!("{config:?}");
            if matches!(key.name, "rules.threads") {
                continue;
            }
            assert_eq!(after, before, "{}", key.name);
        }
    }

    #[test]
    fn names_are_unique_and_no_name_is_a_section() {
        for (at, key) in KEYS.iter().enumerate() {
            assert!(!KEYS[..at].iter().any(|other| other.name == key.name), "{}", key.name);
            assert!(!is_section(key.name), "{}", key.name);
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for (name, value) in [
            ("decoder.max-layers", "1"),
            ("detection.packet-alert-max", "256"),
            ("streams.policy", "plan9"),
            ("flows.max", "0"),
            ("rules.sets.Web.paths", "x"),
            ("metrics.listen", "9464"),
            ("kubernetes.lease-duration", "1s"),
            ("decoder.vxlan.ports", "70000"),
            ("ports.1.device", "eth0"),
            ("ports.0.queues", "0"),
        ] {
            assert!(matches!(typed(name, value), Outcome::Wrong(_)), "{name}");
        }
        assert_eq!(typed("flows.min", "1"), Outcome::Unknown);
        assert_eq!(typed("ports.0.device", "eth0"), Outcome::Set);
    }
}
