//! What Pollux notes about a packet, in the mbuf itself: a dynamic field with
//! time, number, wire length and link type. And the driver's own timestamp.

use std::{ffi::c_char, ptr, sync::OnceLock};

use dpdk_sys::rte_mbuf_dynfield;
use thiserror::Error;

use crate::{control, eal::Eal, mbuf::Mbuf};

/// What is known about a packet beside its bytes. All zero until set.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PacketMeta {
    /// When it was captured, in nanoseconds since 1970.
    pub ts_ns: u64,
    /// The clock that timers follow: like `ts_ns`, but never going backwards.
    pub clock_ns: u64,
    /// The packet's number, from 1.
    pub order: u64,
    /// Bytes on the wire, of which fewer may have been captured.
    pub wire_len: u32,
    /// The link type as in a capture file (LINKTYPE_*).
    pub link: u16,
    /// For the user's own marks.
    pub flags: u16,
}

/// Why the field could not be had.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetaError {
    /// EAL does not run.
    #[error("DPDK is not initialised; call Eal::init before registering the packet field")]
    NoEal,
    /// Others hold the space.
    #[error(
        "the packet field of {size} bytes does not fit the mbuf any more ({reason}); a driver \
         (net_pcap, or hardware timestamps) took dynamic space first: register the field before \
         opening ports, and do without that driver"
    )]
    NoSpace {
        /// The field's size.
        size: usize,
        /// DPDK's own words.
        reason: String,
    },
}

/// The place of [`PacketMeta`] in every mbuf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetaField {
    offset: u16,
}

static REGISTERED: OnceLock<MetaField> = OnceLock::new();

/// 32 of the 36 bytes that 22.11 has for dynamic fields. Aligned to 8, it comes
/// to lie at their end, and 4 bytes stay free in front.
const SIZE: usize = size_of::<PacketMeta>();
const _: () = assert!(SIZE == 32 && SIZE <= dpdk_sys::POLLUX_DYNFIELD1_SIZE as usize);

impl MetaField {
    /// Reserves the field, once per process; later calls return the same.
    /// Register before the first port is started: packets that it receives have
    /// the field cleared from then on.
    ///
    /// # Errors
    /// When EAL does not run, or the space is taken.
    pub fn register() -> Result<Self, MetaError> {
        if let Some(field) = Self::registered() {
            return Ok(field);
        }
        if Eal::get().is_none() {
            return Err(MetaError::NoEal);
        }
        let _control = control::lock();
        let mut params = rte_mbuf_dynfield { size: SIZE, align: 8, ..Default::default() };
        for (to, from) in params.name.iter_mut().zip(b"pollux_dynfield_meta") {
            *to = *from as c_char;
        }
        control::clear_errno();
        // SAFETY: the name is NUL-terminated, for the rest of it is zero.
        let result = unsafe { dpdk_sys::rte_mbuf_dynfield_register(&params) };
        match u16::try_from(result) {
            Ok(offset) => Ok(*REGISTERED.get_or_init(|| Self { offset })),
            Err(_) => Err(MetaError::NoSpace { size: SIZE, reason: control::reason(result) }),
        }
    }

    /// The field, if it has been registered.
    #[inline]
    pub fn registered() -> Option<Self> {
        REGISTERED.get().copied()
    }

    /// What was noted about the packet; all zero if nothing was.
    #[inline]
    pub fn get(self, mbuf: &Mbuf) -> PacketMeta {
        // SAFETY: DPDK reserved SIZE bytes at the offset of every mbuf for this
        // field; they are integers without padding, so that any bytes are valid.
        unsafe {
            ptr::read_unaligned(mbuf.header().add(usize::from(self.offset)).cast::<PacketMeta>())
        }
    }

    /// Notes it.
    #[inline]
    pub fn set(self, mbuf: &mut Mbuf, meta: PacketMeta) {
        // SAFETY: as in get; &mut says that nobody reads it meanwhile.
        unsafe {
            ptr::write_unaligned(
                mbuf.header_mut().add(usize::from(self.offset)).cast::<PacketMeta>(),
                meta,
            );
        }
    }

    pub(crate) fn offset(self) -> u16 {
        self.offset
    }
}

/// The timestamp that some drivers write, if one of them is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RxTimestamp {
    offset: u16,
    flag: u64,
}

impl RxTimestamp {
    /// Finds the standard field and flag; `None` while no driver registered them.
    pub fn lookup() -> Option<Self> {
        Eal::get()?;
        let _control = control::lock();
        // SAFETY: the names are NUL-terminated; no parameters are asked back.
        let (offset, bit) = unsafe {
            (
                dpdk_sys::rte_mbuf_dynfield_lookup(
                    c"rte_dynfield_timestamp".as_ptr(),
                    ptr::null_mut(),
                ),
                dpdk_sys::rte_mbuf_dynflag_lookup(
                    c"rte_dynflag_rx_timestamp".as_ptr(),
                    ptr::null_mut(),
                ),
            )
        };
        Some(Self {
            offset: u16::try_from(offset).ok()?,
            flag: 1_u64.checked_shl(u32::try_from(bit).ok()?)?,
        })
    }

    /// The packet's timestamp, in the driver's own unit (net_pcap: microseconds
    /// since 1970), if the driver gave it one.
    #[inline]
    pub fn get(self, mbuf: &Mbuf) -> Option<u64> {
        (mbuf.ol_flags() & self.flag != 0).then(|| {
            // SAFETY: DPDK reserved 8 bytes at the offset of every mbuf for it.
            unsafe {
                ptr::read_unaligned(mbuf.header().add(usize::from(self.offset)).cast::<u64>())
            }
        })
    }
}
