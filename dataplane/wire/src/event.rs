//! What is worth telling of a packet's headers, fragments and stream: Suricata's event names, and
//! sets of them that travel with a packet.

/// Makes [`Event`] and the table of its names from one list.
macro_rules! events {
    ($($variant:ident = $name:literal,)*) => {
        /// An event by which rules can ask for a packet (`decode-event`, `stream-event`,
        /// `engine-event`). Each is documented by its name in Suricata.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Event {
            $(
                #[doc = concat!("`", $name, "`")]
                $variant,
            )*
        }

        impl Event {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in Suricata with its prefix (`decoder.ipv4.trunc_pkt`).
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

events! {
    AfpacketTruncPkt = "decoder.afpacket.trunc_pkt",
    ChdlcPktTooSmall = "decoder.chdlc.pkt_too_small",
    DcePktTooSmall = "decoder.dce.pkt_too_small",
    ErspanHeaderTooSmall = "decoder.erspan.header_too_small",
    ErspanTooManyVlanLayers = "decoder.erspan.too_many_vlan_layers",
    ErspanUnsupportedVersion = "decoder.erspan.unsupported_version",
    EspPktTooSmall = "decoder.esp.pkt_too_small",
    EthernetPktTooSmall = "decoder.ethernet.pkt_too_small",
    GeneveUnknownPayloadType = "decoder.geneve.unknown_payload_type",
    GrePktTooSmall = "decoder.gre.pkt_too_small",
    GreVersion0Flags = "decoder.gre.version0_flags",
    GreVersion0HdrTooBig = "decoder.gre.version0_hdr_too_big",
    GreVersion0MalformedSreHdr = "decoder.gre.version0_malformed_sre_hdr",
    GreVersion0Recur = "decoder.gre.version0_recur",
    GreVersion1Chksum = "decoder.gre.version1_chksum",
    GreVersion1Flags = "decoder.gre.version1_flags",
    GreVersion1HdrTooBig = "decoder.gre.version1_hdr_too_big",
    GreVersion1MalformedSreHdr = "decoder.gre.version1_malformed_sre_hdr",
    GreVersion1NoKey = "decoder.gre.version1_no_key",
    GreVersion1Recur = "decoder.gre.version1_recur",
    GreVersion1Route = "decoder.gre.version1_route",
    GreVersion1Ssr = "decoder.gre.version1_ssr",
    GreVersion1WrongProtocol = "decoder.gre.version1_wrong_protocol",
    GreWrongVersion = "decoder.gre.wrong_version",
    Icmpv4Ipv4TruncPkt = "decoder.icmpv4.ipv4_trunc_pkt",
    Icmpv4Ipv4UnknownVer = "decoder.icmpv4.ipv4_unknown_ver",
    Icmpv4PktTooSmall = "decoder.icmpv4.pkt_too_small",
    Icmpv4UnknownCode = "decoder.icmpv4.unknown_code",
    Icmpv4UnknownType = "decoder.icmpv4.unknown_type",
    Icmpv6ExperimentationType = "decoder.icmpv6.experimentation_type",
    Icmpv6Ipv6TruncPkt = "decoder.icmpv6.ipv6_trunc_pkt",
    Icmpv6Ipv6UnknownVersion = "decoder.icmpv6.ipv6_unknown_version",
    Icmpv6MldMessageWithInvalidHl = "decoder.icmpv6.mld_message_with_invalid_hl",
    Icmpv6PktTooSmall = "decoder.icmpv6.pkt_too_small",
    Icmpv6UnassignedType = "decoder.icmpv6.unassigned_type",
    Icmpv6UnknownCode = "decoder.icmpv6.unknown_code",
    Icmpv6UnknownType = "decoder.icmpv6.unknown_type",
    Ieee8021ahHeaderTooSmall = "decoder.ieee8021ah.header_too_small",
    IprawInvalidIpVersion = "decoder.ipraw.invalid_ip_version",
    Ipv4FragIgnored = "decoder.ipv4.frag_ignored",
    Ipv4FragOverlap = "decoder.ipv4.frag_overlap",
    Ipv4FragPktTooLarge = "decoder.ipv4.frag_pkt_too_large",
    Ipv4HlenTooSmall = "decoder.ipv4.hlen_too_small",
    Ipv4Icmpv6 = "decoder.ipv4.icmpv6",
    Ipv4IplenSmallerThanHlen = "decoder.ipv4.iplen_smaller_than_hlen",
    Ipv4OptDuplicate = "decoder.ipv4.opt_duplicate",
    Ipv4OptEolRequired = "decoder.ipv4.opt_eol_required",
    Ipv4OptInvalid = "decoder.ipv4.opt_invalid",
    Ipv4OptInvalidLen = "decoder.ipv4.opt_invalid_len",
    Ipv4OptMalformed = "decoder.ipv4.opt_malformed",
    Ipv4OptPadRequired = "decoder.ipv4.opt_pad_required",
    Ipv4OptUnknown = "decoder.ipv4.opt_unknown",
    Ipv4PktTooSmall = "decoder.ipv4.pkt_too_small",
    Ipv4TruncPkt = "decoder.ipv4.trunc_pkt",
    Ipv4WrongIpVersion = "decoder.ipv4.wrong_ip_version",
    Ipv6DataAfterNoneHeader = "decoder.ipv6.data_after_none_header",
    Ipv6DstoptsOnlyPadding = "decoder.ipv6.dstopts_only_padding",
    Ipv6DstoptsUnknownOpt = "decoder.ipv6.dstopts_unknown_opt",
    Ipv6ExthdrAhResNotNull = "decoder.ipv6.exthdr_ah_res_not_null",
    Ipv6ExthdrDuplAh = "decoder.ipv6.exthdr_dupl_ah",
    Ipv6ExthdrDuplDh = "decoder.ipv6.exthdr_dupl_dh",
    Ipv6ExthdrDuplEh = "decoder.ipv6.exthdr_dupl_eh",
    Ipv6ExthdrDuplFh = "decoder.ipv6.exthdr_dupl_fh",
    Ipv6ExthdrDuplHh = "decoder.ipv6.exthdr_dupl_hh",
    Ipv6ExthdrDuplRh = "decoder.ipv6.exthdr_dupl_rh",
    Ipv6ExthdrInvalidOptlen = "decoder.ipv6.exthdr_invalid_optlen",
    Ipv6ExthdrUselessFh = "decoder.ipv6.exthdr_useless_fh",
    Ipv6FhNonZeroReservedField = "decoder.ipv6.fh_non_zero_reserved_field",
    Ipv6FragIgnored = "decoder.ipv6.frag_ignored",
    Ipv6FragInvalidLength = "decoder.ipv6.frag_invalid_length",
    Ipv6FragOverlap = "decoder.ipv6.frag_overlap",
    Ipv6FragPktTooLarge = "decoder.ipv6.frag_pkt_too_large",
    Ipv6HopoptsOnlyPadding = "decoder.ipv6.hopopts_only_padding",
    Ipv6HopoptsUnknownOpt = "decoder.ipv6.hopopts_unknown_opt",
    Ipv6Icmpv4 = "decoder.ipv6.icmpv4",
    Ipv6Ipv4InIpv6TooSmall = "decoder.ipv6.ipv4_in_ipv6_too_small",
    Ipv6Ipv4InIpv6WrongVersion = "decoder.ipv6.ipv4_in_ipv6_wrong_version",
    Ipv6Ipv6InIpv6TooSmall = "decoder.ipv6.ipv6_in_ipv6_too_small",
    Ipv6Ipv6InIpv6WrongVersion = "decoder.ipv6.ipv6_in_ipv6_wrong_version",
    Ipv6PktTooSmall = "decoder.ipv6.pkt_too_small",
    Ipv6RhType0 = "decoder.ipv6.rh_type_0",
    Ipv6TruncExthdr = "decoder.ipv6.trunc_exthdr",
    Ipv6TruncPkt = "decoder.ipv6.trunc_pkt",
    Ipv6UnknownNextHeader = "decoder.ipv6.unknown_next_header",
    Ipv6WrongIpVersion = "decoder.ipv6.wrong_ip_version",
    Ipv6ZeroLenPadn = "decoder.ipv6.zero_len_padn",
    LtnullPktTooSmall = "decoder.ltnull.pkt_too_small",
    LtnullUnsupportedType = "decoder.ltnull.unsupported_type",
    MplsBadLabelImplicitNull = "decoder.mpls.bad_label_implicit_null",
    MplsBadLabelReserved = "decoder.mpls.bad_label_reserved",
    MplsBadLabelRouterAlert = "decoder.mpls.bad_label_router_alert",
    MplsHeaderTooSmall = "decoder.mpls.header_too_small",
    MplsPktTooSmall = "decoder.mpls.pkt_too_small",
    MplsUnknownPayloadType = "decoder.mpls.unknown_payload_type",
    NshBadHeaderLength = "decoder.nsh.bad_header_length",
    NshHeaderTooSmall = "decoder.nsh.header_too_small",
    NshReservedType = "decoder.nsh.reserved_type",
    NshUnknownPayload = "decoder.nsh.unknown_payload",
    NshUnsupportedType = "decoder.nsh.unsupported_type",
    NshUnsupportedVersion = "decoder.nsh.unsupported_version",
    PppIp4PktTooSmall = "decoder.ppp.ip4_pkt_too_small",
    PppIp6PktTooSmall = "decoder.ppp.ip6_pkt_too_small",
    PppPktTooSmall = "decoder.ppp.pkt_too_small",
    PppUnsupProto = "decoder.ppp.unsup_proto",
    PppVjuPktTooSmall = "decoder.ppp.vju_pkt_too_small",
    PppWrongType = "decoder.ppp.wrong_type",
    PppoeMalformedTags = "decoder.pppoe.malformed_tags",
    PppoePktTooSmall = "decoder.pppoe.pkt_too_small",
    PppoeWrongCode = "decoder.pppoe.wrong_code",
    SctpPktTooSmall = "decoder.sctp.pkt_too_small",
    SllPktTooSmall = "decoder.sll.pkt_too_small",
    TcpHlenTooSmall = "decoder.tcp.hlen_too_small",
    TcpInvalidOptlen = "decoder.tcp.invalid_optlen",
    TcpOptDuplicate = "decoder.tcp.opt_duplicate",
    TcpOptInvalidLen = "decoder.tcp.opt_invalid_len",
    TcpPktTooSmall = "decoder.tcp.pkt_too_small",
    TooManyLayers = "decoder.too_many_layers",
    UdpHlenTooSmall = "decoder.udp.hlen_too_small",
    UdpLenInvalid = "decoder.udp.len_invalid",
    UdpPktTooSmall = "decoder.udp.pkt_too_small",
    VlanHeaderTooSmall = "decoder.vlan.header_too_small",
    VlanTooManyLayers = "decoder.vlan.too_many_layers",
    VlanUnknownType = "decoder.vlan.unknown_type",
    VntagHeaderTooSmall = "decoder.vntag.header_too_small",
    VntagUnknownType = "decoder.vntag.unknown_type",
    VxlanUnknownPayloadType = "decoder.vxlan.unknown_payload_type",
    StreamThreeWayAckDataInject = "stream.3whs_ack_data_inject",
    StreamThreeWayAckInWrongDir = "stream.3whs_ack_in_wrong_dir",
    StreamThreeWayAsyncWrongSeq = "stream.3whs_async_wrong_seq",
    StreamThreeWayRightSeqWrongAckEvasion = "stream.3whs_right_seq_wrong_ack_evasion",
    StreamThreeWaySynFlood = "stream.3whs_syn_flood",
    StreamThreeWaySynResendDiffSeqOnSynRecv = "stream.3whs_syn_resend_diff_seq_on_syn_recv",
    StreamThreeWaySynToclientOnSynRecv = "stream.3whs_syn_toclient_on_syn_recv",
    StreamThreeWaySynackFlood = "stream.3whs_synack_flood",
    StreamThreeWaySynackInWrongDirection = "stream.3whs_synack_in_wrong_direction",
    StreamThreeWaySynackResendWithDiffAck = "stream.3whs_synack_resend_with_diff_ack",
    StreamThreeWaySynackResendWithDiffSeq = "stream.3whs_synack_resend_with_diff_seq",
    StreamThreeWaySynackTfoDataIgnored = "stream.3whs_synack_tfo_data_ignored",
    StreamThreeWaySynackToserverOnSynRecv = "stream.3whs_synack_toserver_on_syn_recv",
    StreamThreeWaySynackWithWrongAck = "stream.3whs_synack_with_wrong_ack",
    StreamThreeWayWrongSeqWrongAck = "stream.3whs_wrong_seq_wrong_ack",
    StreamFourWayInvalidAck = "stream.4whs_invalid_ack",
    StreamFourWaySynackWithWrongAck = "stream.4whs_synack_with_wrong_ack",
    StreamFourWaySynackWithWrongSyn = "stream.4whs_synack_with_wrong_syn",
    StreamFourWayWrongSeq = "stream.4whs_wrong_seq",
    StreamClosewaitAckOutOfWindow = "stream.closewait_ack_out_of_window",
    StreamClosewaitFinOutOfWindow = "stream.closewait_fin_out_of_window",
    StreamClosewaitInvalidAck = "stream.closewait_invalid_ack",
    StreamClosewaitPktBeforeLastAck = "stream.closewait_pkt_before_last_ack",
    StreamClosingAckWrongSeq = "stream.closing_ack_wrong_seq",
    StreamClosingInvalidAck = "stream.closing_invalid_ack",
    StreamEstAckZwpData = "stream.est_ack_zwp_data",
    StreamEstInvalidAck = "stream.est_invalid_ack",
    StreamEstPacketOutOfWindow = "stream.est_packet_out_of_window",
    StreamEstPktBeforeLastAck = "stream.est_pkt_before_last_ack",
    StreamEstSynResend = "stream.est_syn_resend",
    StreamEstSynResendDiffSeq = "stream.est_syn_resend_diff_seq",
    StreamEstSynToclient = "stream.est_syn_toclient",
    StreamEstSynackResend = "stream.est_synack_resend",
    StreamEstSynackResendWithDiffAck = "stream.est_synack_resend_with_diff_ack",
    StreamEstSynackResendWithDiffSeq = "stream.est_synack_resend_with_diff_seq",
    StreamEstSynackToserver = "stream.est_synack_toserver",
    StreamFin1AckWrongSeq = "stream.fin1_ack_wrong_seq",
    StreamFin1FinWrongSeq = "stream.fin1_fin_wrong_seq",
    StreamFin1InvalidAck = "stream.fin1_invalid_ack",
    StreamFin2AckWrongSeq = "stream.fin2_ack_wrong_seq",
    StreamFin2FinWrongSeq = "stream.fin2_fin_wrong_seq",
    StreamFin2InvalidAck = "stream.fin2_invalid_ack",
    StreamFinButNoSession = "stream.fin_but_no_session",
    StreamFinInvalidAck = "stream.fin_invalid_ack",
    StreamFinOutOfWindow = "stream.fin_out_of_window",
    StreamFinSyn = "stream.fin_syn",
    StreamLastackAckWrongSeq = "stream.lastack_ack_wrong_seq",
    StreamLastackInvalidAck = "stream.lastack_invalid_ack",
    StreamPktBadWindowUpdate = "stream.pkt_bad_window_update",
    StreamPktBrokenAck = "stream.pkt_broken_ack",
    StreamPktInvalidAck = "stream.pkt_invalid_ack",
    StreamPktInvalidTimestamp = "stream.pkt_invalid_timestamp",
    StreamPktRetransmission = "stream.pkt_retransmission",
    StreamPktSpuriousRetransmission = "stream.pkt_spurious_retransmission",
    StreamReassemblyDepthReached = "stream.reassembly_depth_reached",
    StreamReassemblyInsertInvalid = "stream.reassembly_insert_invalid",
    StreamReassemblyInsertLimit = "stream.reassembly_insert_limit",
    StreamReassemblyInsertMemcap = "stream.reassembly_insert_memcap",
    StreamReassemblyNoSegment = "stream.reassembly_no_segment",
    StreamReassemblyOverlapDifferentData = "stream.reassembly_overlap_different_data",
    StreamReassemblySegmentBeforeBaseSeq = "stream.reassembly_segment_before_base_seq",
    StreamReassemblySeqGap = "stream.reassembly_seq_gap",
    StreamReassemblyUrgentOobLimitReached = "stream.reassembly_urgent_oob_limit_reached",
    StreamRstButNoSession = "stream.rst_but_no_session",
    StreamRstInvalidAck = "stream.rst_invalid_ack",
    StreamRstWithData = "stream.rst_with_data",
    StreamShutdownSynResend = "stream.shutdown_syn_resend",
    StreamSuspectedRstInject = "stream.suspected_rst_inject",
    StreamTimewaitAckWrongSeq = "stream.timewait_ack_wrong_seq",
    StreamTimewaitInvalidAck = "stream.timewait_invalid_ack",
    StreamWrongThread = "stream.wrong_thread",
}

/// Names under which Suricata knows some of them too.
const ALIASES: &[(&str, Event)] = &[
    ("stream.3whs_synack_resend_with_different_ack", Event::StreamThreeWaySynackResendWithDiffAck),
    ("stream.est_synack_resend_with_different_ack", Event::StreamEstSynackResendWithDiffAck),
];

impl Event {
    /// The event of a full name, in any case.
    pub fn find(name: &str) -> Option<Self> {
        let same = |known: &str| known.eq_ignore_ascii_case(name);
        let alias = ALIASES.iter().find(|(known, _)| same(known)).map(|(_, event)| *event);
        alias.or_else(|| Self::ALL.iter().copied().find(|event| same(event.name())))
    }

    /// Whether the decoder or the defragmenter records it, not the stream engine.
    pub fn is_decoder(self) -> bool {
        self.name().starts_with("decoder.")
    }
}

/// A set of events: one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct EventSet([u64; 4]);

// Every event has a bit.
const _: () = assert!(Event::ALL.len() <= 256);

impl EventSet {
    /// None.
    pub const EMPTY: Self = Self([0; 4]);

    /// Whether there is none.
    #[inline]
    pub const fn is_empty(self) -> bool {
        let [a, b, c, d] = self.0;
        a | b | c | d == 0
    }

    /// Adds one.
    #[inline]
    pub fn insert(&mut self, event: Event) {
        self.0[usize::from(event as u8 >> 6)] |= 1 << (event as u8 & 63);
    }

    /// Adds all of another set.
    #[inline]
    pub fn extend(&mut self, other: Self) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }

    /// Whether it holds an event.
    #[inline]
    pub const fn has(self, event: Event) -> bool {
        self.0[(event as u8 >> 6) as usize] & (1 << (event as u8 & 63)) != 0
    }

    /// Those in it, by number.
    pub fn iter(self) -> impl Iterator<Item = Event> {
        (0u8..).zip(self.0).flat_map(|(index, mut word)| {
            std::iter::from_fn(move || {
                let bit = word.trailing_zeros();
                // The lowest bit goes.
                word &= word.wrapping_sub(1);
                (bit < 64).then(|| usize::from(index) * 64 + bit as usize)
            })
            .filter_map(|number| Event::ALL.get(number).copied())
        })
    }
}

impl From<Event> for EventSet {
    fn from(event: Event) -> Self {
        let mut set = Self::EMPTY;
        set.insert(event);
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_its_own_name_and_is_found_by_it() {
        for (number, event) in Event::ALL.iter().enumerate() {
            assert_eq!(*event as usize, number);
            assert_eq!(Event::find(event.name()), Some(*event), "{}", event.name());
            assert_eq!(event.is_decoder(), !event.name().starts_with("stream."));
        }
        assert_eq!(Event::find("DECODER.IPv4.Trunc_Pkt"), Some(Event::Ipv4TruncPkt));
        assert_eq!(
            Event::find("stream.est_synack_resend_with_different_ack"),
            Some(Event::StreamEstSynackResendWithDiffAck)
        );
        assert_eq!(Event::find("decoder.ipv4"), None);
    }

    #[test]
    fn a_set_holds_what_was_put_in_and_tells_it_by_number() {
        let mut set = EventSet::EMPTY;
        assert!(set.is_empty() && set.iter().next().is_none());
        for event in Event::ALL.iter().rev().step_by(3) {
            set.insert(*event);
        }
        let mut expected: Vec<Event> = Event::ALL.iter().rev().step_by(3).copied().collect();
        expected.reverse();
        assert_eq!(set.iter().collect::<Vec<_>>(), expected);
        assert!(Event::ALL.iter().all(|event| set.has(*event) == expected.contains(event)));
        let mut other = EventSet::from(Event::Ipv4TruncPkt);
        other.extend(set);
        assert!(other.has(Event::Ipv4TruncPkt) && !other.is_empty());
    }
}
