//! Types of references, as a `reference.config` names them (docs.suricata.io, "Meta Keywords",
//! reference).

use std::collections::BTreeMap;

use super::config_lines;

/// What a `reference` may be of, by its type in lower case, with what stands before its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceTypes {
    prefixes: BTreeMap<String, String>,
}

/// Types that are known without a `reference.config`.
const KNOWN: &[(&str, &str)] = &[
    ("arachnids", "http://www.whitehats.com/info/IDS"),
    ("bid", "http://www.securityfocus.com/bid/"),
    ("bugtraq", "http://www.securityfocus.com/bid/"),
    ("cve", "http://cve.mitre.org/cgi-bin/cvename.cgi?name="),
    ("et", "http://doc.emergingthreats.net/"),
    ("etpro", "http://doc.emergingthreatspro.com/"),
    ("exploitdb", "http://www.exploit-db.com/exploits/"),
    ("mcafee", "http://vil.nai.com/vil/content/v_"),
    ("md5", "http://www.threatexpert.com/report.aspx?md5="),
    ("msft", "http://technet.microsoft.com/security/bulletin/"),
    ("nessus", "http://cgi.nessus.org/plugins/dump.php3?id="),
    ("openpacket", "https://www.openpacket.org/capture/grab/"),
    ("osvdb", "http://osvdb.org/show/osvdb/"),
    ("secunia", "http://secunia.com/advisories/"),
    ("securitytracker", "http://securitytracker.com/id?"),
    ("telus", "http://"),
    ("threatexpert", "http://www.threatexpert.com/report.aspx?md5="),
    ("url", "http://"),
    ("xforce", "http://xforce.iss.net/xforce/xfdb/"),
];

impl Default for ReferenceTypes {
    fn default() -> Self {
        let known = KNOWN.iter().map(|&(name, prefix)| (name.to_owned(), prefix.to_owned()));
        Self { prefixes: known.collect() }
    }
}

impl ReferenceTypes {
    /// Reads a `reference.config`: lines of `config reference: type prefix`. It stands alone, the types
    /// known without it are not added; the last line of a type counts. Lines that say something else
    /// come back with their number.
    pub fn parse(text: &str) -> (Self, Vec<(u32, String)>) {
        let mut types = Self { prefixes: BTreeMap::new() };
        let faults = config_lines::read(text, "reference: type prefix", |line| {
            let known = Self::line(line);
            if let Some((name, prefix)) = known {
                types.prefixes.insert(name.to_ascii_lowercase(), prefix.to_owned());
            }
            known.is_some()
        });
        (types, faults)
    }

    fn line(line: &str) -> Option<(&str, &str)> {
        let mut words = line.split_whitespace();
        let (name, prefix) = (words.next()?, words.next()?);
        words.next().is_none().then_some((name, prefix))
    }

    /// What stands before the content of a reference of this type, in any case.
    pub fn prefix(&self, name: &str) -> Option<&str> {
        self.prefixes.get(&name.to_ascii_lowercase()).map(String::as_str)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.prefixes.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_types_and_others_are_named() {
        let (types, faults) = ReferenceTypes::parse(
            "# config reference: no http://no/\n\n config reference: Ticket\thttps://tickets.test/id=\r\n\
             config reference: bare\nnonsense\nconfig reference: a b c\nconfig reference: ticket x://",
        );
        assert_eq!((types.prefix("TICKET"), types.len()), (Some("x://"), 1));
        assert_eq!(types.prefix("cve"), None);
        assert_eq!(faults.iter().map(|fault| fault.0).collect::<Vec<_>>(), [4, 5, 6]);
        let known = ReferenceTypes::default();
        assert_eq!(known.prefix("url"), Some("http://"));
        assert!(KNOWN.iter().all(|(name, _)| *name == name.to_ascii_lowercase()));
    }
}
