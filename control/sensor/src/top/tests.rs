use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::health::{ResourceAlerts, SignatureAlerts};
use crate::output::ledger::{Ledger, NicCounters, PortLedger, QueueLedger};

/// The sensor after so many seconds.
fn sample(seconds: u64) -> Sample {
    let queue = |queue, core, received: u64| QueueLedger {
        queue: Some(queue),
        core: Some(core),
        received,
        inspected: received / 2,
        unscoped: received / 2 - 3 * seconds,
        dropped: [("non_ip".to_owned(), 2 * seconds), ("stream_memcap".to_owned(), seconds)].into(),
        bytes: received * 1000,
        ..QueueLedger::default()
    };
    let queues = vec![queue(0, 2, 10_000 * seconds), queue(1, 3, 500 * seconds)];
    let nic = NicCounters { imissed: Some(7 * seconds), ..NicCounters::default() };
    let mut ledger = Ledger {
        seconds: seconds as f64,
        ports: vec![PortLedger { name: "eth1".to_owned(), nic, queues, ..PortLedger::default() }],
        ..Ledger::default()
    };
    ledger.totals.received = 10_500 * seconds;
    ledger.totals.bytes = 10_500_000 * seconds;
    ledger.alerts.lost = [("ring_full".to_owned(), 4)].into();
    let signature = |sid, msg: &str, alerts| SignatureAlerts {
        gid: 1,
        sid,
        msg: msg.to_owned(),
        alerts,
        ..SignatureAlerts::default()
    };
    let mut sample = Sample {
        time_ns: seconds * 1_000_000_000,
        node: "node-a".to_owned(),
        version: "0.1.0".to_owned(),
        pid: 1,
        ledger,
        generation: 5,
        resources: 2,
        alerts_by_signature: vec![
            signature(2_000_009, "often long ago", 900),
            signature(2_000_010, "seldom but now", 10 * seconds),
        ],
        alerts_by_resource: vec![ResourceAlerts {
            namespace: "shop".to_owned(),
            name: "web-tier".to_owned(),
            alerts: 900,
        }],
        conditions: vec!["one direction only".to_owned(), "another".to_owned()],
        ..Sample::default()
    };
    sample.rules.loaded = 37_016;
    sample
}

fn lines(model: &Model, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal.draw(|frame| view::draw(frame, model)).expect("drawn");
    let buffer = terminal.backend().buffer();
    (0..height)
        .map(|y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>())
        .map(|line| line.trim_end().to_owned())
        .collect()
}

fn model() -> Model {
    let mut model = Model::default();
    model.take(sample(10));
    model.take(sample(12));
    model
}

#[track_caller]
fn holds(lines: &[String], words: &[&str]) {
    let found = lines.iter().any(|line| {
        let mut all: Vec<&str> = line.split_whitespace().collect();
        all.reverse();
        words.iter().all(|word| {
            loop {
                match all.pop() {
                    Some(next) if next == *word => break true,
                    Some(_) => {}
                    None => break false,
                }
            }
        })
    });
    assert!(found, "{words:?} is in no line of {lines:#?}");
}

#[test]
fn a_terminal_of_80_by_24_shows_everything() {
    let lines = lines(&model(), 80, 24);
    holds(
        &lines,
        &["pollux", "0.1.0", "on", "node-a", "up", "0:00:12", "generation", "5", "37016"],
    );
    holds(&lines, &["packets", "10.5k/s", "84.0Mbit/s", "received", "126k"]);
    holds(&lines, &["!", "one", "direction", "only", "(and", "1", "more)"]);
    holds(&lines, &["eth1", "0", "2", "10.0k", "80.0M", "120k", "60.0k", "36", "3"]);
    holds(&lines, &["eth1", "1", "3", "500"]);
    holds(&lines, &["non_ip", "48", "4"]);
    holds(&lines, &["nic", "imissed", "84", "7"]);
    holds(&lines, &["alerts", "ring_full", "4", "0"]);
    holds(&lines, &["shop/web-tier", "900", "0"]);
    holds(&lines, &["900", "0", "1:2000009", "often", "long", "ago"]);
    holds(&lines, &["120", "10", "1:2000010", "seldom", "but", "now"]);
    assert!(lines[23].contains("q quit") && lines[23].contains("sort: total"), "{lines:#?}");
}

#[test]
fn sorting_changes_the_order_and_pausing_what_comes_in() {
    let mut model = model();
    let first = |model: &Model| model.signatures()[0].name.clone();
    assert_eq!(first(&model), "1:2000009");
    model.next_sort();
    assert_eq!(first(&model), "1:2000010");
    assert_eq!(model.losses()[0].name, "imissed");
    model.next_sort();
    assert_eq!(first(&model), "1:2000009");
    model.toggle_pause();
    model.take(sample(20));
    assert_eq!(model.sample().map(|sample| sample.time_ns), Some(12_000_000_000));
    assert!(lines(&model, 80, 24)[0].starts_with("PAUSED"));
    model.toggle_pause();
    model.take(sample(20));
    assert_eq!(model.sample().map(|sample| sample.time_ns), Some(20_000_000_000));
}

#[test]
fn another_process_begins_anew_and_a_sensor_that_has_gone_is_told() {
    let mut model = model();
    model.take(Sample { pid: 2, ..sample(13) });
    assert_eq!(model.rate(|sample| Some(sample.ledger.totals.received)), 0.0);
    model.trouble = Some("the sensor has gone".to_owned());
    assert!(lines(&model, 80, 24)[3].contains("has gone"));
    // Whatever the size, nothing panics.
    for (width, height) in [(1, 1), (10, 3), (40, 8), (300, 100)] {
        lines(&model, width, height);
        lines(&Model::default(), width, height);
    }
}

#[test]
fn a_sample_survives_the_way_over_the_socket() {
    let text = serde_json::to_string(&sample(3)).expect("JSON");
    assert_eq!(serde_json::from_str::<Sample>(&text).expect("a sample"), sample(3));
    // What a sensor of another version adds or lacks is no error.
    let other = text.replacen('{', "{\"new\":[1],", 1).replace("\"node\":\"node-a\",", "");
    assert_eq!(serde_json::from_str::<Sample>(&other).expect("a sample").node, "");
}

#[test]
fn numbers_are_short_whatever_their_size() {
    let cases = [
        (0.0, "0"),
        (7.0, "7"),
        (0.5, "0.50"),
        (12.34, "12.3"),
        (999.0, "999"),
        (999.9, "1.00k"),
        (12_345.0, "12.3k"),
        (999_999.0, "1.00M"),
        (123_456_789.0, "123M"),
    ];
    for (number, text) in cases {
        assert_eq!(view::short(number), text);
    }
    assert!(view::short(u64::MAX as f64).len() <= 6);
}
