//! What a software port is made of: the driver's name and its arguments.

use std::{
    ffi::CString,
    fmt, io, mem,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use crate::{
    control,
    mempool::{Layout, Mempool, PoolError},
};

/// What the kernel puts before a frame in its slot of a packet socket's ring,
/// rounded up (66 bytes before an Ethernet header).
const SLOT_HEADER: u32 = 80;
/// The longest frame whose slot an mbuf of 65,535 bytes with headroom can hold.
const MAX_FRAME: u16 = 61_360;

/// Drivers of which something is known here.
const DRIVERS: [&str; 4] = ["net_af_packet", "net_af_xdp", "net_tap", "net_pcap"];

/// A virtual device to be plugged in: a driver, an instance and its arguments,
/// as in `net_af_packet0,iface=veth0,qpairs=1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VdevSpec {
    name: String,
    args: String,
}

impl VdevSpec {
    /// Any driver's device: `name` is the driver's with an instance number that
    /// no other device has, `args` a comma-separated list, as DPDK's guide of
    /// network drivers describes it.
    pub fn new(name: impl Into<String>, args: impl Into<String>) -> Self {
        Self { name: name.into(), args: args.into() }
    }

    /// A kernel interface through a packet socket, one queue. Needs CAP_NET_RAW.
    ///
    /// Frames of more than 1,982 bytes are cut off without a sign: where the
    /// [MTU](interface_mtu) allows for them, ask for [`Self::frames_up_to`]. What
    /// the kernel merges (GRO) can be longer than the MTU; turn that off.
    pub fn af_packet(interface: &str) -> Self {
        Self::numbered("net_af_packet", format!("iface={interface},qpairs=1"))
    }

    /// A kernel interface through AF_XDP sockets, one queue. Needs CAP_NET_RAW,
    /// CAP_NET_ADMIN and CAP_BPF.
    pub fn af_xdp(interface: &str) -> Self {
        Self::numbered("net_af_xdp", format!("iface={interface}"))
    }

    /// For `net_af_xdp`: the interface's first queues, so many. It must have as many.
    #[must_use]
    pub fn queues(self, queues: u16) -> Self {
        self.with("start_queue", 0).with("queue_count", queues)
    }

    /// A source of endless packets of `size` zero bytes, for measuring.
    pub fn null(size: u16) -> Self {
        Self::numbered("net_null", format!("size={size}"))
    }

    /// A capture file, once through, on one queue. The path must not contain a
    /// comma. Link type and wire length are lost, and the driver's timestamp
    /// field leaves no room for [`MetaField`](crate::MetaField): for replay see
    /// [`RingPort`](crate::RingPort).
    pub fn pcap(path: &str) -> Self {
        Self::numbered("net_pcap", format!("rx_pcap={path}"))
    }

    /// The same with one more argument, `key=value`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        if !self.args.is_empty() {
            self.args.push(',');
        }
        self.args.push_str(&format!("{key}={value}"));
        self
    }

    /// For `net_af_packet`: lets frames of up to `bytes` in, at most 61,360. The
    /// pool's data room must then be [`Self::data_room`].
    #[must_use]
    pub fn frames_up_to(self, bytes: u16) -> Self {
        let slot = u32::from(bytes.min(MAX_FRAME)) + SLOT_HEADER;
        // The driver wants whole frames in a block, the kernel blocks of whole pages.
        let frame = if slot <= 4096 {
            slot.next_power_of_two().max(2048)
        } else {
            slot.next_multiple_of(4096)
        };
        self.with("framesz", frame).with("blocksz", frame.max(4096))
    }

    /// The data room that a pool must have for this device: for a packet socket
    /// it follows from the frame size, for others 2,048 bytes do.
    pub fn data_room(&self) -> u16 {
        match (self.driver(), self.arg("framesz").map(str::parse::<u16>)) {
            ("net_af_packet", Some(Ok(frame))) => frame.saturating_sub(32).max(2048),
            _ => 2048,
        }
    }

    /// A pool for what this device receives, see [`Mempool::new`]: with the [data room](Self::data_room) that it
    /// must have, and within pages where the kernel writes to its mbufs itself.
    ///
    /// # Errors
    /// As [`Mempool::new`].
    pub fn pool(
        &self,
        name: &str,
        mbufs: u32,
        cache: u32,
        socket: Option<u32>,
    ) -> Result<Mempool, PoolError> {
        let layout = match self.driver() {
            "net_af_xdp" => Layout::WithinPages,
            _ => Layout::Packed,
        };
        Mempool::make(name, mbufs, cache, (self.data_room(), layout), socket)
    }

    /// The device's name: the driver's and its number.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The arguments.
    pub fn args(&self) -> &str {
        &self.args
    }

    /// The value of an argument.
    pub fn arg(&self, key: &str) -> Option<&str> {
        self.args.split(',').find_map(|arg| arg.strip_prefix(key)?.strip_prefix('='))
    }

    fn numbered(driver: &str, args: String) -> Self {
        Self { name: format!("{driver}{}", control::serial()), args }
    }

    /// The driver, where it is one of [`DRIVERS`], as DPDK tells it: a device's name begins with it, whatever follows.
    fn driver(&self) -> &str {
        DRIVERS.into_iter().find(|driver| self.name.starts_with(driver)).unwrap_or_default()
    }

    /// The kernel interface that the device needs, if its driver needs one.
    pub(crate) fn interface(&self) -> Option<&str> {
        match self.driver() {
            "net_af_packet" | "net_af_xdp" => self.arg("iface"),
            // Its `iface` is one that it makes.
            "net_tap" => self.arg("remote"),
            "net_pcap" => self.arg("iface").or_else(|| self.arg("rx_iface")),
            _ => None,
        }
    }

    /// How many packet sockets `net_af_packet` is asked to open, if it is asked.
    pub(crate) fn packet_sockets(&self) -> Option<&str> {
        (self.driver() == "net_af_packet").then(|| self.arg("qpairs")).flatten()
    }
}

impl fmt::Display for VdevSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.args.is_empty() { Ok(()) } else { write!(f, ",{}", self.args) }
    }
}

/// Whether the kernel has the interface, in this process's network namespace.
pub(crate) fn interface_exists(name: &str) -> bool {
    interface_index(name).is_some()
}

/// An interface's number.
pub(crate) fn interface_index(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: the name is NUL-terminated.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

/// The interfaces that there are, for an error to name.
pub(crate) fn interfaces() -> Vec<String> {
    // SAFETY: the list ends with a zero index and is freed once, below.
    unsafe {
        let list = libc::if_nameindex();
        if list.is_null() {
            return Vec::new();
        }
        let mut names = Vec::new();
        let mut entry = list;
        while (*entry).if_index != 0 && !(*entry).if_name.is_null() {
            let name = std::ffi::CStr::from_ptr((*entry).if_name);
            names.push(name.to_string_lossy().into_owned());
            entry = entry.add(1);
        }
        libc::if_freenameindex(list);
        names
    }
}

/// The longest IP packet that the kernel sends over an interface, in bytes.
///
/// # Errors
/// When there is no such interface in this network namespace.
pub fn interface_mtu(interface: &str) -> io::Result<u32> {
    let request = ask_interface(interface, libc::SIOCGIFMTU)?;
    // SAFETY: the call filled in the number of the union.
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    u32::try_from(mtu).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// The receive queues that the kernel has for an interface; 1 if it does not tell.
pub fn interface_rx_queues(interface: &str) -> usize {
    let folder = std::path::Path::new("/sys/class/net").join(interface).join("queues");
    let queues = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let receive = queues.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"rx-"));
    receive.count().max(1)
}

/// Whether the interface is in promiscuous mode already.
pub(crate) fn is_promiscuous(interface: &str) -> io::Result<bool> {
    let request = ask_interface(interface, libc::SIOCGIFFLAGS)?;
    // SAFETY: the call filled in the flags of the union.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    Ok(libc::c_int::from(flags) & libc::IFF_PROMISC != 0)
}

/// Asks the kernel one thing about an interface.
fn ask_interface(interface: &str, what: libc::c_ulong) -> io::Result<libc::ifreq> {
    // SAFETY: an ifreq is plain data, for which all zero is valid.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    if interface.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: a plain call; whoever gets the descriptor closes it.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open and ours alone.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: the SIOCGIF calls fill the request in from its name.
    match unsafe { libc::ioctl(socket.as_raw_fd(), what as _, &mut request) } {
        0.. => Ok(request),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_prints_as_dpdk_writes_it() {
        let spec = VdevSpec::new("net_af_packet7", "iface=veth0").with("qpairs", 2);
        assert_eq!(spec.to_string(), "net_af_packet7,iface=veth0,qpairs=2");
        assert_eq!(VdevSpec::new("net_null9", "").to_string(), "net_null9");
        assert_eq!(VdevSpec::new("net_null9", "").with("size", 60).args(), "size=60");
    }

    #[test]
    fn the_interface_is_the_iface_argument_alone() {
        assert_eq!(VdevSpec::af_packet("eth1").interface(), Some("eth1"));
        assert_eq!(VdevSpec::af_xdp("eth1").interface(), Some("eth1"));
        assert_eq!(VdevSpec::pcap("/tmp/iface=x.pcap").interface(), None);
        assert_eq!(VdevSpec::new("net_af_packet0", "qpairs=1,ifacex=3").interface(), None);
    }

    #[test]
    fn slots_hold_the_frame_and_fill_their_block() {
        assert_eq!(VdevSpec::af_packet("x").frames_up_to(1514).arg("framesz"), Some("2048"));
        assert_eq!(VdevSpec::af_packet("x").frames_up_to(2000).arg("framesz"), Some("4096"));
        let jumbo = VdevSpec::af_packet("x").frames_up_to(9018);
        assert_eq!((jumbo.arg("framesz"), jumbo.arg("blocksz")), (Some("12288"), Some("12288")));
        assert_eq!(jumbo.data_room(), 12_256);
        assert_eq!(VdevSpec::af_packet("x").data_room(), 2048);
        let longest = VdevSpec::af_packet("x").frames_up_to(u16::MAX);
        assert_eq!(longest.data_room(), 61_440 - 32);
    }

    #[test]
    fn the_loopback_interface_exists_and_is_listed() {
        assert!(interface_exists("lo"));
        assert!(interfaces().contains(&"lo".to_owned()));
        assert!(!interface_exists("no-such-if"));
        assert!(!interface_exists("nul\0byte"));
        assert!(!is_promiscuous("lo").unwrap());
        assert!(is_promiscuous("no-such-if").is_err());
        assert!(interface_mtu("lo").unwrap() >= 1280);
        assert!(interface_mtu("a-name-that-is-too-long").is_err());
    }
}
