//! The data sets of a process by name, and their files: what is loaded, and what is saved at the end.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::dataset::{DataKind, Dataset};

/// The longest line of a file.
const LONGEST_LINE: usize = 1 << 17;

/// Data sets of a process.
const MOST_SETS: usize = 4096;

/// A file as it was read: a change is told by it.
type Stamp = (PathBuf, Option<SystemTime>, u64);

/// All data sets, kept over reloads.
#[derive(Debug, Clone, Default)]
pub struct Datasets {
    sets: Arc<Mutex<BTreeMap<String, Known>>>,
}

#[derive(Debug)]
struct Known {
    set: Arc<Dataset>,
    loaded: Option<Stamp>,
}

/// What a rule says of a set.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: DataKind,
    pub(crate) memcap: usize,
    /// Read when the set is made, and again by a reload after it has changed.
    pub(crate) load: Option<PathBuf>,
    /// Read when the set is made, if it is there.
    pub(crate) state: Option<PathBuf>,
    /// Written at the end.
    pub(crate) save: Option<PathBuf>,
    /// Lines have a reputation behind a comma.
    pub(crate) reputation: bool,
}

impl Datasets {
    /// The set of a name; a new one where there is none.
    ///
    /// # Errors
    /// The set is of another kind, or its file cannot be read.
    pub(crate) fn open(&self, wanted: Wanted<'_>) -> Result<Arc<Dataset>, String> {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sets.len();
        let fresh = !sets.contains_key(wanted.name);
        if fresh && count >= MOST_SETS {
            return Err(format!("there are {MOST_SETS} data sets at most"));
        }
        if fresh {
            let set = Dataset::new(wanted.name, wanted.kind, wanted.memcap);
            if let Some(state) = wanted.state.as_deref().filter(|state| state.exists()) {
                read(&set, state, wanted.reputation)?;
            }
            let known = Known { set: Arc::new(set), loaded: None };
            sets.insert(wanted.name.to_owned(), known);
        }
        let Some(known) = sets.get_mut(wanted.name) else { return Err("no set".to_owned()) };
        if known.set.kind() != wanted.kind {
            return Err(format!("data set {} has another type in another rule", wanted.name));
        }
        if let Some(load) = &wanted.load {
            let meta = fs::metadata(load).map_err(|e| format!("{}: {e}", load.display()))?;
            let stamp = (load.clone(), meta.modified().ok(), meta.len());
            if known.loaded.as_ref() != Some(&stamp) {
                // Read apart: a file that is wrong leaves the set as it was.
                let next = Dataset::new(wanted.name, wanted.kind, wanted.memcap);
                read(&next, load, wanted.reputation)?;
                known.set.take_from(&next);
                known.loaded = Some(stamp);
            }
        }
        if let Some(save) = wanted.save.or(wanted.state) {
            *known.set.save.lock().unwrap_or_else(PoisonError::into_inner) = Some(save);
        }
        Ok(Arc::clone(&known.set))
    }

    /// What the values of a set are, if there is one of that name.
    pub(crate) fn kind_of(&self, name: &str) -> Option<DataKind> {
        let sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.get(name).map(|known| known.set.kind())
    }

    /// Writes every set that is to be saved. Returns what could not be written.
    pub fn save(&self) -> Vec<String> {
        let sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failed = Vec::new();
        for Known { set, .. } in sets.values() {
            let path = set.save.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let Some(path) = path else { continue };
            if let Err(error) = write(&path, &set.lines()) {
                failed.push(format!(
                    "data set {} cannot be saved to {}: {error}",
                    set.name(),
                    path.display()
                ));
            }
        }
        failed
    }

    /// Names and sizes of all sets.
    pub fn sizes(&self) -> Vec<(String, usize)> {
        let sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.iter().map(|(name, known)| (name.clone(), known.set.len())).collect()
    }
}

/// Reads a file of values, one a line.
fn read(set: &Dataset, path: &Path, reputation: bool) -> Result<(), String> {
    let shown = path.display();
    let file = File::open(path).map_err(|e| format!("{shown}: {e}"))?;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    for number in 1u32.. {
        line.clear();
        let limit = u64::try_from(LONGEST_LINE).unwrap_or(u64::MAX);
        let taken = io::Read::take(&mut reader, limit).read_until(b'\n', &mut line);
        if taken.map_err(|e| format!("{shown}: {e}"))? == 0 {
            return Ok(());
        }
        let wrong = |what: &str| format!("{shown}:{number}: {what}");
        let text = std::str::from_utf8(&line).map_err(|_| wrong("the line is no text"))?.trim();
        if text.is_empty() {
            continue;
        }
        let (value, score) = match text.split_once(',') {
            Some((value, score)) => (value.trim(), Some(score.trim())),
            None => (text, None),
        };
        let score = match score {
            Some(score) => {
                score.parse().map_err(|_| wrong("a reputation is a number from 0 to 65535"))?
            }
            None if reputation => return Err(wrong("a line is `value,reputation`")),
            None => 0,
        };
        let value =
            set.kind().parse(value).ok_or_else(|| wrong("not a value of the set's type"))?;
        let before = set.get_kept(&value).is_some();
        if !set.insert(value, score) && !before {
            return Err(wrong("the set's memcap is reached"));
        }
    }
    Ok(())
}

/// Writes a file whole or not at all.
fn write(path: &Path, lines: &[String]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = path.with_file_name(name);
    let written = (|| {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&beside)?;
        let mut out = io::BufWriter::new(&mut file);
        for line in lines {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
        drop(out);
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted<'a>(name: &'a str, folder: &Path, load: Option<&str>) -> Wanted<'a> {
        Wanted {
            name,
            kind: DataKind::String,
            memcap: 1 << 20,
            load: load.map(|file| folder.join(file)),
            state: None,
            save: None,
            reputation: false,
        }
    }

    #[test]
    fn a_set_is_loaded_again_only_when_its_file_has_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a");
        fs::write(&file, "dGVzdA==\n").expect("written");
        let sets = Datasets::default();
        let open = || sets.open(wanted("s", folder.path(), Some("a"))).expect("a set");
        assert!(open().get(b"test").is_some());
        open().add(b"more");
        assert_eq!(open().len(), 2);
        fs::write(&file, "dGVzdA==\n\nYQ==\nYg==\n").expect("written");
        let set = open();
        assert!(set.get(b"a").is_some() && set.get(b"more").is_none() && set.len() == 3);
        fs::write(&file, "nonsense!\n").expect("written");
        let refused = sets.open(wanted("s", folder.path(), Some("a"))).expect_err("wrong");
        assert!(refused.contains("a:1: "), "{refused}");
        assert_eq!(set.len(), 3);
    }

    #[test]
    fn a_state_is_saved_and_comes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = || Wanted {
            state: Some(folder.path().join("state")),
            ..wanted("s", folder.path(), None)
        };
        let sets = Datasets::default();
        let set = sets.open(state()).expect("a set");
        assert!(set.add(b"one") && set.add(b"two"));
        assert_eq!(sets.save(), Vec::<String>::new());
        let again = Datasets::default().open(state()).expect("a set");
        assert!(again.get(b"one").is_some() && again.len() == 2);
    }

    #[test]
    fn reputations_and_kinds_are_held_to() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a"), "dGVzdA==,7\n").expect("written");
        let sets = Datasets::default();
        let rep = || Wanted { reputation: true, ..wanted("s", folder.path(), Some("a")) };
        assert_eq!(sets.open(rep()).expect("a set").get(b"test"), Some(7));
        let other = Wanted { kind: DataKind::Md5, ..wanted("s", folder.path(), None) };
        assert!(sets.open(other).is_err());
        fs::write(folder.path().join("a"), "dGVzdA==\n").expect("written");
        assert!(sets.open(rep()).is_err());
        let small = Wanted { memcap: 10, ..wanted("t", folder.path(), Some("a")) };
        assert!(sets.open(small).expect_err("full").contains("memcap"));
    }
}
