//! Rule files from the disk: files, folders of `*.rules`, and glob patterns, read into one set.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::reader::Reader;
use super::{Context, Earlier, Names, Parsed};

/// A path that gave no rules.
#[derive(Debug, Error)]
pub enum FileError {
    /// The file or folder cannot be read.
    #[error("cannot read rules from {}: {source}", path.display())]
    Read {
        /// The path, as given or as found.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// No file matches a pattern, or a folder holds no `*.rules`.
    #[error("no rule file is at {}", path.display())]
    Nothing {
        /// The path as given.
        path: PathBuf,
    },
    /// A glob pattern is malformed.
    #[error("{} is not a pattern: {reason}", path.display())]
    Pattern {
        /// The path as given.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// What paths came to.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The rules of all files, duplicates across files settled.
    pub parsed: Parsed,
    /// Files that were read, in order, each once.
    pub files: Vec<PathBuf>,
    /// Paths that gave nothing.
    pub errors: Vec<FileError>,
}

/// Reads the rules of files, folders (their `*.rules`, sorted) and glob patterns, in order.
pub fn load<P: AsRef<Path>>(
    paths: impl IntoIterator<Item = P>,
    context: &Context,
    names: &mut Names,
) -> Loaded {
    load_beside(paths, context, names, &Earlier::new())
}

/// As [`load`]; a rule whose text was read before is not read again.
pub fn load_beside<P: AsRef<Path>>(
    paths: impl IntoIterator<Item = P>,
    context: &Context,
    names: &mut Names,
    earlier: &Earlier,
) -> Loaded {
    let mut loaded = Loaded::default();
    let mut reader = Reader::new(context, names, earlier);
    for path in paths {
        let path = path.as_ref();
        let found = match expand(path) {
            Ok(found) => found,
            Err(error) => {
                loaded.errors.push(error);
                continue;
            }
        };
        for file in found {
            if loaded.files.contains(&file) {
                continue;
            }
            match fs::read(&file) {
                Ok(text) => {
                    reader.read(&file.to_string_lossy(), &text);
                    loaded.files.push(file);
                }
                Err(source) => loaded.errors.push(FileError::Read { path: file, source }),
            }
        }
    }
    loaded.parsed = reader.finish();
    loaded
}

/// The files that a path stands for.
fn expand(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let failed = |source: io::Error| FileError::Read { path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => {
            let mut files = Vec::new();
            for entry in fs::read_dir(path).map_err(failed)? {
                let file = entry.map_err(failed)?.path();
                if file.extension().is_some_and(|end| end == "rules") && file.is_file() {
                    files.push(file);
                }
            }
            files.sort();
            some(files, path)
        }
        Ok(_) => Ok(vec![path.to_owned()]),
        Err(error) => {
            let text = path.to_string_lossy();
            if !text.contains(['*', '?', '[']) {
                return Err(failed(error));
            }
            let malformed = |e: glob::PatternError| FileError::Pattern {
                path: path.to_owned(),
                reason: e.msg.to_owned(),
            };
            let found = glob::glob(&text).map_err(malformed)?;
            let files = found.filter_map(Result::ok).filter(|file| file.is_file()).collect();
            some(files, path)
        }
    }
}

fn some(files: Vec<PathBuf>, path: &Path) -> Result<Vec<PathBuf>, FileError> {
    if files.is_empty() { Err(FileError::Nothing { path: path.to_owned() }) } else { Ok(files) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(sid: u32, rev: u32) -> String {
        format!("alert tcp any any -> any any (sid:{sid}; rev:{rev};)\n")
    }

    #[test]
    fn files_folders_and_patterns_become_one_set() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a.rules"), rule(1, 1) + &rule(2, 1)).expect("written");
        fs::write(at("b.rules"), rule(2, 2)).expect("written");
        fs::write(at("c.txt"), rule(3, 1)).expect("written");
        let (context, mut names) = (Context::default(), Names::default());
        let paths = [folder.path().to_owned(), at("*.rules"), at("c.txt"), at("a.rules")];
        let loaded = load(paths, &context, &mut names);
        assert_eq!(loaded.files, [at("a.rules"), at("b.rules"), at("c.txt")]);
        assert!(loaded.errors.is_empty());
        let revs: Vec<_> = loaded.parsed.signatures.iter().map(|s| (s.sid, s.rev)).collect();
        assert_eq!(revs, [(1, 1), (2, 2), (3, 1)]);
        let duplicate = loaded.parsed.rejections.first().expect("a duplicate");
        assert!(duplicate.reason.contains("duplicate") && duplicate.reason.contains("b.rules:1"));
        assert!(duplicate.origin.file.ends_with("a.rules") && duplicate.origin.line == 2);
    }

    #[test]
    fn paths_that_give_nothing_are_errors() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let (context, mut names) = (Context::default(), Names::default());
        let paths = [folder.path().to_owned(), at("none.rules"), at("*.none"), at("[")];
        let loaded = load(paths, &context, &mut names);
        let kinds: Vec<_> = loaded
            .errors
            .iter()
            .map(|error| match error {
                FileError::Read { .. } => 'r',
                FileError::Nothing { .. } => 'n',
                FileError::Pattern { .. } => 'p',
            })
            .collect();
        assert_eq!(kinds, ['n', 'r', 'n', 'p']);
    }
}
