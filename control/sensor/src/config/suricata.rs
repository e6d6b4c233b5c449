//! Suricata's names of settings: which of ours each means, which mean nothing here.
//! Names are those of Suricata 7's documented `suricata.yaml`.

use std::path::Path;

use super::Value;
use super::error::suggestion;
use super::keys;
use super::suricata_names::{
    DEFRAG, ENABLED, FILES, HOST_POLICIES, PASSED_OVER, PROTOCOLS, SAME, STREAM,
};

/// What a name of Suricata's is here.
#[derive(Debug, PartialEq)]
pub(super) enum Meaning {
    /// A setting of ours, and the value for it.
    Ours(String, Value),
    /// Suricata knows it; here it means nothing, or nothing yet.
    PassedOver,
    /// It asks for what is so anyway.
    AsItIs,
    /// The operating system of hosts, and their addresses.
    HostPolicy(String),
    /// Neither.
    Unknown,
}

/// The policies of an operating system, for streams and for fragments.
pub(super) fn host_policies(system: &str) -> Option<(&'static str, &'static str)> {
    let policies = HOST_POLICIES.iter().find(|(name, _, _)| *name == system);
    policies.map(|(_, streams, fragments)| (*streams, *fragments))
}

/// What a name and its value mean here.
pub(super) fn meaning(name: &str, value: &Value) -> Meaning {
    if let Some((_, ours)) = SAME.iter().find(|(theirs, _)| matches(theirs, name)) {
        return same(ours, value);
    }
    for group in [keys::ADDRESS_GROUPS, keys::PORT_GROUPS] {
        if name.strip_prefix(group).is_some_and(|name| !name.is_empty() && !name.contains('.')) {
            return Meaning::Ours(name.to_owned(), value.clone());
        }
    }
    // A type without settings of its own: its totals.
    if matches("outputs.*.eve-log.types.*", name)
        && matches!(value, Value::Text(text) if text.trim() == "stats")
    {
        return Meaning::Ours("outputs.eve.stats.totals".to_owned(), Value::Text("yes".to_owned()));
    }
    if let Some(of_pcap_log) = pcap_log(name, value) {
        return of_pcap_log;
    }
    if name.strip_prefix("reputation-files.").is_some_and(|at| at.parse::<u32>().is_ok()) {
        return Meaning::Ours("rules.reputation.files".to_owned(), value.clone());
    }
    if let Some(system) = name.strip_prefix("host-os-policy.") {
        // A list's items are `host-os-policy.linux.0`.
        let system = system.split('.').next().unwrap_or_default();
        return match host_policies(system) {
            Some(_) => Meaning::HostPolicy(system.to_owned()),
            None => Meaning::Unknown,
        };
    }
    if ENABLED.iter().any(|enabled| matches(enabled, name)) && value.boolean() == Ok(true) {
        return Meaning::AsItIs;
    }
    let below = |section: &&str| {
        name.strip_prefix(*section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let protocol = name
        .strip_prefix("app-layer.protocols.")
        .is_some_and(|rest| PROTOCOLS.contains(&rest.split('.').next().unwrap_or_default()));
    let known = [PASSED_OVER, STREAM, DEFRAG].iter().any(|list| list.iter().any(below));
    if known || protocol || name.starts_with("outputs.") && is_output(name) {
        return Meaning::PassedOver;
    }
    // A section without anything in it.
    let sections = ["stream", "defrag", "vars", "vlan", "app-layer", "outputs", "host-os-policy"];
    let empty = matches!(value, Value::Text(text) if text.is_empty());
    if empty && sections.iter().any(below) {
        return Meaning::PassedOver;
    }
    Meaning::Unknown
}

/// The value of a setting in the file `yaml`: a file that is not where Suricata looks for it, in the working
/// directory, may be beside that file.
pub(super) fn value_in(yaml: &Path, name: &str, value: String) -> Value {
    let is_missing = FILES.contains(&name) && !value.is_empty() && !Path::new(&value).exists();
    let beside = yaml.with_file_name(value.trim());
    Value::Text(if is_missing && beside.is_file() { beside.display().to_string() } else { value })
}

/// What a `pcap-log` asks for that is otherwise here: packets of flows that alert are all that is written, and as
/// pcapng.
fn pcap_log(name: &str, value: &Value) -> Option<Meaning> {
    let Value::Text(text) = value else { return None };
    let text = text.trim();
    if matches("outputs.*.pcap-log.conditional", name) && text == "alerts" {
        let yes = Value::Text("yes".to_owned());
        return Some(Meaning::Ours("outputs.pcap-log.enabled".to_owned(), yes));
    }
    let is_name = matches("outputs.*.pcap-log.filename", name) && !text.is_empty();
    is_name.then(|| {
        let path = Path::new(text).with_extension("pcapng").display().to_string();
        Meaning::Ours("outputs.pcap-log.path".to_owned(), Value::Text(path))
    })
}

/// A value of Suricata's, as ours takes it.
fn same(ours: &str, value: &Value) -> Meaning {
    let text = match value {
        Value::Text(text) => text.trim(),
        _ => "",
    };
    // Empty means Suricata's default; a variable is resolved there by the rules' ports.
    if text.is_empty() || text.starts_with('$') {
        return Meaning::PassedOver;
    }
    // Suricata takes its default instead of what is out of range.
    let default = match ours {
        "detection.packet-alert-max" => text.parse().is_ok_and(|n: i64| !(1..=255).contains(&n)),
        "outputs.eve.stats.interval" => text.parse().is_ok_and(|n: i64| n < 1),
        _ => false,
    };
    if default { Meaning::PassedOver } else { Meaning::Ours(ours.to_owned(), value.clone()) }
}

/// Is this below `outputs`, as `outputs.1.eve-log…` (`--set`) or `outputs.eve-log`? Our own
/// outputs are not meant, so that a misspelt one of those is found out.
fn is_output(name: &str) -> bool {
    name.split('.').nth(1).is_some_and(|part| part.parse::<u32>().is_ok() || part.ends_with("log"))
}

/// Does a name fit a pattern in which `*` stands for one part?
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = name.split('.');
    let fits = pattern.split('.').all(|want| match parts.next() {
        Some(part) => want == "*" || want == part,
        None => false,
    });
    fits && parts.next().is_none()
}

/// `; did you mean …?` among all names that `--set` takes.
pub(super) fn nearest_of_all(name: &str) -> String {
    let ours = keys::names(name);
    let theirs = SAME.iter().map(|(theirs, _)| *theirs).filter(|theirs| !theirs.contains('*'));
    let protocols = PROTOCOLS.iter().map(|name| format!("app-layer.protocols.{name}.enabled"));
    let protocols: Vec<String> = protocols.collect();
    let all = ours
        .iter()
        .chain(&protocols)
        .map(String::as_str)
        .chain(theirs)
        .chain(PASSED_OVER.iter().chain(STREAM).chain(DEFRAG).copied());
    suggestion(name, all)
}

/// What the log calls a name that was passed over: as much of it as tells, so that the line stays
/// short. Numbers of a list's items say nothing.
pub(super) fn section_of(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').filter(|part| part.parse::<u32>().is_err()).collect();
    let depth = match parts.as_slice() {
        ["app-layer", "protocols", "http", "libhtp", "server-config", ..] => 5,
        ["app-layer", "protocols", "http", "libhtp", "default-config", option, ..] => {
            return format!("libhtp.{option}");
        }
        ["app-layer", "protocols", "dns" | "http" | "tls", ..] => parts.len(),
        ["app-layer", "protocols", ..] => {
            return "app-layer.protocols of other protocols".to_owned();
        }
        ["flow-timeouts", _, last] => {
            let last = if last.starts_with("emergency-") { "emergency-*" } else { last };
            return format!("flow-timeouts.*.{last}");
        }
        ["stream" | "defrag" | "decoder" | "app-layer", ..] => 3,
        ["outputs", "eve-log", "types", "alert", ..] => 5,
        ["outputs", "eve-log", ..] => 3,
        ["outputs", ..] => 2,
        _ => 1,
    };
    parts.into_iter().take(depth).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::Outcome;
    use crate::config::{Config, Place};

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn every_equivalent_leads_to_a_setting_of_ours() {
        for (theirs, ours) in SAME {
            let value = match *ours {
                name if name.contains("checksum-checks") => "auto",
                name if name.ends_with("randomize-chunk-size") => "yes",
                name if name.ends_with("randomize-chunk-range") => "10",
                name if name.ends_with("layer-limit") || name.ends_with("max-files") => "5",
                name if name.ends_with("pcap-log.limit") => "1mb",
                name if name.contains("timeout")
                    || name.ends_with("trackers")
                    || name.ends_with("max")
                    || name.ends_with("limit") =>
                {
                    "200"
                }
                name if name.ends_with("interval") => "10",
                name if name.ends_with("ports") => "4789, 8472",
                name if ["size", "memcap", "window"].iter().any(|end| name.ends_with(end)) => {
                    "128kb"
                }
                name if name.ends_with("urgent-policy") => "inline",
                name if name.ends_with("xff.mode") => "overwrite",
                name if name.ends_with("xff.deployment") => "forward",
                name if name.ends_with("depth") => "1mb",
                name if name.ends_with("queued")
                    || name.ends_with("max-tx")
                    || name.ends_with("seed") =>
                {
                    "5"
                }
                name if name.starts_with("rules.") || name.ends_with("node") => "a-name",
                _ => "yes",
            };
            let theirs = theirs.replace('*', "1");
            let Meaning::Ours(name, value) = meaning(&theirs, &text(value)) else {
                panic!("{theirs} is not ours");
            };
            assert_eq!(name, *ours);
            let place = Place::CommandLine(String::new());
            let outcome = keys::set(&mut Config::default(), &name, &value, &place);
            assert_eq!(outcome, Outcome::Set, "{theirs}");
        }
    }

    #[test]
    fn names_without_meaning_here_are_known() {
        for name in [
            "mpm-algo",
            "detect.profile",
            "stats.decoder-events",
            "runmode",
            "outputs.1.eve-log.types.1.frame.enabled",
            "app-layer.protocols.enip.enabled",
            "stream.reassembly.urgent.oob-limit-policy",
            "stream.midstream-policy",
            "exception-policy",
            "app-layer.error-policy",
            "unix-command.enabled",
            "app-layer.protocols.http.libhtp.default-config.http-body-inline",
            "app-layer.protocols.tls.encryption-handling",
            "threading.cpu-affinity.0.x",
        ] {
            assert_eq!(meaning(name, &text("1")), Meaning::PassedOver, "{name}");
        }
        for name in [
            "stream.midstraem",
            "app-layer.protocols.htpp.enabled",
            "foo",
            "vars.HOME_NET",
            "host-os-policy.plan9",
            "outputs.eve.paylod",
            "app-layer.foo",
        ] {
            assert_eq!(meaning(name, &text("1")), Meaning::Unknown, "{name}");
        }
    }

    #[test]
    fn stats_events_are_asked_for_by_their_type_alone_too() {
        let totals = "outputs.eve.stats.totals".to_owned();
        let bare = meaning("outputs.1.eve-log.types.5", &text("stats"));
        assert_eq!(bare, Meaning::Ours(totals.clone(), text("yes")));
        let set = meaning("outputs.1.eve-log.types.5.stats.totals", &text("yes"));
        assert_eq!(set, Meaning::Ours(totals, text("yes")));
        assert_eq!(meaning("outputs.1.eve-log.types.5", &text("http")), Meaning::PassedOver);
    }

    #[test]
    fn what_suricata_replaces_by_its_default_is_passed_over() {
        assert_eq!(meaning("packet-alert-max", &text("0")), Meaning::PassedOver);
        assert_eq!(meaning("stats.interval", &text("0")), Meaning::PassedOver);
        assert_eq!(meaning("decoder.vxlan.ports", &text("$VXLAN_PORTS")), Meaning::PassedOver);
        assert_eq!(meaning("stream.midstream", &text("")), Meaning::PassedOver);
        assert!(matches!(meaning("packet-alert-max", &text("20")), Meaning::Ours(..)));
    }

    #[test]
    fn sections_stand_for_what_is_in_them() {
        for (name, section) in [
            ("outputs.0.eve-log.types.3.http.extended", "outputs.eve-log.types"),
            ("outputs.0.eve-log.types.0.alert.http.x", "outputs.eve-log.types.alert.http"),
            ("outputs.2.stats.enabled", "outputs.stats"),
            ("app-layer.protocols.ftp.memcap", "app-layer.protocols of other protocols"),
            ("app-layer.protocols.tls.enabled", "app-layer.protocols.tls.enabled"),
            ("af-packet.0.interface", "af-packet"),
            ("stream.reassembly.urgent.policy", "stream.reassembly.urgent"),
            ("flow-timeouts.tcp.emergency-new", "flow-timeouts.*.emergency-*"),
            ("flow-timeouts.udp.bypassed", "flow-timeouts.*.bypassed"),
        ] {
            assert_eq!(section_of(name), section);
        }
    }

    #[test]
    fn asking_for_what_is_so_is_worth_no_word() {
        let http = |value| meaning("app-layer.protocols.http.enabled", &text(value));
        assert_eq!((http("yes"), http("no")), (Meaning::AsItIs, Meaning::PassedOver));
    }
}
