//! The keywords: what each takes and does, and what to say of those that are not evaluated.

use super::draft::Draft;
use super::names::nearest;
use super::options::{Takes, Value};
use super::text::shown;
use super::{
    app_event, asn1, base64, buffers, bytes, config, content, dataset, events, expression,
    file_hashes, flow, meta, packet, shared, tag, tcp, threshold, tls, transforms,
};
use crate::signature::{Buffer, ChecksumOf, Transform};

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
    /// Makes a buffer sticky that others than this application protocol have too.
    StickyOf(&'static str, Buffer),
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
            Does::StickyOf(app, buffer) => {
                draft.need_app(app)?;
                buffers::sticky(draft, name, buffer)
            }
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
    keyword("dataset", Takes::Plain, Does::Run(dataset::dataset)),
    keyword("datarep", Takes::Plain, Does::Run(dataset::datarep)),
    keyword("hostbits", Takes::Plain, Does::Run(shared::hostbits)),
    keyword("xbits", Takes::Plain, Does::Run(shared::xbits)),
    keyword("iprep", Takes::Plain, Does::Run(shared::iprep)),
    keyword("geoip", Takes::Plain, Does::Run(shared::geoip)),
    keyword("flow.age", Takes::Plain, Does::Run(shared::flow_age)),
    keyword("stream_size", Takes::Plain, Does::Run(tag::stream_size)),
    keyword("tag", Takes::Plain, Does::Run(tag::tag)),
    keyword("asn1", Takes::Plain, Does::Packet(asn1::asn1)),
    keyword("bypass", Takes::Nothing, Does::Run(tag::bypass)),
    keyword("l3_proto", Takes::Plain, Does::Run(packet::l3_proto)),
    keyword("prefilter", Takes::Nothing, Does::Run(tag::prefilter)),
    keyword("alert", Takes::Nothing, Does::Run(tag::alert)),
    keyword("requires", Takes::Plain, Does::Run(meta::rawtext)),
    keyword("ip.src", Takes::Nothing, Does::Sticky(Buffer::IpSrc)),
    keyword("ip.dst", Takes::Nothing, Does::Sticky(Buffer::IpDst)),
    keyword("pkt_data", Takes::Nothing, Does::Run(buffers::pkt_data)),
    keyword("http.method", Takes::Nothing, Does::Sticky(Buffer::HttpMethod)),
    keyword("http.uri", Takes::Nothing, Does::Sticky(Buffer::HttpUri)),
    keyword("http.uri.raw", Takes::Nothing, Does::Sticky(Buffer::HttpUriRaw)),
    keyword("http.host", Takes::Nothing, Does::Sticky(Buffer::HttpHost)),
    keyword("http.host.raw", Takes::Nothing, Does::Sticky(Buffer::HttpHostRaw)),
    keyword("http.header", Takes::Nothing, Does::Sticky(Buffer::HttpHeader)),
    keyword("http.header.raw", Takes::Nothing, Does::Sticky(Buffer::HttpHeaderRaw)),
    keyword("http.header_names", Takes::Nothing, Does::Sticky(Buffer::HttpHeaderNames)),
    keyword("http.request_header", Takes::Nothing, Does::Sticky(Buffer::HttpRequestHeader)),
    keyword("http.response_header", Takes::Nothing, Does::Sticky(Buffer::HttpResponseHeader)),
    keyword("http.cookie", Takes::Nothing, Does::Sticky(Buffer::HttpCookie)),
    keyword("http.user_agent", Takes::Nothing, Does::Sticky(Buffer::HttpUserAgent)),
    keyword("http.referer", Takes::Nothing, Does::Sticky(Buffer::HttpReferer)),
    keyword("http.accept", Takes::Nothing, Does::Sticky(Buffer::HttpAccept)),
    keyword("http.accept_enc", Takes::Nothing, Does::Sticky(Buffer::HttpAcceptEnc)),
    keyword("http.accept_lang", Takes::Nothing, Does::Sticky(Buffer::HttpAcceptLang)),
    keyword("http.connection", Takes::Nothing, Does::Sticky(Buffer::HttpConnection)),
    keyword("http.content_type", Takes::Nothing, Does::Sticky(Buffer::HttpContentType)),
    keyword("http.content_len", Takes::Nothing, Does::Sticky(Buffer::HttpContentLen)),
    keyword("http.protocol", Takes::Nothing, Does::Sticky(Buffer::HttpProtocol)),
    keyword("http.start", Takes::Nothing, Does::Sticky(Buffer::HttpStart)),
    keyword("http.request_line", Takes::Nothing, Does::Sticky(Buffer::HttpRequestLine)),
    keyword("http.response_line", Takes::Nothing, Does::Sticky(Buffer::HttpResponseLine)),
    keyword("http.stat_code", Takes::Nothing, Does::Sticky(Buffer::HttpStatCode)),
    keyword("http.stat_msg", Takes::Nothing, Does::Sticky(Buffer::HttpStatMsg)),
    keyword("http.server", Takes::Nothing, Does::Sticky(Buffer::HttpServer)),
    keyword("http.location", Takes::Nothing, Does::Sticky(Buffer::HttpLocation)),
    keyword("http_accept", Takes::Nothing, Does::Sticky(Buffer::HttpAccept)),
    keyword("http_accept_enc", Takes::Nothing, Does::Sticky(Buffer::HttpAcceptEnc)),
    keyword("http_accept_lang", Takes::Nothing, Does::Sticky(Buffer::HttpAcceptLang)),
    keyword("http_connection", Takes::Nothing, Does::Sticky(Buffer::HttpConnection)),
    keyword("http_content_len", Takes::Nothing, Does::Sticky(Buffer::HttpContentLen)),
    keyword("http_content_type", Takes::Nothing, Does::Sticky(Buffer::HttpContentType)),
    keyword("http_header_names", Takes::Nothing, Does::Sticky(Buffer::HttpHeaderNames)),
    keyword("http_protocol", Takes::Nothing, Does::Sticky(Buffer::HttpProtocol)),
    keyword("http_referer", Takes::Nothing, Does::Sticky(Buffer::HttpReferer)),
    keyword("http_request_line", Takes::Nothing, Does::Sticky(Buffer::HttpRequestLine)),
    keyword("http_response_line", Takes::Nothing, Does::Sticky(Buffer::HttpResponseLine)),
    keyword("http_start", Takes::Nothing, Does::Sticky(Buffer::HttpStart)),
    keyword("http.request_body", Takes::Nothing, Does::Sticky(Buffer::HttpRequestBody)),
    keyword("http.response_body", Takes::Nothing, Does::StickyOf("http", Buffer::FileData)),
    keyword("file.data", Takes::Nothing, Does::Sticky(Buffer::FileData)),
    keyword("file.name", Takes::Nothing, Does::Sticky(Buffer::FileName)),
    keyword("filename", Takes::QuotedOrNegated, Does::Run(buffers::filename)),
    keyword("fileext", Takes::QuotedOrNegated, Does::Run(buffers::fileext)),
    keyword("filesize", Takes::Plain, Does::Run(buffers::filesize)),
    keyword("filestore", Takes::MaybePlain, Does::Run(buffers::filestore)),
    keyword("filemd5", Takes::MaybeQuotedOrNegated, Does::Run(file_hashes::md5)),
    keyword("filesha1", Takes::MaybeQuotedOrNegated, Does::Run(file_hashes::sha1)),
    keyword("filesha256", Takes::MaybeQuotedOrNegated, Does::Run(file_hashes::sha256)),
    keyword("file_data", Takes::Nothing, Does::Sticky(Buffer::FileData)),
    keyword("dns.query", Takes::Nothing, Does::Sticky(Buffer::DnsQuery)),
    keyword("dns_query", Takes::Nothing, Does::Sticky(Buffer::DnsQuery)),
    keyword("tls.sni", Takes::Nothing, Does::Sticky(Buffer::TlsSni)),
    keyword("tls_sni", Takes::Nothing, Does::Sticky(Buffer::TlsSni)),
    keyword("tls.cert_subject", Takes::Nothing, Does::Sticky(Buffer::TlsCertSubject)),
    keyword("tls_cert_subject", Takes::Nothing, Does::Sticky(Buffer::TlsCertSubject)),
    keyword("tls.cert_issuer", Takes::Nothing, Does::Sticky(Buffer::TlsCertIssuer)),
    keyword("tls_cert_issuer", Takes::Nothing, Does::Sticky(Buffer::TlsCertIssuer)),
    keyword("tls.cert_serial", Takes::Nothing, Does::Sticky(Buffer::TlsCertSerial)),
    keyword("tls_cert_serial", Takes::Nothing, Does::Sticky(Buffer::TlsCertSerial)),
    keyword("tls.cert_fingerprint", Takes::Nothing, Does::Sticky(Buffer::TlsCertFingerprint)),
    keyword("tls_cert_fingerprint", Takes::Nothing, Does::Sticky(Buffer::TlsCertFingerprint)),
    keyword("tls.certs", Takes::Nothing, Does::Sticky(Buffer::TlsCerts)),
    keyword("tls.random", Takes::Nothing, Does::Sticky(Buffer::TlsRandom)),
    keyword("tls.random_time", Takes::Nothing, Does::Sticky(Buffer::TlsRandomTime)),
    keyword("tls.random_bytes", Takes::Nothing, Does::Sticky(Buffer::TlsRandomBytes)),
    keyword("ja3.hash", Takes::Nothing, Does::Sticky(Buffer::Ja3Hash)),
    keyword("ja3_hash", Takes::Nothing, Does::Sticky(Buffer::Ja3Hash)),
    keyword("ja3.string", Takes::Nothing, Does::Sticky(Buffer::Ja3String)),
    keyword("ja3_string", Takes::Nothing, Does::Sticky(Buffer::Ja3String)),
    keyword("ja3s.hash", Takes::Nothing, Does::Sticky(Buffer::Ja3sHash)),
    keyword("ja3s.string", Takes::Nothing, Does::Sticky(Buffer::Ja3sString)),
    keyword("ja4.hash", Takes::Nothing, Does::Sticky(Buffer::Ja4Hash)),
    keyword("tls.version", Takes::Plain, Does::Run(tls::version)),
    keyword("tls.subject", Takes::QuotedOrNegated, Does::Run(tls::subject)),
    keyword("tls.issuerdn", Takes::QuotedOrNegated, Does::Run(tls::issuer)),
    keyword("tls.fingerprint", Takes::QuotedOrNegated, Does::Run(tls::fingerprint)),
    keyword("tls.store", Takes::Nothing, Does::Run(tls::store)),
    keyword("tls_store", Takes::Nothing, Does::Run(tls::store)),
    keyword("tls.cert_chain_len", Takes::Plain, Does::Run(tls::chain_length)),
    keyword("tls_cert_notbefore", Takes::Plain, Does::Run(tls::not_before)),
    keyword("tls_cert_notafter", Takes::Plain, Does::Run(tls::not_after)),
    keyword("tls_cert_expired", Takes::Nothing, Does::Run(tls::expired)),
    keyword("tls_cert_valid", Takes::Nothing, Does::Run(tls::valid)),
    keyword("ssl_version", Takes::Plain, Does::Run(tls::ssl_version)),
    keyword("ssl_state", Takes::Plain, Does::Run(tls::ssl_state)),
    keyword("dns.opcode", Takes::Plain, Does::Run(tls::dns_opcode)),
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
    keyword("http_header", Takes::Nothing, Does::Moves(Buffer::HttpHeader)),
    keyword("http_raw_header", Takes::Nothing, Does::Moves(Buffer::HttpHeaderRaw)),
    keyword("http_cookie", Takes::Nothing, Does::Moves(Buffer::HttpCookie)),
    keyword("http_user_agent", Takes::Nothing, Does::Moves(Buffer::HttpUserAgent)),
    keyword("http_stat_code", Takes::Nothing, Does::Moves(Buffer::HttpStatCode)),
    keyword("http_stat_msg", Takes::Nothing, Does::Moves(Buffer::HttpStatMsg)),
    keyword("http_client_body", Takes::Nothing, Does::Moves(Buffer::HttpRequestBody)),
    keyword("http_server_body", Takes::Nothing, Does::Moves(Buffer::FileData)),
    keyword("dsize", Takes::Plain, Does::Packet(packet::dsize)),
    keyword("ttl", Takes::Plain, Does::Packet(packet::ttl)),
    keyword("tos", Takes::MaybeQuoted, Does::Packet(packet::tos)),
    keyword("id", Takes::Plain, Does::Packet(packet::id)),
    keyword("ipopts", Takes::Plain, Does::Packet(packet::ipopts)),
    keyword("fragbits", Takes::Plain, Does::Packet(packet::fragbits)),
    keyword("fragoffset", Takes::Plain, Does::Packet(packet::fragoffset)),
    keyword("ip_proto", Takes::MaybeQuoted, Does::Packet(packet::ip_proto)),
    keyword("sameip", Takes::Nothing, Does::Packet(packet::sameip)),
    keyword(
        "ipv4-csum",
        Takes::MaybeQuoted,
        Does::Packet(|d, v| packet::checksum(d, v, (4, ChecksumOf::Header))),
    ),
    keyword(
        "tcpv4-csum",
        Takes::MaybeQuoted,
        Does::Packet(|d, v| packet::checksum(d, v, (4, ChecksumOf::Tcp))),
    ),
    keyword(
        "tcpv6-csum",
        Takes::MaybeQuoted,
        Does::Packet(|d, v| packet::checksum(d, v, (6, ChecksumOf::Tcp))),
    ),
    keyword(
        "udpv4-csum",
        Takes::MaybeQuoted,
        Does::Packet(|d, v| packet::checksum(d, v, (4, ChecksumOf::Udp))),
    ),
    keyword(
        "udpv6-csum",
        Takes::MaybeQuoted,
        Does::Packet(|d, v| packet::checksum(d, v, (6, ChecksumOf::Udp))),
    ),
    keyword(
        "icmpv4-csum",
        Takes::MaybeQuoted,
        Does::Packet(|d, v| packet::checksum(d, v, (4, ChecksumOf::Icmp))),
    ),
    keyword(
        "icmpv6-csum",
        Takes::MaybeQuoted,
        Does::Packet(|d, v| packet::checksum(d, v, (6, ChecksumOf::Icmp))),
    ),
    keyword("rpc", Takes::Plain, Does::Packet(packet::rpc)),
    keyword("ftpbounce", Takes::Nothing, Does::Packet(packet::ftpbounce)),
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
    keyword("decode-event", Takes::Plain, Does::Packet(events::decode_event)),
    keyword("stream-event", Takes::Plain, Does::Packet(events::stream_event)),
    keyword("engine-event", Takes::Plain, Does::Packet(events::engine_event)),
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
    keyword("config", Takes::Plain, Does::Run(config::config)),
    keyword("metadata", Takes::Plain, Does::Run(meta::metadata)),
    keyword("target", Takes::Plain, Does::Run(meta::target)),
];

/// Keywords of Suricata that are known and not evaluated; rules with them are refused.
const NOT_EVALUATED: &str = include_str!("not_evaluated.txt");

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

/// What rules call a buffer.
pub fn buffer_name(buffer: Buffer) -> &'static str {
    let sticky = |keyword: &Keyword| match keyword.does {
        Does::Sticky(made) | Does::StickyOf(_, made) if made == buffer => Some(keyword.name),
        _ => None,
    };
    EVALUATED.iter().find_map(sticky).unwrap_or(match buffer {
        Buffer::Base64Data => "base64_data",
        Buffer::FileSize => "filesize",
        Buffer::FileHash => "filemd5, filesha1, filesha256",
        _ => "payload",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_called_what_rules_call_them() {
        let named = [Buffer::HttpUri, Buffer::DnsQuery, Buffer::Payload, Buffer::Base64Data];
        let expected = ["http.uri", "dns.query", "payload", "base64_data"];
        assert_eq!(named.map(buffer_name), expected);
    }

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
        assert_eq!(reason("lua"), "keyword `lua` is not evaluated in this build");
        assert_eq!(reason("flowbit"), "unknown keyword `flowbit`, did you mean `flowbits`?");
        assert_eq!(reason("contant"), "unknown keyword `contant`, did you mean `content`?");
        assert_eq!(reason("foo"), "unknown keyword `foo`");
    }
}
