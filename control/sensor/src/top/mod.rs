//! `pollux top`: a running sensor in a terminal, over its local socket.

pub mod client;
mod model;
mod view;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, bounded};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use crate::exit::UsageError;
use crate::health::Sample;
pub use client::{Client, ClientError};
use model::Model;

/// How often keys and samples are looked for.
const TICK: Duration = Duration::from_millis(100);

/// How long before a sensor that has gone is looked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// Shows the sensor at this socket until the user has seen enough.
///
/// # Errors
/// No sensor is there at the start, or there is no terminal to draw on.
pub fn run(socket: &Path) -> anyhow::Result<()> {
    // Before the screen is taken: that nobody is there is to be read.
    let client = Client::connect(socket)?;
    if !io::stdout().is_terminal() {
        let text = "`pollux top` draws on a terminal; for scripts there is --json";
        return Err(UsageError(text.to_owned()).into());
    }
    let samples = listen(client, socket.to_owned())?;
    let mut terminal = ratatui::try_init()?;
    let shown = show(&mut terminal, &samples);
    ratatui::try_restore()?;
    Ok(shown?)
}

/// Writes one sample as a line of JSON.
///
/// # Errors
/// No sensor is there, or what writing says.
pub fn print(socket: &Path) -> anyhow::Result<()> {
    let sample = Client::connect(socket)?.sample()?;
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &sample)?;
    writeln!(out)?;
    Ok(())
}

/// Reads samples on a thread of its own, over a new connection where the sensor has gone.
fn listen(
    client: Client,
    socket: PathBuf,
) -> io::Result<Receiver<Result<Box<Sample>, ClientError>>> {
    let (sender, receiver) = bounded(1);
    std::thread::Builder::new().name("pollux-top".to_owned()).spawn(move || {
        let mut client = Some(client);
        loop {
            let next = match &mut client {
                Some(client) => client.sample().map(Box::new),
                None => match Client::connect(&socket) {
                    Ok(connected) => {
                        client = Some(connected);
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            let has_failed = next.is_err();
            if sender.send(next).is_err() {
                return;
            }
            if has_failed {
                client = None;
                std::thread::sleep(AGAIN);
            }
        }
    })?;
    Ok(receiver)
}

fn show(
    terminal: &mut DefaultTerminal,
    samples: &Receiver<Result<Box<Sample>, ClientError>>,
) -> io::Result<()> {
    let mut model = Model::default();
    let mut drawn = None::<Instant>;
    loop {
        let mut is_new = drawn.is_none();
        for news in samples.try_iter() {
            is_new = true;
            match news {
                Ok(sample) => model.take(*sample),
                Err(error) => model.trouble = Some(error.to_string()),
            }
        }
        if is_new {
            terminal.draw(|frame| view::draw(frame, &model))?;
            drawn = Some(Instant::now());
        }
        if event::poll(TICK)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => match key.code {
                    KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                    KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                        return Ok(());
                    }
                    KeyCode::Char('p' | ' ') => model.toggle_pause(),
                    KeyCode::Char('s') => model.next_sort(),
                    _ => continue,
                },
                Event::Resize(..) => {}
                _ => continue,
            }
            drawn = None;
        }
    }
}

#[cfg(test)]
mod tests;
