//! What is written, and where.

use super::Key;
use super::value::{bytes, path};

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
};
