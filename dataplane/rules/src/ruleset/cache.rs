//! [`Cache`]: compiled databases on disk, found by what they were compiled from, so that a
//! restart or a small change of the rules does not compile everything anew.
//!
//! ```text
//! offset  bytes
//!      0      8  "PXRULES1"
//!      8     32  the key, which is the file's name in hexadecimal too
//!     40         the database as `hyperscan::Database::serialize` writes it, checksum included
//! ```
//! A file is written beside its place and renamed, so that readers and other writers see a whole
//! one or none. Whatever is not as it should be is compiled again and overwritten.

use std::fs::{self, DirBuilder, File, FileTimes, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use hyperscan::Database;
use sha2::{Digest, Sha256};

use super::prefilter::Literal;

const MAGIC: &[u8; 8] = b"PXRULES1";

/// Counted up when equal patterns begin to be compiled differently.
const FORMAT: u32 = 1;

/// No database of literals comes near this; a larger file is not ours.
const MAX_FILE: u64 = 1 << 30;

/// A file left by a writer that died is removed after this.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A directory of compiled databases. It belongs to the program that writes there: damage is
/// recognised, forgery is not, so that a directory that others may write to is not used.
#[derive(Debug, Clone)]
pub struct Cache {
    directory: PathBuf,
    max_bytes: u64,
    max_age: Duration,
}

impl Cache {
    /// A cache below `directory`, which is made when first needed; 512 MiB and 30 days.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into().join("databases"),
            max_bytes: 512 << 20,
            max_age: Duration::from_secs(30 * 24 * 3600),
        }
    }

    /// Sets the bounds that older entries are removed for: bytes in all, time since last used.
    #[must_use]
    pub fn bounds(mut self, max_bytes: u64, max_age: Duration) -> Self {
        self.max_bytes = max_bytes;
        self.max_age = max_age;
        self
    }

    /// Makes the directory if it isn't there, and makes sure that it is ours alone.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let found = fs::metadata(&self.directory)?;
        if found.mode() & 0o022 != 0 {
            return Err(io::Error::other("the directory can be written by others"));
        }
        // The owner of a new file is who we are.
        let probe = self.temporary();
        let ours = create(&probe)?.metadata()?.uid();
        fs::remove_file(&probe)?;
        if found.uid() != ours && found.uid() != 0 {
            return Err(io::Error::other("the directory belongs to another user"));
        }
        Ok(())
    }

    /// The database for `key`, if there is an undamaged one; notes that it was used.
    pub(crate) fn load(&self, key: &Key) -> Option<Database> {
        let file = File::open(self.path(key)).ok()?;
        let len = file.metadata().ok().filter(|m| m.is_file() && m.len() <= MAX_FILE)?.len();
        let mut bytes = Vec::with_capacity(len as usize);
        (&file).take(MAX_FILE).read_to_end(&mut bytes).ok()?;
        let rest = bytes.strip_prefix(MAGIC)?.strip_prefix(&key.0)?;
        let database = Database::deserialize(rest).ok()?;
        // Without the right to do so the entry only grows old sooner.
        let _ = file.set_times(FileTimes::new().set_modified(SystemTime::now()));
        Some(database)
    }

    /// Keeps a database for `key`.
    pub(crate) fn store(&self, key: &Key, database: &Database) -> io::Result<()> {
        let serialized = database.serialize().map_err(io::Error::other)?;
        let temporary = self.temporary();
        let written = (|| {
            let mut file = create(&temporary)?;
            file.write_all(MAGIC)?;
            file.write_all(&key.0)?;
            file.write_all(&serialized)?;
            fs::rename(&temporary, self.path(key))
        })();
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Removes what was not used for long, then what was not used longest until the rest fits.
    /// What cannot be removed stays.
    pub(crate) fn prune(&self) -> io::Result<()> {
        let now = SystemTime::now();
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            // Another process may have removed it meanwhile.
            let Ok(metadata) = entry.metadata() else { continue };
            let age = metadata.modified().ok().and_then(|m| now.duration_since(m).ok());
            let age = age.unwrap_or_default();
            let path = entry.path();
            let limit = match path.extension().and_then(|e| e.to_str()) {
                Some("db") => self.max_age,
                Some("tmp") => ABANDONED,
                // Not ours.
                _ => continue,
            };
            if age > limit {
                let _ = fs::remove_file(&path);
            } else {
                entries.push((age, metadata.len(), path));
            }
        }
        entries.sort();
        let mut total = 0u64;
        for (_, len, path) in entries {
            total = total.saturating_add(len);
            if total > self.max_bytes {
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }

    /// The directory, for messages.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    fn path(&self, key: &Key) -> PathBuf {
        let mut name = String::with_capacity(67);
        for byte in key.0 {
            use std::fmt::Write;
            // Writing to a string cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        name.push_str(".db");
        self.directory.join(name)
    }

    /// A name that no other writer uses, in this process or another.
    fn temporary(&self) -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Process ids repeat in containers that share a directory; the time tells them apart,
        // and `create_new` refuses what is left.
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let name = format!("{}-{}-{count}.tmp", std::process::id(), since.as_nanos());
        self.directory.join(name)
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// What a database was compiled from: patterns, library and processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

impl Key {
    pub(crate) fn of(patterns: &[Literal]) -> Self {
        let mut hash = Sha256::new();
        hash.update(FORMAT.to_le_bytes());
        let library = hyperscan::library_version();
        hash.update((library.len() as u64).to_le_bytes());
        hash.update(library);
        hash.update([processor()]);
        for literal in patterns {
            hash.update([u8::from(literal.nocase)]);
            hash.update((literal.bytes.len() as u64).to_le_bytes());
            hash.update(&literal.bytes);
        }
        Self(hash.finalize().into())
    }
}

/// The processor's features that Hyperscan compiles for, a bit each, so that machines that differ
/// in them can share a directory.
fn processor() -> u8 {
    #[cfg(target_arch = "x86_64")]
    {
        u8::from(std::is_x86_feature_detected!("avx2"))
            | u8::from(std::is_x86_feature_detected!("avx512bw")) << 1
            | u8::from(std::is_x86_feature_detected!("avx512vbmi")) << 2
    }
    #[cfg(not(target_arch = "x86_64"))]
    0
}
