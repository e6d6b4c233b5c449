//! The keywords: what each takes and does, and what to say of those that are not evaluated.

use super::draft::Draft;
use super::names::nearest;
use super::options::{Takes, Value};
use super::text::shown;
use super::{
    app_event, base64, buffers, bytes, content, expression, flow, meta, packet, tcp, threshold,
    transforms,
};
use crate::signature::{Buffer, Transform};

/// What a keyword does with its value.
type Run = fn(&mut Draft<'_, '_>, &Value<'_>) -> Result<(), String>;

/// What a keyword does.
#[derive(Clone)]
enum Does {
    /// Runs.
    Run(Run),
    /// As `Run`, and only a packet can answer it.
    Packet(Run),
    /// Makes a buffer sticky.
    Sticky(Buffer),
    /// Changes the sticky buffer.
    Transform(Transform),
    /// Moves the content before it into a buffer.
    Moves(Buffer),
}

/// A keyword that is evaluated.
pub(crate) struct Keyword {
    /// Its name in lower case.
    pub(crate) name: &'static str,
    /// What stands behind its colon.
    pub(crate) takes: Takes,
    does: Does,
}

/// A row of the table.
const fn keyword(name: &'static str, takes: Takes, does: Does) -> Keyword {
    Keyword { name, takes, does }
}

impl Keyword {
    /// Applies it to a rule.
    pub(crate) fn apply(&self, draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
        let name = self.name;
        match self.does {
            Does::Run(run) => run(draft, value),
            Does::Packet(run) => {
                run(draft, value)?;
                draft.packet_keyword.get_or_insert_with(|| name.to_owned());
                Ok(())
            }
            Does::Sticky(buffer) => {
                buffers::sticky(draft, name, buffer)?;
                if buffer.is_header() {
                    draft.packet_keyword.get_or_insert_with(|| name.to_owned());
                }
                Ok(())
            }
            Does::Transform(ref transform) => transforms::plain(draft, transform),
            Does::Moves(buffer) => buffers::moved(draft, name, buffer),
        }
    }
}

/// Every keyword that is evaluated, by its name in lower case.
const EVALUATED: &[Keyword] = &[
    keyword("content", Takes::QuotedOrNegated, Does::Run(content::content)),
    keyword("nocase", Takes::Nothing, Does::Run(content::nocase)),
    keyword("depth", Takes::Plain, Does::Run(content::depth)),
    keyword("offset", Takes::Plain, Does::Run(content::offset)),
    keyword("distance", Takes::Plain, Does::Run(content::distance)),
    keyword("within", Takes::Plain, Does::Run(content::within)),
    keyword("startswith", Takes::Nothing, Does::Run(content::startswith)),
    keyword("endswith", Takes::Nothing, Does::Run(content::endswith)),
    keyword("rawbytes", Takes::Nothing, Does::Run(content::rawbytes)),
    keyword("fast_pattern", Takes::MaybePlain, Does::Run(content::fast_pattern)),
    keyword("uricontent", Takes::QuotedOrNegated, Does::Run(buffers::uricontent)),
    keyword("pcre", Takes::MaybeQuotedOrNegated, Does::Run(expression::pcre)),
    keyword("byte_test", Takes::Plain, Does::Run(bytes::byte_test)),
    keyword("byte_jump", Takes::Plain, Does::Run(bytes::byte_jump)),
    keyword("byte_extract", Takes::Plain, Does::Run(bytes::byte_extract)),
    keyword("isdataat", Takes::Plain, Does::Run(bytes::isdataat)),
    keyword("bsize", Takes::Plain, Does::Run(buffers::bsize)),
    keyword("urilen", Takes::Plain, Does::Run(buffers::urilen)),
    keyword("byte_math", Takes::Plain, Does::Run(bytes::byte_math)),
    keyword("base64_decode", Takes::MaybePlain, Does::Run(base64::base64_decode)),
    keyword("base64_data", Takes::Nothing, Does::Run(base64::base64_data)),
    keyword("dotprefix", Takes::Nothing, Does::Transform(Transform::DotPrefix)),
    keyword("strip_whitespace", Takes::Nothing, Does::Transform(Transform::StripWhitespace)),
    keyword("compress_whitespace", Takes::Nothing, Does::Transform(Transform::CompressWhitespace)),
    keyword("strip_pseudo_headers", Takes::Nothing, Does::Transform(Transform::StripPseudoHeaders)),
    keyword("header_lowercase", Takes::Nothing, Does::Transform(Transform::HeaderLowercase)),
    keyword("to_lowercase", Takes::Nothing, Does::Transform(Transform::ToLowercase)),
    keyword("to_uppercase", Takes::Nothing, Does::Transform(Transform::ToUppercase)),
    keyword("to_md5", Takes::Nothing, Does::Transform(Transform::ToMd5)),
    keyword("to_sha1", Takes::Nothing, Does::Transform(Transform::ToSha1)),
    keyword("to_sha256", Takes::Nothing, Does::Transform(Transform::ToSha256)),
    keyword("url_decode", Takes::Nothing, Does::Transform(Transform::UrlDecode)),
    keyword("xor", Takes::Quoted, Does::Run(transforms::xor)),
    keyword("pcrexform", Takes::Quoted, Does::Run(transforms::pcrexform)),
    keyword("ip.src", Takes::Nothing, Does::Sticky(Buffer::IpSrc)),
    keyword("ip.dst", Takes::Nothing, Does::Sticky(Buffer::IpDst)),
    keyword("pkt_data", Takes::Nothing, Does::Run(buffers::pkt_data)),
    keyword("http.method", Takes::Nothing, Does::Sticky(Buffer::HttpMethod)),
    keyword("http.uri", Takes::Nothing, Does::Sticky(Buffer::HttpUri)),
    keyword("http.uri.raw", Takes::Nothing, Does::Sticky(Buffer::HttpUriRaw)),
    keyword("http.host", Takes::Nothing, Does::Sticky(Buffer::HttpHost)),
    keyword("http.host.raw", Takes::Nothing, Does::Sticky(Buffer::HttpHostRaw)),
    keyword("dns.query", Takes::Nothing, Does::Sticky(Buffer::DnsQuery)),
    keyword("dns_query", Takes::Nothing, Does::Sticky(Buffer::DnsQuery)),
    keyword("tls.sni", Takes::Nothing, Does::Sticky(Buffer::TlsSni)),
    keyword("tls_sni", Takes::Nothing, Does::Sticky(Buffer::TlsSni)),
    keyword("ipv4.hdr", Takes::Nothing, Does::Sticky(Buffer::Ipv4Hdr)),
    keyword("ipv6.hdr", Takes::Nothing, Does::Sticky(Buffer::Ipv6Hdr)),
    keyword("tcp.hdr", Takes::Nothing, Does::Sticky(Buffer::TcpHdr)),
    keyword("udp.hdr", Takes::Nothing, Does::Sticky(Buffer::UdpHdr)),
    keyword("icmpv4.hdr", Takes::Nothing, Does::Sticky(Buffer::Icmpv4Hdr)),
    keyword("icmpv6.hdr", Takes::Nothing, Does::Sticky(Buffer::Icmpv6Hdr)),
    keyword("http_method", Takes::Nothing, Does::Moves(Buffer::HttpMethod)),
    keyword("http_uri", Takes::Nothing, Does::Moves(Buffer::HttpUri)),
    keyword("http_raw_uri", Takes::Nothing, Does::Moves(Buffer::HttpUriRaw)),
    keyword("http_host", Takes::Nothing, Does::Moves(Buffer::HttpHost)),
    keyword("http_raw_host", Takes::Nothing, Does::Moves(Buffer::HttpHostRaw)),
    keyword("dsize", Takes::Plain, Does::Packet(packet::dsize)),
    keyword("ttl", Takes::Plain, Does::Packet(packet::ttl)),
    keyword("tos", Takes::MaybeQuoted, Does::Packet(packet::tos)),
    keyword("id", Takes::Plain, Does::Packet(packet::id)),
    keyword("ipopts", Takes::Plain, Does::Packet(packet::ipopts)),
    keyword("fragbits", Takes::Plain, Does::Packet(packet::fragbits)),
    keyword("fragoffset", Takes::Plain, Does::Packet(packet::fragoffset)),
    keyword("ip_proto", Takes::MaybeQuoted, Does::Packet(packet::ip_proto)),
    keyword("sameip", Takes::Nothing, Does::Packet(packet::sameip)),
    keyword("flags", Takes::Plain, Does::Packet(tcp::flags)),
    keyword("tcp.flags", Takes::Plain, Does::Packet(tcp::flags)),
    keyword("seq", Takes::Plain, Does::Packet(tcp::seq)),
    keyword("tcp.seq", Takes::Plain, Does::Packet(tcp::seq)),
    keyword("ack", Takes::Plain, Does::Packet(tcp::ack)),
    keyword("tcp.ack", Takes::Plain, Does::Packet(tcp::ack)),
    keyword("window", Takes::Plain, Does::Packet(tcp::window)),
    keyword("tcp.window", Takes::Plain, Does::Packet(tcp::window)),
    keyword("tcp.mss", Takes::Plain, Does::Packet(tcp::mss)),
    keyword("itype", Takes::Plain, Does::Packet(packet::itype)),
    keyword("icode", Takes::Plain, Does::Packet(packet::icode)),
    keyword("icmp_id", Takes::Plain, Does::Packet(packet::icmp_id)),
    keyword("icmp_seq", Takes::Plain, Does::Run(packet::icmp_seq)),
    keyword("icmpv6.mtu", Takes::Plain, Does::Packet(packet::icmpv6_mtu)),
    keyword("flow", Takes::Plain, Does::Run(flow::flow)),
    keyword("flowbits", Takes::Plain, Does::Run(flow::flowbits)),
    keyword("flowint", Takes::Plain, Does::Run(flow::flowint)),
    keyword("noalert", Takes::Nothing, Does::Run(flow::noalert)),
    keyword("app-layer-protocol", Takes::MaybeQuoted, Does::Run(flow::app_layer_protocol)),
    keyword("app-layer-event", Takes::Plain, Does::Run(app_event::app_layer_event)),
    keyword("threshold", Takes::Plain, Does::Run(threshold::threshold)),
    keyword("detection_filter", Takes::Plain, Does::Run(threshold::detection_filter)),
    keyword("msg", Takes::Quoted, Does::Run(meta::msg)),
    keyword("sid", Takes::Plain, Does::Run(meta::sid)),
    keyword("rev", Takes::Plain, Does::Run(meta::rev)),
    keyword("gid", Takes::Plain, Does::Run(meta::gid)),
    keyword("classtype", Takes::Plain, Does::Run(meta::classtype)),
    keyword("priority", Takes::Plain, Does::Run(meta::priority)),
    keyword("reference", Takes::Plain, Does::Run(meta::reference)),
    keyword("metadata", Takes::Plain, Does::Run(meta::metadata)),
    keyword("target", Takes::Plain, Does::Run(meta::target)),
];

/// Keywords of Suricata that are known and not evaluated; rules with them are refused.
const NOT_EVALUATED: &str = "\
    alert asn1 bypass cip_service \
    config cyu.hash cyu.string datarep dataset dce_iface dce_opnum dce_stub_data dcerpc.iface \
    dcerpc.opnum dcerpc.stub_data decode-event dhcp.leasetime dhcp.rebinding_time dhcp.renewal_time \
    dnp3.data dnp3_data dnp3_func dnp3_ind dnp3_obj dns.answer.name dns.opcode dns.query.name \
    dns.rcode dns.rrtype email.from email.subject engine-event enip_command entropy file.data \
    file.magic file.name file_data fileext filemagic filemd5 filename filesha1 filesha256 filesize \
    filestore flow.age flow.bytes flow.pkts flowvar frame ftpbounce ftpdata_command geoip \
     hostbits http.accept http.accept_enc http.accept_lang http.connection \
    http.content_len http.content_type http.cookie http.header http.header.raw http.header_names \
    http.location http.protocol http.referer http.request_body http.request_header \
    http.request_line http.response_body http.response_header http.response_line http.server \
    http.start http.stat_code http.stat_msg http.user_agent http2.errorcode http2.frametype \
    http2.header http2.header_name http2.priority http2.settings http2.size_update http2.window \
    http_accept http_accept_enc http_accept_lang http_client_body http_connection http_content_len \
    http_content_type http_cookie http_header http_header_names http_protocol http_raw_header \
    http_referer http_request_line http_response_line http_server_body http_start http_stat_code \
    http_stat_msg http_user_agent icmpv4-csum icmpv6-csum ike.chosen_sa_attribute ike.exchtype \
    ike.init_spi ike.key_exchange_payload ike.key_exchange_payload_length ike.nonce_payload \
    ike.nonce_payload_length ike.resp_spi ike.vendor iprep ipv4-csum ja3.hash \
    ja3.string ja3_hash ja3_string ja3s.hash ja3s.string ja4.hash krb5.cname krb5.sname \
    krb5.ticket_encryption krb5_cname krb5_err_code krb5_msg_type krb5_sname l3_proto lua luajit \
    modbus mqtt.connack.session_present mqtt.connect.clientid mqtt.connect.flags \
    mqtt.connect.password mqtt.connect.username mqtt.connect.willmessage mqtt.connect.willtopic \
    mqtt.flags mqtt.protocol_version mqtt.publish.message mqtt.publish.topic mqtt.qos \
    mqtt.reason_code mqtt.subscribe.topic mqtt.type mqtt.unsubscribe.topic nfq_set_mark \
    nfs.version nfs_procedure nfs_version pktvar prefilter quic.cyu.hash quic.cyu.string \
    quic.sni quic.ua quic.version replace requires rfb.name rfb.secresult rfb.sectype rpc \
    sip.method sip.protocol sip.request_line sip.response_line sip.stat_code sip.stat_msg sip.uri \
    smb.named_pipe smb.ntlmssp_domain smb.ntlmssp_user smb.share smb_named_pipe smb_share \
    snmp.community snmp.pdu_type snmp.usm snmp.version ssh.hassh ssh.hassh.server \
    ssh.hassh.server.string ssh.hassh.string ssh.proto ssh.protoversion ssh.software \
    ssh.softwareversion ssh_proto ssh_software ssl_state ssl_version stream-event stream_size \
      tag tcpv4-csum tcpv6-csum template2 tls.cert_fingerprint \
    tls.cert_issuer tls.cert_serial tls.cert_subject tls.cert_chain_len tls.certs tls.fingerprint \
    tls.issuerdn tls.random tls.random_bytes tls.random_time tls.store tls.subject tls.version \
    tls_cert_expired tls_cert_fingerprint tls_cert_issuer tls_cert_notafter tls_cert_notbefore \
    tls_cert_serial tls_cert_subject tls_cert_valid tls_store    \
      transaction udpv4-csum udpv6-csum vlan.id vlan.layers xbits \
   ";

/// The keyword of a name, in any case.
pub(crate) fn find(name: &str) -> Result<&'static Keyword, String> {
    let same = |keyword: &&Keyword| keyword.name.eq_ignore_ascii_case(name);
    EVALUATED.iter().find(same).ok_or_else(|| missing(name))
}

/// Why a name is not a keyword here.
fn missing(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    if NOT_EVALUATED.split_ascii_whitespace().any(|known| known == lower) {
        return format!("keyword `{lower}` is not evaluated in this build");
    }
    let others =
        EVALUATED.iter().map(|keyword| keyword.name).chain(NOT_EVALUATED.split_ascii_whitespace());
    match nearest(&lower, others) {
        Some(known) => format!("unknown keyword `{}`, did you mean `{known}`?", shown(name)),
        None => format!("unknown keyword `{}`", shown(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(name: &str) -> String {
        find(name).map(|keyword| keyword.name.to_owned()).expect_err(name)
    }

    #[test]
    fn keywords_are_found_in_any_case_and_stand_once() {
        assert!(find("Content").is_ok_and(|keyword| keyword.name == "content"));
        for (at, keyword) in EVALUATED.iter().enumerate() {
            assert!(EVALUATED.iter().skip(at + 1).all(|other| other.name != keyword.name));
            assert!(NOT_EVALUATED.split_ascii_whitespace().all(|other| other != keyword.name));
        }
    }

    #[test]
    fn a_refusal_says_whether_the_keyword_is_known() {
        assert_eq!(reason("http.header"), "keyword `http.header` is not evaluated in this build");
        assert_eq!(reason("flowbit"), "unknown keyword `flowbit`, did you mean `flowbits`?");
        assert_eq!(reason("contant"), "unknown keyword `contant`, did you mean `content`?");
        assert_eq!(reason("foo"), "unknown keyword `foo`");
    }
}
