//! What is written, and where.

use super::Key;
use super::value::{bytes, path};
use crate::output::{XffDeployment, XffMode};

const XFF_MODES: &[(&str, XffMode)] =
    &[("extra-data", XffMode::ExtraData), ("overwrite", XffMode::Overwrite)];

const XFF_DEPLOYMENTS: &[(&str, XffDeployment)] =
    &[("reverse", XffDeployment::Reverse), ("forward", XffDeployment::Forward)];

pub(super) const KEYS: &[Key] = keys! {
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
    "outputs.eve.metadata", "tell what rules remember of the flow: flowbits, flowints; default: true",
        |c, v| { c.outputs.eve.metadata = v.boolean()?; Ok(()) };
    "outputs.eve.xff.enabled", "alerts of HTTP tell whom a proxy speaks for; default: false",
        |c, v| { c.outputs.eve.xff.enabled = v.boolean()?; Ok(()) };
    "outputs.eve.xff.mode", "\"extra-data\": as xff, \"overwrite\": in place of the client's address; default: extra-data",
        |c, v| { c.outputs.eve.xff.mode = v.choice(XFF_MODES)?; Ok(()) };
    "outputs.eve.xff.deployment", "which of several addresses counts, \"reverse\": the last, \"forward\": the first; default: reverse",
        |c, v| { c.outputs.eve.xff.deployment = v.choice(XFF_DEPLOYMENTS)?; Ok(()) };
    "outputs.eve.xff.header", "the header's name; default: X-Forwarded-For",
        |c, v| {
            let name = v.text()?;
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
                return Err("expected the name of a header".to_owned());
            }
            c.outputs.eve.xff.header = name.to_owned();
            Ok(())
        };
    "outputs.eve.payload-buffer-size", "most bytes of a payload or packet; default: 4kb",
        |c, v| { c.outputs.eve.payload_buffer_size = bytes(v, 0..=1 << 20)?; Ok(()) };
    "outputs.eve.signature-rate", "most alerts of a signature in a second, 0: any number; what is beyond is counted; default: 0",
        |c, v| { c.outputs.eve.rates.signature = v.number(0..=u64::from(u32::MAX))?; Ok(()) };
    "outputs.eve.flow-rate", "most alerts of a signature in a flow in a second, 0: any number; default: 0",
        |c, v| { c.outputs.eve.rates.flow = v.number(0..=u64::from(u32::MAX))?; Ok(()) };
    "outputs.eve.stats.totals", "write counters, summed over all cores, as stats events of a live sensor; default: false",
        |c, v| { c.outputs.eve.stats.totals = v.boolean()?; Ok(()) };
    "outputs.eve.stats.threads", "write each core's own in them; default: false",
        |c, v| { c.outputs.eve.stats.threads = v.boolean()?; Ok(()) };
    "outputs.eve.stats.deltas", "what each counter has grown by since the last, too; default: false",
        |c, v| { c.outputs.eve.stats.deltas = v.boolean()?; Ok(()) };
    "outputs.eve.stats.interval", "how often, 1s at least; default: 8s",
        |c, v| {
            let interval = v.duration()?;
            if interval < std::time::Duration::from_secs(1) {
                return Err("expected a time of at least \"1s\"".to_owned());
            }
            c.outputs.eve.stats.interval = interval;
            Ok(())
        };
    "outputs.eve.stats.enabled", "false: write none, whatever of them is asked for; default: true",
        |c, v| { c.outputs.eve.stats.enabled = v.boolean()?; Ok(()) };
    "outputs.pcap-log.enabled", "write the packets of flows that alert to pcapng files; default: false",
        |c, v| { c.outputs.pcap_log.enabled = v.boolean()?; Ok(()) };
    "outputs.pcap-log.path", "the files; a number comes before the extension; default: log.pcapng",
        |c, v| {
            let path = path(v)?;
            if path.file_name().is_none() {
                return Err("expected the path of a file".to_owned());
            }
            c.outputs.pcap_log.path = path;
            Ok(())
        };
    "outputs.pcap-log.limit", "bytes of a file after which the next one is begun; default: 100mb",
        |c, v| { c.outputs.pcap_log.limit = v.size((1 << 16)..=(1 << 40))?; Ok(()) };
    "outputs.pcap-log.max-files", "files that are kept, the oldest are removed; default: 10",
        |c, v| { c.outputs.pcap_log.max_files = v.number(1..=100_000)?; Ok(()) };
    "outputs.pcap-log.history-size", "bytes of packets that a core remembers for an alert to come; default: 16mb",
        |c, v| { c.outputs.pcap_log.history_size = bytes(v, (1 << 16)..=(1 << 34))?; Ok(()) };
    "outputs.pcap-log.history-packets", "packets that a core remembers; default: 32768",
        |c, v| { c.outputs.pcap_log.history_packets = v.number(1..=1 << 24)?; Ok(()) };
    "outputs.pcap-log.after-packets", "packets of a flow that are written after its latest alert; default: 1000",
        |c, v| { c.outputs.pcap_log.after_packets = v.number(0..=u64::from(u32::MAX))?; Ok(()) };
    "outputs.pcap-log.after", "how long after its latest alert they are; default: 60s",
        |c, v| { c.outputs.pcap_log.after = v.duration()?; Ok(()) };
    "outputs.ledger.enabled", "write the ledger of packets; default: true",
        |c, v| { c.outputs.ledger.enabled = v.boolean()?; Ok(()) };
    "outputs.ledger.path", "the file; default: ledger.json",
        |c, v| { c.outputs.ledger.path = path(v)?; Ok(()) };
    "outputs.status.enabled", "write the status of resources; default: true",
        |c, v| { c.outputs.status.enabled = v.boolean()?; Ok(()) };
    "outputs.status.path", "the file; default: status.yaml",
        |c, v| { c.outputs.status.path = path(v)?; Ok(()) };
};
