//! Rules as large sets have them, made from a seed: for benches, and for whoever wants a profile of how they are
//! evaluated. Most have patterns that no capture of ours has; of the others all but the last test holds now and
//! then.

use std::fmt::Write as _;

use crate::Random;

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const HEXADECIMAL: &[u8] = b"0123456789abcdef";

/// Words of bodies and targets that captures have.
const KNOWN: &[&str] =
    &["delivery", "customer", "quantity", "articles", "basket", "pending", "kitchen"];

/// Names that captures ask for.
const HOSTS: &[&str] = &["shop.example", "bank.example", "svc.cluster.local", "tunnel.example"];

/// One rule of so many has words that captures have.
const ONE_IN: u64 = 6;

/// So many rules on all that is inspected: HTTP's buffers, names of DNS and TLS, payloads of TCP and UDP.
pub fn rules(seed: u64, count: usize) -> String {
    let mut random = Random::new(seed);
    let mut out = String::new();
    for sid in 1..=count {
        let (protocol, ports, options) = match random.below(20) {
            0..5 => ("http", "any", target(&mut random)),
            5..8 => ("http", "any", fields(&mut random)),
            8..11 => ("http", "any", body(&mut random)),
            11..13 => ("dns", "any", name("dns.query", &mut random)),
            13..15 => ("tls", "any", name("tls.sni", &mut random)),
            15..19 => {
                let kind = random.below(5) as usize;
                let contents = payload(kind, &mut random);
                ("tcp", *random.pick(&["any", "any", "80", "443", "8080"]), contents)
            }
            _ => {
                let bytes = hex(&random.bytes(4));
                let options =
                    format!("content:\"|{bytes}|\"; depth:8; content:\"|00 01|\"; distance:2");
                ("udp", *random.pick(&["any", "53", "5353"]), options)
            }
        };
        let flow = match protocol {
            "udp" | "dns" => "",
            // Bodies that are looked at by this name are responses'; all else is requests'.
            "http" if options.starts_with("file_data") => "flow:established,to_client; ",
            "http" | "tls" => "flow:established,to_server; ",
            _ => *random.pick(&[
                "flow:established,to_server; ",
                "flow:established,to_client; ",
                "flow:established; ",
            ]),
        };
        rule(&mut out, sid, protocol, ports, &format!("{flow}{options}"));
    }
    out
}

/// So many rules on raw TCP payload with a pattern of their own each, of the kinds that real sets
/// have: targets, fields, marks of malware's own protocols, bytes of shell code.
pub fn payload_rules(count: usize) -> String {
    let mut random = Random::new(5);
    let mut out = String::new();
    for sid in 1..=count {
        let contents = payload(sid % 5, &mut random);
        rule(&mut out, sid, "tcp", "any", &format!("flow:established; {contents}"));
    }
    out
}

fn rule(out: &mut String, sid: usize, protocol: &str, ports: &str, options: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "alert {protocol} any any -> any {ports} (msg:\"rule {sid}\"; {options}; sid:{sid};)"
    );
}

fn word(random: &mut Random, letters: usize) -> String {
    random.text(LETTERS, letters)
}

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

/// A word that captures have, or more often one of so many letters that none has.
fn known_or(letters: usize, random: &mut Random) -> String {
    match random.below(ONE_IN) {
        0 => (*random.pick(KNOWN)).to_owned(),
        _ => word(random, letters),
    }
}

fn payload(kind: usize, random: &mut Random) -> String {
    match kind {
        0 => format!("content:\"/{}/{}.php\"", word(random, 6), word(random, 5)),
        1 => format!("content:\"User-Agent|3a 20|{}\"; nocase", word(random, 8)),
        2 => format!("content:\"{}|3a|{}\"; nocase", word(random, 5), word(random, 5)),
        3 => format!("content:\"|{}|\"", hex(&random.bytes(8))),
        _ => format!("content:\"{}=\"; content:\"&cmd=\"; distance:0", word(random, 9)),
    }
}

fn target(random: &mut Random) -> String {
    let known = known_or(7, random);
    match random.below(4) {
        0 => format!("http.uri; content:\"/{known}\"; content:\".php\"; endswith"),
        1 => format!("http.uri; content:\"/{known}/\"; startswith; pcre:\"/\\/[a-f0-9]{{32}}$/\""),
        2 => format!("http.method; content:\"POST\"; http.uri; content:\"{known}=\"; nocase"),
        _ => {
            let id = random.text(HEXADECIMAL, 8);
            format!("http.uri; content:\"/{known}\"; content:\"id={id}\"; distance:0; within:40")
        }
    }
}

fn fields(random: &mut Random) -> String {
    match random.below(5) {
        0 => format!("http.user_agent; content:\"{}\"; startswith", word(random, 7)),
        1 => format!(
            "http.user_agent; content:\"Mozilla\"; content:\"{}\"; distance:4",
            word(random, 6)
        ),
        2 => format!("http.host; content:\"{}.example\"; endswith", word(random, 8)),
        3 => format!("http.header; content:\"X-{}|3a 20|\"; nocase", word(random, 6)),
        _ => format!("http.cookie; content:\"{}=\"; startswith", word(random, 5)),
    }
}

fn body(random: &mut Random) -> String {
    let known = known_or(9, random);
    match random.below(3) {
        0 => format!("file_data; content:\"{known}\"; content:\"{}\"; within:200", word(random, 6)),
        1 => format!(
            "http.request_body; content:\"{known}\"; pcre:\"/{known}\\s*=\\s*[0-9]{{12}}/\""
        ),
        _ => format!("file_data; content:\"<script>{}\"; nocase", word(random, 6)),
    }
}

fn name(buffer: &str, random: &mut Random) -> String {
    match random.below(ONE_IN) {
        0 => format!("{buffer}; content:\"{}\"; pcre:\"/^[a-z]{{30}}\\./\"", random.pick(HOSTS)),
        1 => format!("{buffer}; dotprefix; content:\".{}.example\"; endswith", word(random, 8)),
        _ => format!(
            "{buffer}; content:\"{}.{}\"; nocase; endswith",
            word(random, 9),
            word(random, 3)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_follow_from_the_seed_and_look_at_everything() {
        let made = rules(1, 2_000);
        assert_eq!(made, rules(1, 2_000));
        assert_ne!(made, rules(2, 2_000));
        assert_eq!(made.lines().count(), 2_000);
        let buffers = ["http.uri", "http.user_agent", "file_data", "dns.query", "tls.sni", "pcre:"];
        for part in buffers.into_iter().chain(["alert udp", "alert tcp"]) {
            assert!(made.contains(part), "{part}");
        }
        assert!(KNOWN.iter().all(|word| made.contains(word)));
    }
}
