//! Flows that a NIC is to drop by itself, through `rte_flow`: rules of one
//! direction each, taken away with their owner. Slow calls, for no worker.

use std::{
    ffi::CStr,
    net::{IpAddr, SocketAddr},
    ptr::NonNull,
    sync::Arc,
};

use thiserror::Error;

use crate::{control, device::Device};

/// One direction of a TCP or UDP flow, as the headers of its packets show it to
/// a NIC: outer-most, not in a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowTuple {
    /// Who sends.
    pub src: SocketAddr,
    /// Who receives; of the same IP version.
    pub dst: SocketAddr,
    /// TCP, or else UDP.
    pub tcp: bool,
    /// The identifier of its only VLAN tag.
    pub vlan: Option<u16>,
}

/// What a rule touches besides what it must, and whether it counts: the best
/// that the driver offers for flows of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleScope {
    /// What it drops is counted.
    pub counted: bool,
    /// SYN, FIN and RST of a TCP flow are still received.
    pub keeps_ends: bool,
    /// Packets with a tag are not taken for an untagged flow's. Drivers that do
    /// not offer it may tell them apart all the same.
    pub tells_tags: bool,
}

/// Packets that a rule has dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// How many.
    pub packets: u64,
    /// Their bytes; 0 from a driver that counts packets alone.
    pub bytes: u64,
}

/// Why a NIC does not drop a flow, or its rule cannot be asked or taken away.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("{driver} could not {what}: {reason}")]
pub struct FlowError {
    /// The driver.
    pub driver: String,
    /// What was tried.
    pub what: &'static str,
    /// The driver's own words, or what its error number means.
    pub reason: String,
    /// The error number.
    pub code: Option<i32>,
}

impl FlowError {
    /// Whether the NIC has no room for another rule: others are as well made as before.
    pub fn is_full(&self) -> bool {
        matches!(self.code, Some(libc::ENOSPC | libc::ENOMEM | libc::EAGAIN | libc::EBUSY))
    }
}

/// Makes rules on one port. Keeps it open.
pub struct DropRules {
    device: Arc<Device>,
    /// How rules are made, by [`kind`], once that is known.
    learnt: [Option<u32>; KINDS],
}

/// Of flows drivers may treat differently: IP version, protocol, tag.
const KINDS: usize = 8;

fn kind(flow: &FlowTuple) -> usize {
    usize::from(flow.dst.is_ipv6())
        | usize::from(flow.tcp) << 1
        | usize::from(flow.vlan.is_some()) << 2
}

/// The ways to make a rule for a flow, the best first.
fn ways(flow: &FlowTuple) -> impl Iterator<Item = u32> {
    let tags = if flow.vlan.is_none() { dpdk_sys::POLLUX_FLOW_TELL_TAGS } else { 0 };
    let ends = if flow.tcp { dpdk_sys::POLLUX_FLOW_KEEP_ENDS } else { 0 };
    let wanted = tags | dpdk_sys::POLLUX_FLOW_COUNT | ends;
    (0..=wanted).rev().filter(move |way| way & !wanted == 0)
}

/// Room for a driver's message.
const MESSAGE: usize = 256;

impl DropRules {
    pub(crate) fn of(device: Arc<Device>) -> Self {
        Self { device, learnt: [None; KINDS] }
    }

    /// Has the NIC drop one direction of a flow from now on, until the rule is dropped.
    ///
    /// # Errors
    /// [`FlowError`], with the driver's own words.
    pub fn make(&mut self, flow: &FlowTuple) -> Result<DropRule, FlowError> {
        let at = kind(flow);
        if let Some(how) = self.learnt.get(at).copied().flatten() {
            return self.create(flow, how);
        }
        // Drivers may take for possible what they then refuse.
        let mut refused = None;
        for how in ways(flow) {
            match self.validate(flow, how).and_then(|()| self.create(flow, how)) {
                Ok(rule) => {
                    if let Some(learnt) = self.learnt.get_mut(at) {
                        *learnt = Some(how);
                    }
                    return Ok(rule);
                }
                Err(error) if error.is_full() => return Err(error),
                // The last one asks for the least.
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| self.error("make the rule", 0, &[])))
    }

    /// Makes a rule for addresses that nobody has (RFC 5737) and takes it away.
    ///
    /// # Errors
    /// When the driver, or the machine, cannot.
    pub fn probe(&mut self) -> Result<RuleScope, FlowError> {
        let at = |last| SocketAddr::from(([192, 0, 2, last], 9));
        let rule = self.make(&FlowTuple { src: at(1), dst: at(2), tcp: true, vlan: None })?;
        let scope = rule.scope();
        rule.remove()?;
        Ok(scope)
    }

    fn validate(&self, flow: &FlowTuple, how: u32) -> Result<(), FlowError> {
        let mut why = [0_u8; MESSAGE];
        let raw = raw(flow);
        let _control = control::lock();
        // SAFETY: the port is open while the device is; the flow is initialised, and the message
        // has the room that is said.
        let result = unsafe {
            dpdk_sys::pollux_flow_drop(
                self.device.id,
                &raw,
                how,
                std::ptr::null_mut(),
                why.as_mut_ptr().cast(),
                why.len(),
            )
        };
        if result == 0 { Ok(()) } else { Err(self.error("have a flow dropped", result, &why)) }
    }

    fn create(&self, flow: &FlowTuple, how: u32) -> Result<DropRule, FlowError> {
        let mut why = [0_u8; MESSAGE];
        let raw = raw(flow);
        let mut rule = std::ptr::null_mut();
        let control = control::lock();
        // SAFETY: as above; the rule is writable.
        let result = unsafe {
            dpdk_sys::pollux_flow_drop(
                self.device.id,
                &raw,
                how,
                &mut rule,
                why.as_mut_ptr().cast(),
                why.len(),
            )
        };
        drop(control);
        match NonNull::new(rule) {
            Some(rule) => Ok(DropRule {
                device: Arc::clone(&self.device),
                rule: Some(rule),
                scope: RuleScope {
                    counted: how & dpdk_sys::POLLUX_FLOW_COUNT != 0,
                    keeps_ends: how & dpdk_sys::POLLUX_FLOW_KEEP_ENDS != 0,
                    tells_tags: flow.vlan.is_some() || how & dpdk_sys::POLLUX_FLOW_TELL_TAGS != 0,
                },
            }),
            None => Err(self.error("have a flow dropped", result, &why)),
        }
    }

    fn error(&self, what: &'static str, result: i32, why: &[u8]) -> FlowError {
        error(&self.device, what, result, why)
    }
}

impl std::fmt::Debug for DropRules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DropRules").field("driver", &self.device.driver).finish()
    }
}

fn error(device: &Device, what: &'static str, result: i32, why: &[u8]) -> FlowError {
    let said = CStr::from_bytes_until_nul(why).map(CStr::to_string_lossy).unwrap_or_default();
    let meaning = control::reason(result);
    FlowError {
        driver: device.driver.clone(),
        what,
        reason: if said.is_empty() || said == meaning {
            meaning
        } else {
            format!("{said} ({meaning})")
        },
        code: control::code(result),
    }
}

fn raw(flow: &FlowTuple) -> dpdk_sys::pollux_flow {
    let bytes = |address: IpAddr| match address {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            bytes
        }
        IpAddr::V6(address) => address.octets(),
    };
    dpdk_sys::pollux_flow {
        version: if flow.dst.is_ipv6() { 6 } else { 4 },
        protocol: if flow.tcp { 6 } else { 17 },
        vlan: flow.vlan.unwrap_or(dpdk_sys::POLLUX_FLOW_UNTAGGED as u16),
        src_port: flow.src.port(),
        dst_port: flow.dst.port(),
        src: bytes(flow.src.ip()),
        dst: bytes(flow.dst.ip()),
    }
}

/// A rule in force: the NIC drops the packets that it names. Taken away when dropped, so that none
/// outlives the port, which each of them keeps open.
pub struct DropRule {
    device: Arc<Device>,
    /// Gone once it was taken away.
    rule: Option<NonNull<dpdk_sys::rte_flow>>,
    scope: RuleScope,
}

// SAFETY: a handle of the driver's, which is used under the lock of control alone.
unsafe impl Send for DropRule {}

impl DropRule {
    /// What it touches, and whether it counts.
    pub fn scope(&self) -> RuleScope {
        self.scope
    }

    /// What it has dropped so far; `None`: the driver does not count.
    ///
    /// # Errors
    /// When the driver cannot be asked.
    pub fn dropped(&self) -> Result<Option<Dropped>, FlowError> {
        let Some(rule) = self.rule.filter(|_| self.scope.counted) else { return Ok(None) };
        let mut why = [0_u8; MESSAGE];
        let (mut packets, mut bytes) = (0, 0);
        let _control = control::lock();
        // SAFETY: the rule is in force and its port open; all three are writable.
        let result = unsafe {
            dpdk_sys::pollux_flow_dropped(
                self.device.id,
                rule.as_ptr(),
                &mut packets,
                &mut bytes,
                why.as_mut_ptr().cast(),
                why.len(),
            )
        };
        if result != 0 {
            return Err(error(&self.device, "count what a rule dropped", result, &why));
        }
        let bytes = if bytes == u64::MAX { 0 } else { bytes };
        Ok((packets != u64::MAX).then_some(Dropped { packets, bytes }))
    }

    /// Takes it away: packets come again.
    ///
    /// # Errors
    /// When the driver cannot, as when its device has gone.
    pub fn remove(mut self) -> Result<(), FlowError> {
        self.take_away()
    }

    fn take_away(&mut self) -> Result<(), FlowError> {
        let Some(rule) = self.rule.take() else { return Ok(()) };
        let mut why = [0_u8; MESSAGE];
        let _control = control::lock();
        // SAFETY: the rule is in force, its port open, and it is not used again.
        let result = unsafe {
            dpdk_sys::pollux_flow_destroy(
                self.device.id,
                rule.as_ptr(),
                why.as_mut_ptr().cast(),
                why.len(),
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(error(&self.device, "take a rule away", result, &why))
        }
    }
}

impl Drop for DropRule {
    fn drop(&mut self) {
        // Whoever wants to know has called `remove`.
        let _: Result<(), FlowError> = self.take_away();
    }
}

impl std::fmt::Debug for DropRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DropRule").field("scope", &self.scope).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(tcp: bool, vlan: Option<u16>) -> FlowTuple {
        let at = |last: u8| SocketAddr::from(([10, 0, 0, last], u16::from(last)));
        FlowTuple { src: at(1), dst: at(2), tcp, vlan }
    }

    #[test]
    fn ways_go_from_the_most_to_a_bare_drop_and_ask_for_nothing_that_a_flow_has_not() {
        use dpdk_sys::{
            POLLUX_FLOW_COUNT as C, POLLUX_FLOW_KEEP_ENDS as E, POLLUX_FLOW_TELL_TAGS as T,
        };
        let of = |tcp, vlan| ways(&flow(tcp, vlan)).collect::<Vec<_>>();
        assert_eq!(of(true, None), [T | C | E, T | C, T | E, T, C | E, C, E, 0]);
        assert_eq!(of(false, None), [T | C, T, C, 0]);
        assert_eq!(of(true, Some(7)), [C | E, C, E, 0]);
        assert_eq!(of(false, Some(7)), [C, 0]);
    }

    #[test]
    fn a_flow_is_told_to_the_driver_by_its_own_ends() {
        let raw = super::raw(&flow(true, Some(7)));
        assert_eq!((raw.version, raw.protocol, raw.vlan), (4, 6, 7));
        assert_eq!((raw.src_port, raw.dst_port), (1, 2));
        assert_eq!((&raw.src[..5], &raw.dst[..5]), (&[10, 0, 0, 1, 0][..], &[10, 0, 0, 2, 0][..]));
        let at = |port| SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, 1], port));
        let raw = super::raw(&FlowTuple { src: at(3), dst: at(4), tcp: false, vlan: None });
        assert_eq!((raw.version, raw.protocol, raw.vlan), (6, 17, 0xffff));
        assert_eq!((raw.src[0], raw.src[15], raw.dst_port), (0xfd, 1, 4));
    }
}
