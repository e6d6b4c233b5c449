//! Ports, and the memory that packets are received into.

use super::Key;
use super::value::{auto_or, is_auto};
use crate::config::{
    Cores, DriverSetting, Hugepages, IdleSetting, PortConfig, SpreadSetting, Value,
};

pub(super) const KEYS: &[Key] = keys! {
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
