//! A generation: everything that the cores read and the control side decides, in one piece.

use std::sync::Arc;

use app::{AppBuffer, AppEvent, AppProto, BufferSet, FileNeeds, buffer_spec};
use lanes::{Avx2, LANES, U32x8};
use rules::ruleset::Ruleset;
use rules::signature::Buffer;
use rules::state::HashKind;
use wire::{Direction, FRONT, Told};

use crate::scope::Scope;
use crate::settings::Settings;

/// A generation. Built off the cores, read by all of them, dropped by the control side.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts up with every publication, from 1.
    pub generation: u64,
    /// Whose traffic is inspected.
    pub scope: Scope,
    /// With which rules.
    pub rules: Arc<Ruleset>,
    /// How.
    pub settings: Settings,
    /// The application buffers that rules look at; parsers make no others.
    pub wanted: BufferSet,
    plans: Vec<TransactionPlan>,
    /// Signatures that ask for an event of a flow.
    flow_events: Vec<u32>,
    /// The decoder's settings without a look at checksums, and with one at those of IP headers.
    decoders: [wire::Config; 2],
    /// What plain packets are by these settings.
    glances: [wire::Glance; 2],
}

/// What is looked at in the transactions of one protocol and direction.
#[derive(Debug, Default)]
pub struct TransactionPlan {
    /// Indices into [`Ruleset::transaction_lists`] with the buffer and the progress from which on
    /// it is there.
    pub lists: Vec<(usize, AppBuffer, u8)>,
    /// Signatures that no prefilter proposes.
    pub always: Vec<u32>,
    /// Bodies that rules look at.
    pub bodies: Vec<AppBuffer>,
    /// Signatures that an event proposes.
    pub events: Vec<(AppEvent, u32)>,
}

/// The protocols whose transactions are inspected.
const PROTOCOLS: [AppProto; 3] = [AppProto::Http1, AppProto::Dns, AppProto::Tls];

/// The application parser's name of a rule's buffer in one direction.
pub fn app_buffer(buffer: Buffer, direction: Direction) -> Option<AppBuffer> {
    let by_side = |request, response| match direction {
        Direction::ToServer => request,
        Direction::ToClient => response,
    };
    Some(match buffer {
        Buffer::HttpMethod => AppBuffer::HttpMethod,
        Buffer::HttpUri => AppBuffer::HttpUri,
        Buffer::HttpUriRaw => AppBuffer::HttpUriRaw,
        Buffer::HttpHost => AppBuffer::HttpHost,
        Buffer::HttpHostRaw => AppBuffer::HttpHostRaw,
        Buffer::HttpRequestHeader => AppBuffer::HttpRequestHeader,
        Buffer::HttpResponseHeader => AppBuffer::HttpResponseHeader,
        Buffer::HttpUserAgent => AppBuffer::HttpUserAgent,
        Buffer::HttpReferer => AppBuffer::HttpReferer,
        Buffer::HttpAccept => AppBuffer::HttpAccept,
        Buffer::HttpAcceptEnc => AppBuffer::HttpAcceptEnc,
        Buffer::HttpAcceptLang => AppBuffer::HttpAcceptLang,
        Buffer::HttpRequestLine => AppBuffer::HttpRequestLine,
        Buffer::HttpResponseLine => AppBuffer::HttpResponseLine,
        Buffer::HttpStatCode => AppBuffer::HttpStatCode,
        Buffer::HttpStatMsg => AppBuffer::HttpStatMsg,
        Buffer::HttpServer => AppBuffer::HttpServer,
        Buffer::HttpLocation => AppBuffer::HttpLocation,
        Buffer::DnsQuery => AppBuffer::DnsQuery,
        Buffer::TlsSni => AppBuffer::TlsSni,
        Buffer::Ja3Hash => AppBuffer::Ja3Hash,
        Buffer::Ja3String => AppBuffer::Ja3String,
        Buffer::Ja3sHash => AppBuffer::Ja3sHash,
        Buffer::Ja3sString => AppBuffer::Ja3sString,
        Buffer::Ja4Hash => AppBuffer::Ja4Hash,
        Buffer::TlsCertSubject => {
            by_side(AppBuffer::TlsClientCertSubject, AppBuffer::TlsCertSubject)
        }
        Buffer::TlsCertIssuer => by_side(AppBuffer::TlsClientCertIssuer, AppBuffer::TlsCertIssuer),
        Buffer::TlsCertSerial => by_side(AppBuffer::TlsClientCertSerial, AppBuffer::TlsCertSerial),
        Buffer::TlsCertFingerprint => {
            by_side(AppBuffer::TlsClientCertFingerprint, AppBuffer::TlsCertFingerprint)
        }
        Buffer::TlsCerts => by_side(AppBuffer::TlsClientCerts, AppBuffer::TlsCerts),
        Buffer::TlsRandom => by_side(AppBuffer::TlsRandom, AppBuffer::TlsServerRandom),
        Buffer::TlsRandomTime => by_side(AppBuffer::TlsRandomTime, AppBuffer::TlsServerRandomTime),
        Buffer::TlsRandomBytes => {
            by_side(AppBuffer::TlsRandomBytes, AppBuffer::TlsServerRandomBytes)
        }
        Buffer::HttpHeader => by_side(AppBuffer::HttpHeader, AppBuffer::HttpReplyHeader),
        Buffer::HttpHeaderRaw => by_side(AppBuffer::HttpHeaderRaw, AppBuffer::HttpReplyHeaderRaw),
        Buffer::HttpHeaderNames => {
            by_side(AppBuffer::HttpHeaderNames, AppBuffer::HttpReplyHeaderNames)
        }
        Buffer::HttpCookie => by_side(AppBuffer::HttpCookie, AppBuffer::HttpReplyCookie),
        Buffer::HttpConnection => {
            by_side(AppBuffer::HttpConnection, AppBuffer::HttpReplyConnection)
        }
        Buffer::HttpContentType => {
            by_side(AppBuffer::HttpContentType, AppBuffer::HttpReplyContentType)
        }
        Buffer::HttpContentLen => {
            by_side(AppBuffer::HttpContentLen, AppBuffer::HttpReplyContentLen)
        }
        Buffer::HttpProtocol => by_side(AppBuffer::HttpProtocol, AppBuffer::HttpReplyProtocol),
        Buffer::HttpStart => by_side(AppBuffer::HttpStart, AppBuffer::HttpReplyStart),
        Buffer::HttpRequestBody => AppBuffer::HttpRequestBody,
        Buffer::FileName => by_side(AppBuffer::HttpFileName, AppBuffer::HttpReplyFileName),
        Buffer::FileData | Buffer::FileSize | Buffer::FileHash => {
            by_side(AppBuffer::HttpRequestBody, AppBuffer::HttpReplyBody)
        }
        Buffer::Payload
        | Buffer::Ipv4Hdr
        | Buffer::Ipv6Hdr
        | Buffer::TcpHdr
        | Buffer::UdpHdr
        | Buffer::Icmpv4Hdr
        | Buffer::Icmpv6Hdr
        | Buffer::IpSrc
        | Buffer::IpDst
        | Buffer::Base64Data => return None,
    })
}

/// The buffers that rules look at.
fn wanted(rules: &Ruleset) -> BufferSet {
    let mut wanted = BufferSet::default();
    for signature in &rules.signatures {
        let ways = [
            (signature.to_server, Direction::ToServer),
            (signature.to_client, Direction::ToClient),
        ];
        for tests in &signature.buffers {
            let ways = ways.iter().filter(|(may, _)| *may);
            for buffer in ways.filter_map(|&(_, way)| app_buffer(tests.buffer, way)) {
                wanted.insert(buffer);
            }
        }
    }
    if wanted.contains(AppBuffer::HttpFileName) {
        // names are in it
        wanted.insert(AppBuffer::HttpRequestBody);
    }
    wanted
}

/// What rules ask of files beside their bytes.
fn file_needs(rules: &Ruleset) -> FileNeeds {
    let mut needs = FileNeeds::default();
    for signature in &rules.signatures {
        let of_file = signature.buffers.iter().any(|tests| tests.buffer.is_of_file());
        needs.parts |= of_file && signature.to_server;
        for list in signature.hash_lists() {
            match list.kind() {
                HashKind::Md5 => needs.md5 = true,
                HashKind::Sha1 => needs.sha1 = true,
                HashKind::Sha256 => needs.sha256 = true,
            }
        }
    }
    needs
}

impl Snapshot {
    /// Puts a generation together.
    pub fn new(generation: u64, scope: Scope, rules: Arc<Ruleset>, mut settings: Settings) -> Self {
        settings.app.tls_certificate_events =
            rules.event_signatures().iter().any(|(event, _)| event.is_of_certificate());
        settings.app.files = file_needs(&rules);
        let wanted = wanted(&rules);
        let mut plans = Vec::new();
        for proto in PROTOCOLS {
            for direction in [Direction::ToServer, Direction::ToClient] {
                let mut lists: Vec<_> = rules
                    .transaction_lists()
                    .iter()
                    .enumerate()
                    .filter(|(_, list)| list.direction == direction.index())
                    .filter_map(|(i, list)| {
                        let buffer = app_buffer(list.buffer, direction)?;
                        let spec = buffer_spec(buffer);
                        (spec.proto == proto).then_some((i, buffer, spec.min_progress))
                    })
                    .collect();
                lists.sort_by_key(|&(i, _, progress)| (progress, i));
                let always = rules.transaction_always(proto.name(), direction.index()).to_vec();
                let goes = |number: u32| {
                    rules.signatures.get(number as usize).is_some_and(|s| match direction {
                        Direction::ToServer => s.to_server,
                        Direction::ToClient => s.to_client,
                    })
                };
                let asked = rules.event_signatures().iter().copied();
                let events = asked.filter(|&(e, n)| e.proto() == proto && goes(n)).collect();
                let bodies = AppBuffer::ALL
                    .into_iter()
                    .filter(|&buffer| {
                        let spec = buffer_spec(buffer);
                        let here = spec.proto == proto && spec.dir == direction;
                        buffer.is_body() && here && wanted.contains(buffer)
                    })
                    .collect();
                plans.push(TransactionPlan { lists, always, bodies, events });
            }
        }
        let asked = rules.event_signatures().iter();
        let flow_events = asked
            .filter(|(event, _)| event.proto() == AppProto::Unknown)
            .map(|&(_, n)| n)
            .collect();
        let checked = settings.decoder.verify_checksums;
        let decoders = [false, checked].map(|verify_checksums| wire::Config {
            verify_checksums,
            verify_transport: false,
            ..settings.decoder.clone()
        });
        let glances = decoders.each_ref().map(wire::Glance::new);
        Self { generation, scope, rules, settings, wanted, plans, flow_events, decoders, glances }
    }

    /// The decoder's settings; with or without a look at the checksums of IP headers. Those of
    /// transports are looked at later, if the packet is in scope.
    #[inline]
    pub fn decoder(&self, ignore_checksums: bool) -> &wire::Config {
        let [unchecked, checked] = &self.decoders;
        if ignore_checksums { unchecked } else { checked }
    }

    /// What application parsers are told.
    #[inline]
    pub fn parsers<'a>(&'a self, certificates: &'a app::Certificates) -> app::Config<'a> {
        app::Config { limits: &self.settings.app, wanted: self.wanted, certificates }
    }

    /// May datagrams that carry others go both ways between these ports?
    #[inline]
    pub fn may_carry_both_ways(&self, ports: (u16, u16)) -> bool {
        let [glance, _] = &self.glances;
        glance.may_carry_both_ways(&self.settings.decoder, ports)
    }

    /// Is this the frame of a plain packet, see [`wire::Glance`], with nobody's address in it?
    #[inline(always)]
    pub fn is_nobodys(&self, link: wire::LinkType, frame: &[u8], ignore_checksums: bool) -> bool {
        self.glance(ignore_checksums).is_plain_and(link, frame, AreNobodys(&self.scope))
    }

    /// Which of eight frames in Ethernet are plain, and of which of these holds [`Self::is_nobodys`]? See
    /// [`wire::Glance::are_plain_and`].
    #[inline(always)]
    pub fn are_nobodys(
        &self,
        avx: Avx2,
        fronts: &[&[u8; FRONT]; LANES],
        lengths: &[u32; LANES],
        ignore_checksums: bool,
    ) -> Told {
        self.glance(ignore_checksums).are_plain_and(avx, fronts, lengths, AreNobodys(&self.scope))
    }

    /// What plain packets are; with or without a look at the checksums of IP headers.
    #[inline(always)]
    fn glance(&self, ignore_checksums: bool) -> &wire::Glance {
        let [unchecked, checked] = &self.glances;
        if ignore_checksums { unchecked } else { checked }
    }

    /// The plan for a protocol's transactions in a direction, if any rule looks at them.
    pub fn plan(&self, proto: AppProto, direction: Direction) -> Option<&TransactionPlan> {
        let at = PROTOCOLS.iter().position(|&p| p == proto)?;
        self.plans.get(at * 2 + direction.index()).filter(|plan| {
            !(plan.lists.is_empty() && plan.always.is_empty() && plan.events.is_empty())
        })
    }

    /// The signatures that are candidates where a flow has an event.
    pub fn flow_events(&self) -> &[u32] {
        &self.flow_events
    }
}

/// Are both addresses in nobody's scope?
#[derive(Clone, Copy)]
struct AreNobodys<'a>(&'a Scope);

impl wire::Asked for AreNobodys<'_> {
    #[inline(always)]
    fn v4(self, src: u32, dst: u32) -> bool {
        self.0.are_nobodys_v4(src, dst)
    }

    #[inline(always)]
    fn v6(self, src: u128, dst: u128) -> bool {
        self.0.are_nobodys_v6(src, dst)
    }
}

impl wire::AskedOfEach for AreNobodys<'_> {
    #[inline(always)]
    fn each_v4(self, avx: Avx2, src: U32x8, dst: U32x8) -> U32x8 {
        self.0.are_surely_nobodys(avx, src, dst)
    }
}
