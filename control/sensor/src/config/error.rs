//! What is wrong in a configuration, and where; and which known name a misspelt one comes nearest.

use std::fmt;
use std::path::Path;

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file; line and column are 1-based.
    File {
        /// The file, as the user named it.
        file: String,
        /// The line.
        line: usize,
        /// The column in characters.
        column: usize,
    },
    /// In a file as a whole.
    WholeFile(String),
    /// On the command line, as typed.
    CommandLine(String),
}

impl Place {
    /// The place of a byte offset in a file's text.
    pub fn at(file: &Path, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).map_or(0, |line| line.chars().count()) + 1;
        Self::File {
            file: file.display().to_string(),
            line: before.matches('\n').count() + 1,
            column,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::WholeFile(file) => f.write_str(file),
            Self::CommandLine(text) => f.write_str(text),
        }
    }
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ConfigError {
    /// Where it stands.
    pub place: Place,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl ConfigError {
    /// An error at a place.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into() }
    }

    /// An error of a file as a whole.
    pub fn file(file: &Path, message: impl fmt::Display) -> Self {
        Self::new(Place::WholeFile(file.display().to_string()), message.to_string())
    }
}

/// All that is wrong in a configuration, in the order it was read; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

/// The known name that comes nearest to a misspelt one, if any comes near: at most a third of its
/// letters differ.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let name: Vec<char> = name.chars().take(128).collect();
    let limit = (name.len() / 3).max(2);
    known
        .into_iter()
        .map(|candidate| (distance(&name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// `; did you mean …?`, or nothing.
pub fn suggestion<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    nearest(name, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// Optimal string alignment distance: letters inserted, left out, replaced, or two swapped.
fn distance(from: &[char], to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, &a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &b) in to.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a == to[j - 1] && from[i - 1] == b {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found() {
        let known = ["streams.midstream", "streams.memcap", "flows.max"];
        assert_eq!(nearest("streams.midstraem", known), Some("streams.midstream"));
        assert_eq!(nearest("stream.memcap", known), Some("streams.memcap"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
        let chars: Vec<char> = "abcd".chars().collect();
        assert_eq!(distance(&chars, "abdc"), 1);
        assert_eq!(distance(&chars, "bcd"), 1);
        assert_eq!(distance(&chars, ""), 4);
    }

    #[test]
    fn a_place_counts_lines_and_characters() {
        let text = "a = 1\nü = 2\n";
        let place = Place::at(Path::new("x.toml"), text, text.find('2').expect("a 2"));
        assert_eq!(place.to_string(), "x.toml:2:5");
    }
}
