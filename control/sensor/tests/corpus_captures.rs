//! Every capture of the corpus, malformed and evasive ones among them, goes through `pollux replay`:
//! no panic, no failure, and every frame in the file is in the ledger.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::captures::{Count, count};
use common::{Results, pollux, shared};

/// Rules that look at as much as can be looked at: every parser and buffer has work to do.
const RULES: &str = r#"
alert ip any any -> any any (msg:"any packet"; sid:1;)
alert tcp any any -> any any (msg:"a stream"; flow:established; content:"a"; sid:2;)
alert udp any any -> any any (msg:"a datagram"; content:"|00 00|"; sid:3;)
alert icmp any any -> any any (msg:"an echo"; itype:8; sid:4;)
alert http any any -> any any (msg:"a target"; http.uri; content:"/"; sid:5;)
alert http any any -> any any (msg:"a method"; http.method; content:"GET"; sid:6;)
alert dns any any -> any any (msg:"a name"; dns.query; content:"e"; nocase; sid:7;)
alert tls any any -> any any (msg:"a server"; tls.sni; content:"e"; nocase; sid:8;)
alert tcp any any -> any any (msg:"backtracks"; content:"e"; pcre:"/(\w+\s?)+x$/R"; sid:9;)
alert tcp any any -> any any (msg:"twice"; content:"e"; content:"t"; distance:0; within:9; sid:10;)
"#;

/// All captures below a folder, sorted.
fn captures(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let extension = path.extension().and_then(|it| it.to_str()).unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if ["pcap", "pcapng", "cap"].contains(&extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What is wrong with a replay of this capture.
fn fault(capture: &Path, rules: &Path, out: &Path, more: &[&str]) -> Option<String> {
    let Some(Count { frames, cut }) = count(capture) else {
        return Some("is no capture by its first bytes".to_owned());
    };
    let mut words = words!["replay", "-S", rules, "-l", out, "-k", "none"];
    words.extend(more.iter().map(Into::into));
    words.push(capture.into());
    let run = pollux(words);
    if run.code != Some(0) {
        return Some(run.to_string());
    }
    if run.stderr.contains("panicked") {
        return Some(run.stderr);
    }
    let ledger = Results::of(out).ledger();
    let panics = &ledger.0["trouble"]["panics"];
    if ledger.total("received") != frames || panics != 0 {
        return Some(format!("{frames} frames, cut: {cut}, panics: {panics}; {}", ledger.0));
    }
    if cut != run.stderr.contains("ends in the middle") {
        return Some(format!("cut: {cut}; {run}"));
    }
    None
}

/// Replays all of them, two at a time.
fn replay_all(captures: &[PathBuf], more: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join("all.rules");
    fs::write(&rules, RULES).expect("written");
    let cache = folder.path().join("cache").display().to_string();
    let more = [more, &["--cache", &cache]].concat();
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for number in 0..2 {
            let out = folder.path().join(number.to_string());
            let (next, faults, rules, more) = (&next, &faults, &rules, &more);
            scope.spawn(move || {
                while let Some(capture) = captures.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let checked = std::panic::catch_unwind(|| fault(capture, rules, &out, more));
                    let fault = checked.unwrap_or_else(|_| Some("the check failed".to_owned()));
                    if let Some(fault) = fault {
                        let mut faults = faults.lock().expect("no panic");
                        faults.push(format!("{}: {fault}", capture.display()));
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().expect("no panic");
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), captures.len(), faults.join("\n"));
}

#[test]
fn hostile_captures_are_accounted_for_frame_by_frame() {
    let Some(shared) = shared() else { return };
    let captures = captures(&shared.join("corpus/hostile"));
    assert!(captures.len() >= 200, "{}", captures.len());
    replay_all(&captures, &[]);
    replay_all(&captures, &["--workers", "2", "--spread", "elsewhere"]);
}

#[test]
fn captures_of_suricatas_own_tests_are_accounted_for_frame_by_frame() {
    let Some(shared) = shared() else { return };
    let captures = captures(&shared.join("corpus/suricata-verify"));
    assert!(captures.len() >= 500, "{}", captures.len());
    replay_all(&captures, &[]);
}
