//! How `pollux top` draws a [`Model`]; 80 columns and 24 lines are enough.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row as Cells, Table};

use super::model::{Model, Row};
use crate::health::Sample;

/// Lines of the table of queues at the most, so that the rest has room.
const MOST_QUEUES: u16 = 9;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    let rows = model.queues();
    let queues = u16::try_from(rows.len()).unwrap_or(u16::MAX).clamp(1, MOST_QUEUES) + 1;
    let [title, totals, more, trouble, queue_area, tables, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(queues),
        Constraint::Min(4),
        Constraint::Length(1),
    ])
    .areas(area);
    let help = format!(" q quit   s sort: {}   p {} ", model.sort.name(), pause(model));
    frame.render_widget(
        Paragraph::new(help).style(Style::new().add_modifier(Modifier::REVERSED)),
        keys,
    );
    if let Some(words) = &model.trouble {
        frame.render_widget(Paragraph::new(words.as_str()).fg(Color::Red), trouble);
    }
    let Some(sample) = model.sample() else {
        frame.render_widget(Paragraph::new("waiting for the sensor"), title);
        return;
    };
    frame.render_widget(heading(sample, model.paused), title);
    frame.render_widget(Paragraph::new(flow_of_packets(model, sample)), totals);
    frame.render_widget(Paragraph::new(flows_and_alerts(model, sample)), more);
    if model.trouble.is_none()
        && let Some(first) = sample.conditions.first()
    {
        let others = sample.conditions.len() - 1;
        let more = if others > 0 { format!(" (and {others} more)") } else { String::new() };
        frame.render_widget(Paragraph::new(format!("! {first}{more}")).fg(Color::Yellow), trouble);
    }
    let lines = rows.iter().map(|row| {
        let number = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
        let queue = &row.queue;
        Cells::new([
            row.port.clone(),
            right(&number(queue.queue.map(|it| it.to_string())), 3),
            right(&number(queue.core.map(|it| it.to_string())), 4),
            right(&short(row.packets), 7),
            right(&short(row.bits), 7),
            right(&short(queue.received as f64), 8),
            right(&short(queue.inspected as f64), 9),
            right(&short(queue.unscoped as f64), 8),
            right(&short(queue.dropped_total() as f64), 7),
            right(&short(row.dropped), 7),
        ])
    });
    let widths = [
        Constraint::Min(8),
        Constraint::Length(3),
        Constraint::Length(4),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Length(8),
        Constraint::Length(9),
        Constraint::Length(8),
        Constraint::Length(7),
        Constraint::Length(7),
    ];
    let names = [
        "port".to_owned(),
        "que".to_owned(),
        "core".to_owned(),
        right("pkt/s", 7),
        right("bit/s", 7),
        right("received", 8),
        right("inspected", 9),
        right("unscoped", 8),
        right("dropped", 7),
        right("drop/s", 7),
    ];
    let header = Cells::new(names).style(Style::new().bold());
    frame.render_widget(Table::new(lines, widths).header(header).column_spacing(1), queue_area);
    let [left, right_side] =
        Layout::horizontal([Constraint::Length(33), Constraint::Min(30)]).spacing(1).areas(tables);
    let [losses, resources] =
        Layout::vertical([Constraint::Ratio(1, 2), Constraint::Ratio(1, 2)]).areas(left);
    counts(frame, losses, "dropped and lost", &model.losses());
    counts(frame, resources, "alerts: resources", &model.resources());
    signatures(frame, right_side, &model.signatures());
}

fn pause(model: &Model) -> &'static str {
    if model.paused { "go on" } else { "pause" }
}

fn heading(sample: &Sample, paused: bool) -> Paragraph<'static> {
    let seconds = sample.ledger.seconds as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut spans = Vec::new();
    if paused {
        spans.push(Span::from("PAUSED ").bold().fg(Color::Yellow));
    }
    spans.extend([
        Span::from(format!("pollux {} on {}", sample.version, sample.node)).bold(),
        Span::from(format!(
            "  up {hours}:{minutes:02}:{seconds:02}  generation {}  {} rules  {} resources",
            sample.generation, sample.rules.loaded, sample.resources
        )),
    ]);
    if sample.rules.rejected > 0 {
        let rejected = format!("  {} rules rejected", sample.rules.rejected);
        spans.push(Span::from(rejected).fg(Color::Yellow));
    }
    Paragraph::new(Line::from(spans))
}

fn flow_of_packets(model: &Model, sample: &Sample) -> String {
    let totals = &sample.ledger.totals;
    format!(
        "packets {}/s  {}bit/s  received {}  inspected {}  unscoped {}  dropped {}",
        short(model.rate(|it| Some(it.ledger.totals.received))),
        short(model.rate(|it| Some(it.ledger.totals.bytes)) * 8.0),
        short(totals.received as f64),
        short(totals.inspected as f64),
        short(totals.unscoped as f64),
        short(totals.dropped as f64),
    )
}

fn flows_and_alerts(model: &Model, sample: &Sample) -> String {
    let (flows, alerts) = (&sample.ledger.flows, &sample.ledger.alerts);
    format!(
        "flows {} active  {}/s new  {}B in streams  alerts {} written  {} lost  {}/s",
        short(flows.active as f64),
        short(model.rate(|it| Some(it.ledger.flows.created))),
        short(flows.stream_memory as f64),
        short(alerts.written as f64),
        short(alerts.lost.values().sum::<u64>() as f64),
        short(model.rate(|it| Some(it.ledger.alerts.written))),
    )
}

fn counts(frame: &mut Frame<'_>, area: Rect, title: &str, rows: &[Row]) {
    let name_width = 17;
    let lines = rows.iter().map(|row| {
        let name = if row.about.is_empty() {
            row.name.clone()
        } else {
            format!("{} {}", row.about, row.name)
        };
        Cells::new([name, right(&short(row.total as f64), 7), right(&short(row.rate), 7)])
    });
    let header = [title.to_owned(), right("total", 7), right("/s", 7)];
    let header = Cells::new(header).style(Style::new().bold());
    let widths = [Constraint::Min(name_width), Constraint::Length(7), Constraint::Length(7)];
    frame.render_widget(Table::new(lines, widths).header(header).column_spacing(1), area);
}

fn signatures(frame: &mut Frame<'_>, area: Rect, rows: &[Row]) {
    let lines = rows.iter().map(|row| {
        Cells::new([
            right(&short(row.total as f64), 6),
            right(&short(row.rate), 6),
            row.name.clone(),
            row.about.clone(),
        ])
    });
    let header = [right("alerts", 6), right("/s", 6), "signature".to_owned(), String::new()];
    let header = Cells::new(header).style(Style::new().bold());
    let widths =
        [Constraint::Length(6), Constraint::Length(6), Constraint::Length(10), Constraint::Min(8)];
    frame.render_widget(Table::new(lines, widths).header(header).column_spacing(1), area);
}

fn right(text: &str, width: usize) -> String {
    format!("{text:>width$}")
}

/// A number in at most six letters: `999`, `12.3k`, `4.56M`.
pub(super) fn short(number: f64) -> String {
    let units = ["", "k", "M", "G", "T", "P", "E"];
    let mut number = number;
    let mut unit = 0;
    while number >= 999.5 && unit + 1 < units.len() {
        number /= 1000.0;
        unit += 1;
    }
    let whole = unit == 0 && (number.fract() == 0.0 || number >= 99.5);
    let digits = match number {
        _ if whole => 0,
        number if number >= 99.5 => 0,
        number if number >= 9.995 => 1,
        _ => 2,
    };
    format!("{number:.digits$}{}", units[unit])
}
