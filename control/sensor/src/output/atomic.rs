//! Files that are replaced as a whole: a reader sees the old text or the new one, never a part.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Replaces the file's content by way of a temporary file beside it. The error names the path.
///
/// # Errors
/// When the directory cannot be written to; the old file is then as it was.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = beside(path);
    let written = write(&temporary, content).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|error| {
        // What is left of the attempt is of no use to anyone.
        let _ = fs::remove_file(&temporary);
        io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
    })
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    // So that a crash leaves the old file or the new one, not an empty one.
    file.sync_data()
}

/// `.<name>.<process id>.tmp` in the same directory, so that renaming is atomic.
fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left_behind() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("ledger.json");
        replace(&path, b"one").expect("written");
        replace(&path, b"two").expect("written");
        assert_eq!(fs::read(&path).expect("read"), b"two");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
    }

    #[test]
    fn an_error_names_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("absent").join("ledger.json");
        let error = replace(&path, b"one").expect_err("no such directory");
        assert!(error.to_string().contains("absent/ledger.json"), "{error}");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
