//! The JSON objects of a line, field by field in Suricata's order. Everything is borrowed from the
//! alert.

use std::net::IpAddr;

use app::{FileState, TxSummary};
use engine::alert::{FileSummary, FlowSummary};
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::community_id::CommunityId;
use super::dns::Dns;
use super::proto_names::ProtoName;
use super::text::{Address, Base64, Hex, Printable, Time};
use super::tls::Tls;
use super::variables::{Metadata, Traffic};
use crate::output::names::{Identity, Named};

/// What every line begins with.
#[derive(Serialize)]
pub(crate) struct Common<'a> {
    pub(crate) timestamp: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) flow_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) in_iface: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pcap_cnt: Option<u64>,
    pub(crate) event_type: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) vlan: &'a [u16],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) src_ip: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) src_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dest_ip: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dest_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proto: Option<ProtoName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) icmp_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) icmp_code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip_v: Option<u8>,
    pub(crate) pkt_src: &'static str,
}

/// Whom a line is about.
#[derive(Serialize)]
pub(crate) struct Who<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kubernetes: Option<Kubernetes<'a>>,
    #[serde(skip_serializing_if = "Resources::is_empty")]
    pub(crate) dpi: Resources<'a>,
}

/// The packet, where it is asked for.
#[derive(Default, Serialize)]
pub(crate) struct Bytes<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) packet: Option<Base64<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) packet_info: Option<PacketInfo>,
}

impl<'a> Bytes<'a> {
    pub(crate) fn of(packet: &'a Option<(Box<[u8]>, u16)>) -> Self {
        packet.as_ref().map_or_else(Self::default, |(bytes, linktype)| Self {
            packet: Some(Base64(bytes)),
            packet_info: Some(PacketInfo { linktype: *linktype }),
        })
    }
}

/// A line about an alert.
#[derive(Serialize)]
pub(crate) struct Record<'a> {
    #[serde(flatten)]
    pub(crate) common: Common<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) traffic: Option<Traffic<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) community_id: Option<CommunityId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tx_id: Option<u64>,
    pub(crate) alert: AlertObject<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tunnel: Option<Tunnel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) http: Option<Http<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dns: Option<Dns<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<Tls<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<File<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) app_proto: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) direction: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) flow: Option<Flow>,
    #[serde(flatten)]
    pub(crate) who: Who<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payload: Option<Base64<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payload_printable: Option<Printable<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stream: Option<u8>,
    #[serde(flatten)]
    pub(crate) bytes: Bytes<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) xff: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) capture_file: Option<&'a str>,
}

/// A line about a tagged packet.
#[derive(Serialize)]
pub(crate) struct TaggedPacket<'a> {
    #[serde(flatten)]
    pub(crate) common: Common<'a>,
    #[serde(flatten)]
    pub(crate) who: Who<'a>,
    #[serde(flatten)]
    pub(crate) bytes: Bytes<'a>,
}

/// `alert`
#[derive(Serialize)]
pub(crate) struct AlertObject<'a> {
    pub(crate) action: &'static str,
    pub(crate) gid: u32,
    pub(crate) signature_id: u32,
    pub(crate) rev: u32,
    pub(crate) signature: &'a str,
    pub(crate) category: &'a str,
    pub(crate) severity: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<&'a End>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<&'a End>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<&'a RawValue>,
}

/// `alert.source`, `alert.target`
#[derive(Serialize)]
pub(crate) struct End {
    pub(crate) ip: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
}

/// `tunnel`; `kind`, `vni` and `key` are Pollux's own.
#[derive(Serialize)]
pub(crate) struct Tunnel {
    pub(crate) src_ip: Address,
    pub(crate) dest_ip: Address,
    pub(crate) proto: ProtoName,
    pub(crate) depth: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pcap_cnt: Option<u64>,
    pub(crate) pkt_src: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vni: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<u32>,
}

/// The application protocol's own object: at most one of them.
#[derive(Default)]
pub(crate) struct Application<'a> {
    pub(crate) http: Option<Http<'a>>,
    pub(crate) dns: Option<Dns<'a>>,
    pub(crate) tls: Option<Tls<'a>>,
}

impl<'a> Application<'a> {
    pub(crate) fn of(summary: &'a TxSummary) -> Self {
        let mut object = Self::default();
        match summary {
            TxSummary::Http(http) => {
                object.http = Some(Http {
                    hostname: http.hostname.as_deref(),
                    http_port: http.http_port,
                    url: http.url.as_deref(),
                    http_user_agent: http.http_user_agent.as_deref(),
                    xff: http.xff.as_deref(),
                    http_content_type: http.http_content_type.as_deref(),
                    http_refer: http.http_refer.as_deref(),
                    http_method: http.http_method.as_deref(),
                    protocol: http.protocol.as_deref(),
                    status: http.status,
                    redirect: http.redirect.as_deref(),
                    length: http.length,
                });
            }
            TxSummary::Dns(dns) => object.dns = Some(Dns(dns)),
            TxSummary::Tls(tls) => object.tls = Some(Tls::of(tls)),
        }
        object
    }
}

/// `http`
#[derive(Serialize)]
pub(crate) struct Http<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_user_agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xff: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_refer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect: Option<&'a str>,
    length: u64,
}

/// One of `files`.
#[derive(Serialize)]
pub(crate) struct File<'a> {
    filename: &'a str,
    gaps: bool,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    md5: Option<Hex<16>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha1: Option<Hex<20>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<Hex<32>>,
    stored: bool,
    size: u64,
    tx_id: u64,
}

impl<'a> File<'a> {
    pub(crate) fn of(file: &'a FileSummary, tx_id: u64) -> Self {
        Self {
            filename: file.name.as_deref().unwrap_or_default(),
            gaps: file.gaps,
            state: match file.state {
                FileState::Open => "UNKNOWN",
                FileState::Closed => "CLOSED",
                FileState::Truncated => "TRUNCATED",
            },
            md5: file.digests.md5.map(Hex),
            sha1: file.digests.sha1.map(Hex),
            sha256: file.digests.sha256.map(Hex),
            stored: false,
            size: file.size,
            tx_id,
        }
    }
}

/// `flow`, as it stood at the alert.
#[derive(Serialize)]
pub(crate) struct Flow {
    pkts_toserver: u64,
    pkts_toclient: u64,
    bytes_toserver: u64,
    bytes_toclient: u64,
    start: Time,
    src_ip: Address,
    dest_ip: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_port: Option<u16>,
}

impl Flow {
    pub(crate) fn of(flow: &FlowSummary, with_ports: bool) -> Self {
        let end = |(address, port): (IpAddr, u16)| (Address(address), with_ports.then_some(port));
        let ((src_ip, src_port), (dest_ip, dest_port)) = (end(flow.client), end(flow.server));
        Self {
            pkts_toserver: flow.packets[0],
            pkts_toclient: flow.packets[1],
            bytes_toserver: flow.bytes[0],
            bytes_toclient: flow.bytes[1],
            start: Time(flow.start),
            src_ip,
            dest_ip,
            src_port,
            dest_port,
        }
    }
}

/// `packet_info`
#[derive(Serialize)]
pub(crate) struct PacketInfo {
    pub(crate) linktype: u16,
}

/// `kubernetes`: the sides that are known endpoints.
#[derive(Serialize)]
pub(crate) struct Kubernetes<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Pod<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<Pod<'a>>,
}

impl<'a> Kubernetes<'a> {
    pub(crate) fn of(identity: &'a Identity) -> Option<Self> {
        let pod = |named: &'a Option<Named>| named.as_ref().and_then(Pod::of);
        let (source, destination) = (pod(&identity.source), pod(&identity.destination));
        (source.is_some() || destination.is_some()).then_some(Self { source, destination })
    }
}

#[derive(Serialize)]
struct Pod<'a> {
    namespace: &'a str,
    pod: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    node: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    service_account: &'a str,
}

impl<'a> Pod<'a> {
    fn of(named: &'a Named) -> Option<Self> {
        let endpoint = named.endpoint()?;
        Some(Self {
            namespace: &endpoint.namespace,
            pod: &endpoint.pod,
            node: &endpoint.node,
            service_account: &endpoint.service_account,
        })
    }
}

/// `dpi`: the resources in whose scope the alert is, sorted.
pub(crate) struct Resources<'a>(pub(crate) &'a Identity);

impl Resources<'_> {
    fn is_empty(&self) -> bool {
        self.0.resources().next().is_none()
    }
}

impl Serialize for Resources<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Resource<'a> {
            namespace: &'a str,
            name: &'a str,
        }
        let mut list = serializer.serialize_seq(None)?;
        for resource in self.0.resources() {
            list.serialize_element(&Resource {
                namespace: &resource.namespace,
                name: &resource.name,
            })?;
        }
        list.end()
    }
}
