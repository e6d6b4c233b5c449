//! The header's protocol words and the names of application protocols.

use crate::signature::Protocol;

const TCP: &[u8] = &[6];
const UDP: &[u8] = &[17];
const TCP_UDP: &[u8] = &[6, 17];

/// Words for IP protocols.
const IP_PROTOCOLS: &[(&str, &[u8], Option<u8>)] = &[
    ("ip", &[], None),
    ("pkthdr", &[], None),
    ("ip4", &[], Some(4)),
    ("ipv4", &[], Some(4)),
    ("ip6", &[], Some(6)),
    ("ipv6", &[], Some(6)),
    ("tcp", TCP, None),
    ("tcp-pkt", TCP, None),
    ("tcp-stream", TCP, None),
    ("udp", UDP, None),
    ("icmp", &[1, 58], None),
    ("icmpv4", &[1], None),
    ("icmpv6", &[58], None),
    ("sctp", &[132], None),
];

/// Words for application protocols: the word, the protocol's name, what carries it.
const APP_PROTOCOLS: &[(&str, &str, &[u8])] = &[
    ("http", "http", TCP),
    ("http1", "http", TCP),
    ("http2", "http2", TCP),
    ("dns", "dns", TCP_UDP),
    ("tls", "tls", TCP),
    ("smtp", "smtp", TCP),
    ("ftp", "ftp", TCP),
    ("ftp-data", "ftp-data", TCP),
    ("ssh", "ssh", TCP),
    ("smb", "smb", TCP),
    ("dcerpc", "dcerpc", TCP_UDP),
    ("imap", "imap", TCP),
    ("pop3", "pop3", TCP),
    ("rdp", "rdp", TCP),
    ("rfb", "rfb", TCP),
    ("mqtt", "mqtt", TCP),
    ("sip", "sip", TCP_UDP),
    ("snmp", "snmp", UDP),
    ("ntp", "ntp", UDP),
    ("dhcp", "dhcp", UDP),
    ("tftp", "tftp", UDP),
    ("krb5", "krb5", TCP_UDP),
    ("ike", "ike", UDP),
    ("ikev2", "ike", UDP),
    ("quic", "quic", UDP),
    ("bittorrent-dht", "bittorrent-dht", UDP),
    ("modbus", "modbus", TCP),
    ("dnp3", "dnp3", TCP),
    ("enip", "enip", TCP_UDP),
    ("nfs", "nfs", TCP_UDP),
    ("telnet", "telnet", TCP),
    ("ldap", "ldap", TCP_UDP),
];

/// The protocol that a header's word stands for, in any case.
pub(crate) fn protocol(word: &str) -> Result<Protocol, String> {
    let same = |name: &str| name.eq_ignore_ascii_case(word);
    if let Some(&(name, ip_protocols, ip_version)) = IP_PROTOCOLS.iter().find(|row| same(row.0)) {
        return Ok(Protocol {
            name,
            ip_protocols,
            ip_version,
            app: None,
            packet_only: name == "tcp-pkt",
            stream_only: name == "tcp-stream",
        });
    }
    match APP_PROTOCOLS.iter().find(|row| same(row.0)) {
        Some(&(name, app, ip_protocols)) => Ok(Protocol {
            name,
            ip_protocols,
            ip_version: None,
            app: Some(app),
            packet_only: false,
            stream_only: false,
        }),
        None => Err(format!("protocol `{}` is not known", super::text::shown(word))),
    }
}

/// The name of an application protocol as `app-layer-protocol` takes it.
pub(crate) fn app_protocol(word: &str) -> Option<&'static str> {
    if word == "failed" {
        return Some("failed");
    }
    APP_PROTOCOLS.iter().find(|row| row.0 == word).map(|row| row.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_for_their_protocols() {
        let tcp = protocol("TCP").expect("tcp");
        assert_eq!((tcp.name, tcp.ip_protocols, tcp.app), ("tcp", TCP, None));
        assert!(protocol("tcp-pkt").expect("tcp-pkt").packet_only);
        assert!(protocol("tcp-stream").expect("tcp-stream").stream_only);
        assert_eq!(protocol("ip6").expect("ip6").ip_version, Some(6));
        assert_eq!(protocol("http1").expect("http1").app, Some("http"));
        assert_eq!(protocol("dns").expect("dns").ip_protocols, TCP_UDP);
        assert!(protocol("arp").is_err());
    }

    #[test]
    fn app_layer_protocol_takes_names_in_lower_case_only() {
        assert_eq!(app_protocol("ikev2"), Some("ike"));
        assert_eq!(app_protocol("failed"), Some("failed"));
        assert_eq!(app_protocol("HTTP"), None);
        assert_eq!(app_protocol("tcp"), None);
    }
}
