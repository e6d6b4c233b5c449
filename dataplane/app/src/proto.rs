//! The application protocols that are told apart, and the names that rules and EVE use for them.

/// An application protocol, or the state of finding one.
///
/// Only [`Http1`](Self::Http1), [`Dns`](Self::Dns) and [`Tls`](Self::Tls) have a parser; the others
/// are recognised so that they are named and not mistaken for one of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(u8)]
#[allow(missing_docs)] // the names of protocols speak for themselves
pub enum AppProto {
    /// Not known yet.
    #[default]
    Unknown = 0,
    /// Detection has given up.
    Failed,
    Http1,
    Http2,
    Dns,
    Tls,
    Smtp,
    Ftp,
    FtpData,
    Ssh,
    Smb,
    DceRpc,
    Imap,
    Pop3,
    Rdp,
    Rfb,
    Mqtt,
    Sip,
    Snmp,
    Ntp,
    Dhcp,
    Tftp,
    Krb5,
    Ike,
    Quic,
    BittorrentDht,
    Modbus,
    Dnp3,
    Enip,
    Nfs,
    Telnet,
    Ldap,
    Pgsql,
}

/// What a flow's payload is carried by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Bytes in order.
    Tcp,
    /// One message a datagram.
    Udp,
}

impl AppProto {
    /// Every protocol, in the order of their indices.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Unknown,
        Self::Failed,
        Self::Http1,
        Self::Http2,
        Self::Dns,
        Self::Tls,
        Self::Smtp,
        Self::Ftp,
        Self::FtpData,
        Self::Ssh,
        Self::Smb,
        Self::DceRpc,
        Self::Imap,
        Self::Pop3,
        Self::Rdp,
        Self::Rfb,
        Self::Mqtt,
        Self::Sip,
        Self::Snmp,
        Self::Ntp,
        Self::Dhcp,
        Self::Tftp,
        Self::Krb5,
        Self::Ike,
        Self::Quic,
        Self::BittorrentDht,
        Self::Modbus,
        Self::Dnp3,
        Self::Enip,
        Self::Nfs,
        Self::Telnet,
        Self::Ldap,
        Self::Pgsql,
    ];

    /// How many there are: the length of a table indexed by [`index`](Self::index).
    pub const COUNT: usize = Self::Pgsql as usize + 1;

    /// A dense index, for tables.
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name that EVE's `app_proto` carries (Suricata 7's spelling).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Failed => "failed",
            Self::Http1 => "http",
            Self::Http2 => "http2",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Smtp => "smtp",
            Self::Ftp => "ftp",
            Self::FtpData => "ftp-data",
            Self::Ssh => "ssh",
            Self::Smb => "smb",
            Self::DceRpc => "dcerpc",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Rdp => "rdp",
            Self::Rfb => "rfb",
            Self::Mqtt => "mqtt",
            Self::Sip => "sip",
            Self::Snmp => "snmp",
            Self::Ntp => "ntp",
            Self::Dhcp => "dhcp",
            Self::Tftp => "tftp",
            Self::Krb5 => "krb5",
            Self::Ike => "ike",
            Self::Quic => "quic",
            Self::BittorrentDht => "bittorrent-dht",
            Self::Modbus => "modbus",
            Self::Dnp3 => "dnp3",
            Self::Enip => "enip",
            Self::Nfs => "nfs",
            Self::Telnet => "telnet",
            Self::Ldap => "ldap",
            Self::Pgsql => "pgsql",
        }
    }

    /// The protocol that a rule header or `app-layer-protocol` means by `name`.
    ///
    /// `http` stands for HTTP/1 (in Suricata it is HTTP/2 as well: [`matches_rule`](Self::matches_rule)).
    pub fn from_rule_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|proto| proto.is_rule_name(name))
    }

    /// Whether [`Self::from_rule_name`] answers this protocol.
    #[inline]
    pub fn is_rule_name(self, name: &str) -> bool {
        match self {
            Self::Unknown => false,
            Self::Http1 => matches!(name, "http" | "http1"),
            Self::Tls => matches!(name, "tls" | "ssl"),
            Self::Ike => matches!(name, "ike" | "ikev1" | "ikev2"),
            _ => self.name() == name,
        }
    }

    /// Whether a flow of this protocol is meant by a rule that says `name`: `http` means both
    /// versions, `http1` and `http2` one.
    pub fn matches_rule(self, name: &str) -> bool {
        (name == "http" && self == Self::Http2) || self.is_rule_name(name)
    }

    /// Whether there is a parser for it.
    pub const fn has_parser(self) -> bool {
        matches!(self, Self::Http1 | Self::Dns | Self::Tls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_dense_and_names_lead_back() {
        for (i, p) in AppProto::ALL.into_iter().enumerate() {
            assert_eq!(p.index(), i);
            if p != AppProto::Unknown {
                assert_eq!(AppProto::from_rule_name(p.name()), Some(p));
            }
        }
        assert_eq!(AppProto::from_rule_name("http"), Some(AppProto::Http1));
        assert_eq!(AppProto::from_rule_name("http1"), Some(AppProto::Http1));
        assert_eq!(AppProto::from_rule_name("gopher"), None);
    }

    #[test]
    fn http_in_a_rule_means_both_versions() {
        assert!(AppProto::Http1.matches_rule("http"));
        assert!(AppProto::Http2.matches_rule("http"));
        assert!(!AppProto::Http2.matches_rule("http1"));
        assert!(!AppProto::Dns.matches_rule("http"));
    }
}
