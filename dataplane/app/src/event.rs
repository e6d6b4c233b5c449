//! Events: what a parser finds odd in a transaction, and the flow in its protocol, by the names that
//! `app-layer-event` takes (`http.double_encoded_uri`, `applayer_unexpected_protocol`).

use crate::proto::AppProto;

/// One of the events that are recorded: of a protocol's transactions, or of flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppEvent {
    proto: AppProto,
    index: u8,
}

/// A set of events of one protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventSet(u64);

impl EventSet {
    /// How many events a protocol may have.
    pub const CAPACITY: usize = 64;

    /// Adds an event; false: it was there.
    pub fn insert(&mut self, event: impl Into<AppEvent>) -> bool {
        let before = self.0;
        self.0 |= 1 << (event.into().index & 63);
        self.0 != before
    }

    /// Is it there?
    pub fn contains(self, event: AppEvent) -> bool {
        self.0 >> (event.index & 63) & 1 == 1
    }

    /// Is there none?
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds those of another set; false: they were all there.
    pub fn extend(&mut self, other: Self) -> bool {
        let before = self.0;
        self.0 |= other.0;
        self.0 != before
    }

    /// Those of this set that the other has not.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl AppEvent {
    /// The event that `app-layer-event` means by `name` behind the protocol and a dot; the names of
    /// flows' own events (`proto` is [`AppProto::Unknown`]) stand by themselves.
    pub fn named(proto: AppProto, name: &str) -> Option<Self> {
        let index = Self::names(proto).iter().position(|known| *known == name)?;
        Some(Self { proto, index: u8::try_from(index).ok()? })
    }

    /// The names of a protocol's events; [`AppProto::Unknown`]: of flows' own. Empty where nothing is
    /// recorded.
    pub fn names(proto: AppProto) -> &'static [&'static str] {
        match proto {
            AppProto::Unknown => FlowEvent::NAMES,
            AppProto::Http1 => HttpEvent::NAMES,
            AppProto::Tls => TlsEvent::NAMES,
            AppProto::Dns => DnsEvent::NAMES,
            _ => &[],
        }
    }

    /// Whose transactions have it; [`AppProto::Unknown`]: it is a flow's own.
    pub fn proto(self) -> AppProto {
        self.proto
    }

    /// Is it of a TLS certificate that cannot be read?
    pub fn is_of_certificate(self) -> bool {
        self.proto == AppProto::Tls && self.name().starts_with("certificate_")
    }

    /// Its name, without the protocol's.
    pub fn name(self) -> &'static str {
        Self::names(self.proto).get(usize::from(self.index)).copied().unwrap_or_default()
    }
}

macro_rules! events {
    ($(#[$doc:meta])* $name:ident of $proto:ident { $($variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        #[allow(missing_docs)] // the names are Suricata's and say what they mean
        pub enum $name {
            $($variant),+
        }

        impl $name {
            const NAMES: &[&str] = &[$($text),+];
        }

        const _: () = assert!($name::NAMES.len() <= EventSet::CAPACITY);

        impl From<$name> for AppEvent {
            fn from(event: $name) -> Self {
                Self { proto: AppProto::$proto, index: event as u8 }
            }
        }
    };
}

events! {
    /// What is odd about the protocol of a flow; seen with the packet that shows it.
    FlowEvent of Unknown {
        MismatchProtocolBothDirections = "applayer_mismatch_protocol_both_directions",
        WrongDirectionFirstData = "applayer_wrong_direction_first_data",
        DetectProtocolOnlyOneDirection = "applayer_detect_protocol_only_one_direction",
        ProtoDetectionSkipped = "applayer_proto_detection_skipped",
        NoTlsAfterStarttls = "applayer_no_tls_after_starttls",
        UnexpectedProtocol = "applayer_unexpected_protocol",
    }
}

events! {
    /// What is odd about an HTTP/1 transaction.
    HttpEvent of Http1 {
        UnknownError = "unknown_error",
        GzipDecompressionFailed = "gzip_decompression_failed",
        RequestFieldMissingColon = "request_field_missing_colon",
        ResponseFieldMissingColon = "response_field_missing_colon",
        InvalidRequestChunkLen = "invalid_request_chunk_len",
        InvalidResponseChunkLen = "invalid_response_chunk_len",
        InvalidTransferEncodingValueInRequest = "invalid_transfer_encoding_value_in_request",
        InvalidTransferEncodingValueInResponse = "invalid_transfer_encoding_value_in_response",
        InvalidContentLengthFieldInRequest = "invalid_content_length_field_in_request",
        InvalidContentLengthFieldInResponse = "invalid_content_length_field_in_response",
        Continue100AlreadySeen = "100_continue_already_seen",
        UnableToMatchResponseToRequest = "unable_to_match_response_to_request",
        InvalidServerPortInRequest = "invalid_server_port_in_request",
        InvalidAuthorityPort = "invalid_authority_port",
        RequestHeaderInvalid = "request_header_invalid",
        ResponseHeaderInvalid = "response_header_invalid",
        MissingHostHeader = "missing_host_header",
        HostHeaderAmbiguous = "host_header_ambiguous",
        InvalidRequestFieldFolding = "invalid_request_field_folding",
        InvalidResponseFieldFolding = "invalid_response_field_folding",
        RequestFieldTooLong = "request_field_too_long",
        ResponseFieldTooLong = "response_field_too_long",
        MultipartGenericError = "multipart_generic_error",
        MultipartNoFiledata = "multipart_no_filedata",
        MultipartInvalidHeader = "multipart_invalid_header",
        RequestServerPortTcpPortMismatch = "request_server_port_tcp_port_mismatch",
        RequestUriHostInvalid = "request_uri_host_invalid",
        RequestHeaderHostInvalid = "request_header_host_invalid",
        UriDelimNonCompliant = "uri_delim_non_compliant",
        MethodDelimNonCompliant = "method_delim_non_compliant",
        RequestLineLeadingWhitespace = "request_line_leading_whitespace",
        TooManyEncodingLayers = "too_many_encoding_layers",
        AbnormalCeHeader = "abnormal_ce_header",
        RequestAuthUnrecognized = "request_auth_unrecognized",
        RequestHeaderRepetition = "request_header_repetition",
        ResponseHeaderRepetition = "response_header_repetition",
        ResponseMultipartByteranges = "response_multipart_byteranges",
        ResponseAbnormalTransferEncoding = "response_abnormal_transfer_encoding",
        ResponseChunkedOldProto = "response_chunked_old_proto",
        ResponseInvalidProtocol = "response_invalid_protocol",
        ResponseInvalidStatus = "response_invalid_status",
        RequestLineIncomplete = "request_line_incomplete",
        DoubleEncodedUri = "double_encoded_uri",
        RequestLineInvalid = "request_line_invalid",
        RequestBodyUnexpected = "request_body_unexpected",
        LzmaMemlimitReached = "lzma_memlimit_reached",
        DuplicateContentLengthFieldInRequest = "duplicate_content_length_field_in_request",
        DuplicateContentLengthFieldInResponse = "duplicate_content_length_field_in_response",
        CompressionBomb = "compression_bomb",
        TooManyWarnings = "too_many_warnings",
        RangeInvalid = "range_invalid",
        FileNameTooLong = "file_name_too_long",
        FailedProtocolChange = "failed_protocol_change",
        RequestChunkExtension = "request_chunk_extension",
        RequestLineMissingProtocol = "request_line_missing_protocol",
        RequestTooManyHeaders = "request_too_many_headers",
        ResponseTooManyHeaders = "response_too_many_headers",
    }
}

events! {
    /// What is odd about a TLS session.
    TlsEvent of Tls {
        InvalidSslv2Header = "invalid_sslv2_header",
        InvalidTlsHeader = "invalid_tls_header",
        InvalidRecordVersion = "invalid_record_version",
        InvalidRecordType = "invalid_record_type",
        InvalidRecordLength = "invalid_record_length",
        InvalidHandshakeMessage = "invalid_handshake_message",
        HeartbeatMessage = "heartbeat_message",
        InvalidHeartbeatMessage = "invalid_heartbeat_message",
        OverflowHeartbeatMessage = "overflow_heartbeat_message",
        DataleakHeartbeatMismatch = "dataleak_heartbeat_mismatch",
        HandshakeInvalidLength = "handshake_invalid_length",
        MultipleSniExtensions = "multiple_sni_extensions",
        InvalidSniType = "invalid_sni_type",
        InvalidSniLength = "invalid_sni_length",
        TooManyRecordsInPacket = "too_many_records_in_packet",
        InvalidCertificate = "invalid_certificate",
        CertificateInvalidLength = "certificate_invalid_length",
        CertificateInvalidVersion = "certificate_invalid_version",
        CertificateInvalidSerial = "certificate_invalid_serial",
        CertificateInvalidAlgorithmidentifier = "certificate_invalid_algorithmidentifier",
        CertificateInvalidX509name = "certificate_invalid_x509name",
        CertificateInvalidDate = "certificate_invalid_date",
        CertificateInvalidExtensions = "certificate_invalid_extensions",
        CertificateInvalidDer = "certificate_invalid_der",
        CertificateInvalidSubject = "certificate_invalid_subject",
        CertificateInvalidIssuer = "certificate_invalid_issuer",
        CertificateInvalidValidity = "certificate_invalid_validity",
        ErrorMessageEncountered = "error_message_encountered",
        InvalidSslRecord = "invalid_ssl_record",
    }
}

events! {
    /// What is odd about a DNS message.
    DnsEvent of Dns {
        MalformedData = "malformed_data",
        NotRequest = "not_request",
        NotResponse = "not_response",
        ZFlagSet = "z_flag_set",
        InvalidOpcode = "invalid_opcode",
        NameTooLong = "name_too_long",
        InfiniteLoop = "infinite_loop",
        TooManyLabels = "too_many_labels",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_its_event_and_back() {
        for proto in AppProto::ALL {
            for (at, name) in AppEvent::names(proto).iter().enumerate() {
                let event = AppEvent::named(proto, name).expect(name);
                assert_eq!((event.proto(), event.name()), (proto, *name));
                assert_eq!(AppEvent::names(proto).iter().position(|other| other == name), Some(at));
            }
        }
        let last = AppEvent::from(HttpEvent::ResponseTooManyHeaders);
        assert_eq!(last.name(), "response_too_many_headers");
        assert_eq!(AppEvent::named(AppProto::Dns, "flooded"), None);
        assert_eq!(AppEvent::names(AppProto::Smtp), &[""; 0]);
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let mut set = EventSet::default();
        assert!(set.is_empty());
        assert!(set.insert(HttpEvent::UnknownError) && !set.insert(HttpEvent::UnknownError));
        let before = set;
        assert!(set.insert(HttpEvent::ResponseTooManyHeaders));
        assert!(set.contains(HttpEvent::ResponseTooManyHeaders.into()));
        assert!(!set.without(before).contains(HttpEvent::UnknownError.into()));
        assert!(set.without(before).contains(HttpEvent::ResponseTooManyHeaders.into()));
        assert!(set.without(set).is_empty());
    }
}
