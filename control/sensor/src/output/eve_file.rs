//! A file of lines that survives a crash of its writer, a full disk and log rotation: whole lines
//! only, counted when they are in the file.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What to do with a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Go on after its last whole line: the live sensor.
    Append,
    /// Begin anew: a replay's result is the replay's alone.
    Replace,
}

/// Bytes that wait for the disk at the most; lines beyond that are refused.
const CAPACITY: usize = 4 << 20;

/// The longest torn line that is mended. A file that ends in a longer one is not ours.
const LONGEST_TORN_LINE: u64 = 64 << 20;

/// A file of lines, and the lines that wait to be written.
#[derive(Debug)]
pub struct EveFile {
    path: PathBuf,
    file: File,
    /// Device and inode, to see when someone has moved the file away; None if it is no regular one.
    place: Option<(u64, u64)>,
    /// Lines, the first of which may be written in part already.
    waiting: Vec<u8>,
    /// The lines in `waiting`: the length, of the first one what is left of it, and whether it counts.
    lengths: VecDeque<(usize, bool)>,
    /// Bytes of the first waiting line that are in the file.
    begun: u64,
    /// Bytes cut off the end of what was there.
    mended: u64,
}

impl EveFile {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// When it cannot be opened, or ends in something that no eve.json ends in. The text names it.
    pub fn open(path: &Path, existing: Existing) -> io::Result<Self> {
        let explain = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot open {}: {error}", path.display()))
        };
        let mut file = Self::open_raw(path, existing).map_err(explain)?;
        let metadata = file.metadata().map_err(explain)?;
        let mut mended = 0;
        if metadata.is_file() {
            mended = mend(&mut file, metadata.len()).map_err(explain)?;
        }
        let place = metadata.is_file().then(|| (metadata.dev(), metadata.ino()));
        Ok(Self {
            path: path.to_owned(),
            file,
            place,
            waiting: Vec::new(),
            lengths: VecDeque::new(),
            begun: 0,
            mended,
        })
    }

    fn open_raw(path: &Path, existing: Existing) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        // Only a regular file can be mended, and of a pipe reading would take what is not ours.
        let is_special = path.metadata().is_ok_and(|it| !it.is_file());
        options.read(!is_special);
        let file = options.open(path)?;
        if existing == Existing::Replace && !is_special {
            file.set_len(0)?;
        }
        Ok(file)
    }

    /// Bytes of a torn line that were cut off when the file was opened.
    pub fn mended(&self) -> u64 {
        self.mended
    }

    /// Lines that wait and count.
    pub fn waiting(&self) -> usize {
        self.lengths.iter().filter(|&&(_, counts)| counts).count()
    }

    /// Bytes that wait.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.len()
    }

    /// Adds a line, which `write` appends with its line end. False, and nothing added, if too much
    /// waits already.
    pub fn push<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<bool, E> {
        self.add(true, write)
    }

    /// The same of a line, its end included, that is no alert: it is not counted anywhere.
    pub fn push_aside(&mut self, line: &[u8]) -> bool {
        let write = |waiting: &mut Vec<u8>| -> Result<(), std::convert::Infallible> {
            waiting.extend_from_slice(line);
            Ok(())
        };
        self.add(false, write).unwrap_or(false)
    }

    fn add<E>(
        &mut self,
        counts: bool,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<bool, E> {
        if self.waiting.len() >= CAPACITY {
            return Ok(false);
        }
        let start = self.waiting.len();
        match write(&mut self.waiting) {
            Ok(()) => {
                self.lengths.push_back((self.waiting.len().saturating_sub(start), counts));
                Ok(true)
            }
            Err(error) => {
                self.waiting.truncate(start);
                Err(error)
            }
        }
    }

    /// Writes what waits. Returns how many lines that count became whole in the file, and the error that
    /// stopped it, if one did; what is left stays for the next attempt.
    pub fn flush(&mut self) -> (u64, Option<io::Error>) {
        let mut done = 0;
        let mut failure = None;
        while let Some(rest) = self.waiting.get(done..).filter(|rest| !rest.is_empty()) {
            match self.file.write(rest) {
                Ok(0) => {
                    failure = Some(io::ErrorKind::WriteZero.into());
                    break;
                }
                Ok(n) => done += n.min(rest.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        self.waiting.drain(..done);
        (self.account(done), failure)
    }

    /// Counts the lines that `done` bytes completed, of those that count.
    fn account(&mut self, mut done: usize) -> u64 {
        let mut lines = 0;
        while let Some((first, counts)) = self.lengths.front_mut() {
            if done < *first {
                *first -= done;
                self.begun += done as u64;
                break;
            }
            done -= *first;
            lines += u64::from(*counts);
            self.lengths.pop_front();
            self.begun = 0;
        }
        lines
    }

    /// Opens the path anew if the file there is not the one that is written to any more, as after
    /// log rotation. What waits goes into the old file first. True if it did.
    ///
    /// # Errors
    /// When the new file cannot be opened; the old one stays in use.
    pub fn follow(&mut self) -> io::Result<bool> {
        let Some(place) = self.place else { return Ok(false) };
        let there = self.path.metadata().ok().map(|it| (it.dev(), it.ino()));
        // The line that was begun belongs to the file that has its beginning.
        if there == Some(place) || self.begun > 0 {
            return Ok(false);
        }
        let next = Self::open(&self.path, Existing::Append)?;
        (self.file, self.place) = (next.file, next.place);
        self.mended += next.mended;
        Ok(true)
    }

    /// Gives up what still waits, so that the file ends in a whole line. Returns how many lines
    /// that count that were.
    pub fn give_up(&mut self) -> u64 {
        if self.begun > 0
            && self.place.is_some()
            && let Ok(metadata) = self.file.metadata()
        {
            // If even this fails, the next start mends it.
            let _ = self.file.set_len(metadata.len().saturating_sub(self.begun));
        }
        let lost = self.waiting() as u64;
        self.begun = 0;
        self.lengths.clear();
        self.waiting.clear();
        lost
    }
}

/// Makes a file end in a whole line; returns how many bytes that took off.
fn mend(file: &mut File, len: u64) -> io::Result<u64> {
    let mut tail = Vec::new();
    let mut start = len;
    let mut step = 64 << 10;
    // Where the last line begins: backwards, in growing steps.
    let line = loop {
        if start == 0 {
            break 0;
        }
        if len - start > LONGEST_TORN_LINE {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "its last line never ends: this is no eve.json, it is left alone",
            ));
        }
        let from = start.saturating_sub(step);
        let mut block = vec![0; usize::try_from(start - from).unwrap_or(0)];
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(&mut block)?;
        let end = block.iter().rposition(|&byte| byte == b'\n');
        block.extend_from_slice(&tail);
        (tail, start, step) = (block, from, step * 2);
        if let Some(at) = end {
            break start + at as u64 + 1;
        }
    };
    if line == len {
        return Ok(0);
    }
    let torn = tail.get(usize::try_from(line - start).unwrap_or(usize::MAX)..).unwrap_or(&[]);
    if !torn.starts_with(b"{") && line == 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is not empty and no eve.json, it is left alone",
        ));
    }
    if serde_json::from_slice::<serde::de::IgnoredAny>(torn).is_ok() {
        // Only the line's end is missing.
        file.write_all(b"\n")?;
        return Ok(0);
    }
    file.set_len(line)?;
    Ok(len - line)
}

#[cfg(test)]
mod tests;
