//! `xff` of Suricata's `eve-log`: the address that a proxy's header names, told beside the packet's or
//! in its place (docs.suricata.io, "Eve JSON Output", "xff").

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is told of the address in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum XffMode {
    /// `xff` holds it.
    #[default]
    ExtraData,
    /// It stands in place of the client's.
    Overwrite,
}

/// Which of several addresses counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum XffDeployment {
    /// The last: of the proxy before the server, which is trusted.
    #[default]
    Reverse,
    /// The first.
    Forward,
}

/// `[outputs.eve.xff]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XffOptions {
    /// Whether the header is looked for.
    pub enabled: bool,
    /// What is told.
    pub mode: XffMode,
    /// Which address counts.
    pub deployment: XffDeployment,
    /// The header's name.
    pub header: String,
}

impl Default for XffOptions {
    fn default() -> Self {
        Self {
            enabled: false,
            mode: XffMode::default(),
            deployment: XffDeployment::default(),
            header: "X-Forwarded-For".to_owned(),
        }
    }
}

impl XffOptions {
    /// The address that a header's value names, if it is one: a port behind it is taken off.
    pub(crate) fn address(&self, value: &str) -> Option<IpAddr> {
        let mut all = value.split(',');
        let word = match self.deployment {
            XffDeployment::Reverse => all.next_back(),
            XffDeployment::Forward => all.next(),
        };
        let word = word?.trim();
        if let Some(rest) = word.strip_prefix('[') {
            return rest.split_once(']')?.0.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
        }
        word.parse().ok().or_else(|| {
            let (address, port) = word.split_once(':')?;
            port.parse::<u16>().ok()?;
            address.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_or_the_last_address_counts_without_its_port() {
        let of = |deployment, value: &str| {
            let options = XffOptions { deployment, ..XffOptions::default() };
            options.address(value).map(|address| address.to_string())
        };
        let (first, last) = (XffDeployment::Forward, XffDeployment::Reverse);
        for (value, of_first, of_last) in [
            ("10.1.1.1, 10.2.2.2,10.3.3.3", Some("10.1.1.1"), Some("10.3.3.3")),
            (" 10.1.1.1:80 ", Some("10.1.1.1"), Some("10.1.1.1")),
            ("[2001:db8::1]:443, unknown", Some("2001:db8::1"), None),
            ("unknown, 2001:db8::2", None, Some("2001:db8::2")),
            ("[10.1.1.1]", None, None),
            ("10.1.1.1:x", None, None),
            ("", None, None),
        ] {
            assert_eq!(
                (of(first, value).as_deref(), of(last, value).as_deref()),
                (of_first, of_last)
            );
        }
    }
}
