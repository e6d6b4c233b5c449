//! Classes of rules: `classification.config`, and the classes known without it.

use std::collections::HashMap;
use std::sync::Arc;

use super::config_lines;
use crate::signature::Class;

/// A class with its priority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) class: Class,
    pub(crate) priority: u32,
}

/// The priority of rules without class and of classes that are not known.
pub(crate) const DEFAULT_PRIORITY: u32 = 3;

/// Classes by short name.
#[derive(Debug, Clone)]
pub struct Classifications {
    /// By the name in lower case.
    entries: HashMap<String, Entry>,
}

/// Suricata's classes: short name, description, priority.
const KNOWN: &[(&str, &str, u32)] = &[
    ("not-suspicious", "Not Suspicious Traffic", 3),
    ("unknown", "Unknown Traffic", 3),
    ("bad-unknown", "Potentially Bad Traffic", 2),
    ("attempted-recon", "Attempted Information Leak", 2),
    ("successful-recon-limited", "Information Leak", 2),
    ("successful-recon-largescale", "Large Scale Information Leak", 2),
    ("attempted-dos", "Attempted Denial of Service", 2),
    ("successful-dos", "Denial of Service", 2),
    ("attempted-user", "Attempted User Privilege Gain", 1),
    ("unsuccessful-user", "Unsuccessful User Privilege Gain", 1),
    ("successful-user", "Successful User Privilege Gain", 1),
    ("attempted-admin", "Attempted Administrator Privilege Gain", 1),
    ("successful-admin", "Successful Administrator Privilege Gain", 1),
    ("rpc-portmap-decode", "Decode of an RPC Query", 2),
    ("shellcode-detect", "Executable code was detected", 1),
    ("string-detect", "A suspicious string was detected", 3),
    ("suspicious-filename-detect", "A suspicious filename was detected", 2),
    ("suspicious-login", "An attempted login using a suspicious username was detected", 2),
    ("system-call-detect", "A system call was detected", 2),
    ("tcp-connection", "A TCP connection was detected", 4),
    ("trojan-activity", "A Network Trojan was detected", 1),
    ("unusual-client-port-connection", "A client was using an unusual port", 2),
    ("network-scan", "Detection of a Network Scan", 3),
    ("denial-of-service", "Detection of a Denial of Service Attack", 2),
    ("non-standard-protocol", "Detection of a non-standard protocol or event", 2),
    ("protocol-command-decode", "Generic Protocol Command Decode", 3),
    ("web-application-activity", "access to a potentially vulnerable web application", 2),
    ("web-application-attack", "Web Application Attack", 1),
    ("misc-activity", "Misc activity", 3),
    ("misc-attack", "Misc Attack", 2),
    ("icmp-event", "Generic ICMP event", 3),
    ("inappropriate-content", "Inappropriate Content was Detected", 1),
    ("policy-violation", "Potential Corporate Privacy Violation", 1),
    ("default-login-attempt", "Attempt to login by a default username and password", 2),
    ("targeted-activity", "Targeted Malicious Activity was Detected", 1),
    ("exploit-kit", "Exploit Kit Activity Detected", 1),
    ("external-ip-check", "Device Retrieving External IP Address Detected", 2),
    ("domain-c2", "Domain Observed Used for C2 Detected", 1),
    ("pup-activity", "Possibly Unwanted Program Detected", 2),
    ("credential-theft", "Successful Credential Theft Detected", 1),
    ("social-engineering", "Possible Social Engineering Attempted", 2),
    ("coin-mining", "Crypto Currency Mining Activity Detected", 2),
    ("command-and-control", "Malware Command and Control Activity Detected", 1),
];

impl Default for Classifications {
    fn default() -> Self {
        let mut classes = Self { entries: HashMap::with_capacity(KNOWN.len()) };
        for (name, description, priority) in KNOWN {
            classes.insert(name, description, *priority);
        }
        classes
    }
}

impl Classifications {
    /// Reads a `classification.config`: lines of
    /// `config classification: short-name,description,priority` (from 1). It stands alone, the
    /// classes known without it are not added. Lines that say something else come back with
    /// their number.
    pub fn parse(text: &str) -> (Self, Vec<(u32, String)>) {
        let mut classes = Self { entries: HashMap::new() };
        let shape = "classification: short-name,description,priority";
        let faults = config_lines::read(text, shape, |line| {
            let class = Self::line(line);
            if let Some((name, description, priority)) = class {
                classes.insert(name, description, priority);
            }
            class.is_some()
        });
        (classes, faults)
    }

    fn line(line: &str) -> Option<(&str, &str, u32)> {
        let (name, rest) = line.split_once(',')?;
        let (description, priority) = rest.rsplit_once(',')?;
        let priority = priority.trim().parse().ok().filter(|&priority| priority > 0)?;
        let name = name.trim();
        (!name.is_empty()).then_some((name, description.trim(), priority))
    }

    fn insert(&mut self, name: &str, description: &str, priority: u32) {
        let class = Class { name: name.into(), description: description.into() };
        self.entries.insert(name.to_ascii_lowercase(), Entry { class, priority });
    }

    /// A class by its short name, in any case.
    pub fn get(&self, name: &str) -> Option<(&Class, u32)> {
        let entry =
            self.entries.get(name).or_else(|| self.entries.get(&name.to_ascii_lowercase()))?;
        Some((&entry.class, entry.priority))
    }

    /// How many classes there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The class of a `classtype`; one without description where it is not known.
    pub(crate) fn entry(&self, name: &str) -> Entry {
        match self.get(name) {
            Some((class, priority)) => Entry { class: class.clone(), priority },
            None => {
                let class = Class { name: name.into(), description: Arc::from("") };
                Entry { class, priority: DEFAULT_PRIORITY }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_classes_and_others_are_named() {
        let (classes, faults) = Classifications::parse(
            "# config classification: no,No,1\n\nconfig classification: odd,Odd, with comma, 2\r\n\
             config classification: zero,Zero,0\nnonsense\n config classification: Late,Late one,4",
        );
        let (odd, priority) = classes.get("odd").expect("odd");
        assert_eq!((&*odd.description, priority), ("Odd, with comma", 2));
        assert_eq!(classes.get("LATE").map(|(class, _)| &*class.name), Some("Late"));
        assert_eq!(classes.len(), 2);
        let lines: Vec<u32> = faults.iter().map(|fault| fault.0).collect();
        assert_eq!(lines, [4, 5]);
    }

    #[test]
    fn known_classes_have_their_priorities() {
        let classes = Classifications::default();
        assert_eq!(classes.get("trojan-activity").map(|(_, priority)| priority), Some(1));
        assert_eq!(classes.get("tcp-connection").map(|(_, priority)| priority), Some(4));
        let unknown = classes.entry("of-my-own");
        assert_eq!(unknown.priority, DEFAULT_PRIORITY);
        assert_eq!(&*unknown.class.description, "");
    }
}
