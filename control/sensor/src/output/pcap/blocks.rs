//! Blocks of pcapng (the IETF draft `draft-ietf-opsawg-pcapng`), as bytes.

use std::borrow::Cow;
use std::io;

use engine::pcap::PcapPacket;
use pcap_parser::{
    EnhancedPacketBlock, InterfaceDescriptionBlock, Linktype, OptionCode, PcapNGOption,
    SectionHeaderBlock, ToVec,
};

/// Fractions of a second that times are told in: ten to the minus ninth.
const NANOSECONDS: u8 = 9;

fn option(code: OptionCode, value: &[u8]) -> PcapNGOption<'_> {
    // Every value here is shorter by far.
    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    PcapNGOption { code, len, value: Cow::Borrowed(value) }
}

fn bytes(mut block: impl ToVec) -> io::Result<Vec<u8>> {
    block.to_vec().map_err(|error| io::Error::other(format!("no pcapng block: {error:?}")))
}

/// The block that a file begins with.
pub(super) fn section() -> io::Result<Vec<u8>> {
    let program = concat!("pollux ", env!("CARGO_PKG_VERSION"));
    bytes(SectionHeaderBlock {
        block_type: 0,
        block_len1: 0,
        bom: 0,
        major_version: 1,
        minor_version: 0,
        // Unknown: the file is still written.
        section_len: -1,
        options: vec![option(OptionCode::ShbUserAppl, program.as_bytes())],
        block_len2: 0,
    })
}

/// An interface: its name, where it has one, and link type.
pub(super) fn interface(name: Option<&str>, link: u16) -> io::Result<Vec<u8>> {
    let resolution = [NANOSECONDS, 0, 0, 0];
    let mut options: Vec<_> =
        name.map(|name| option(OptionCode::IfName, name.as_bytes())).into_iter().collect();
    options.push(PcapNGOption { len: 1, ..option(OptionCode::IfTsresol, &resolution) });
    bytes(InterfaceDescriptionBlock {
        block_type: 0,
        block_len1: 0,
        linktype: Linktype(i32::from(link)),
        reserved: 0,
        // No limit.
        snaplen: 0,
        options,
        block_len2: 0,
        if_tsresol: NANOSECONDS,
        if_tsoffset: 0,
    })
}

/// A packet of this interface of the file.
pub(super) fn packet(
    interface: u32,
    packet: &PcapPacket,
    comments: &[String],
) -> io::Result<Vec<u8>> {
    let comments = comments.iter().map(|text| option(OptionCode::Comment, text.as_bytes()));
    bytes(EnhancedPacketBlock {
        block_type: 0,
        block_len1: 0,
        if_id: interface,
        ts_high: (packet.timestamp >> 32) as u32,
        ts_low: packet.timestamp as u32,
        caplen: u32::try_from(packet.bytes.len()).unwrap_or(u32::MAX),
        origlen: packet.wire_len,
        data: &packet.bytes,
        options: comments.collect(),
        block_len2: 0,
    })
}
