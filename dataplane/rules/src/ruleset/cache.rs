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
#[cfg(test)]
const HEADER: usize = MAGIC.len() + 32;

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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::ruleset::testing::rule;
    use crate::ruleset::{BuildReport, Ruleset};
    use crate::signature::{Buffer, Signature};

    fn signatures() -> Vec<Signature> {
        vec![
            rule("udp", 1).content(Buffer::Payload, b"alpha"),
            rule("dns", 2).content(Buffer::DnsQuery, b"beta"),
            rule("tls", 3).content(Buffer::TlsSni, b"gamma"),
        ]
    }

    /// Databases of [`signatures`].
    const DATABASES: usize = 3;

    fn build(cache: &Cache) -> BuildReport {
        let (ruleset, report) = Ruleset::compile(signatures(), Some(cache), 2, &|_| {}).unwrap();
        assert_eq!(report.databases, DATABASES);
        finds_its_own(&ruleset);
        report
    }

    /// The ruleset works, wherever its databases came from.
    fn finds_its_own(ruleset: &Ruleset) {
        let (mut scratch, mut queue) = (ruleset.scratch().unwrap(), ruleset.queue());
        let mut data = hyperscan::PaddedBuf::new();
        data.extend_from_slice(b"alpha beta gamma");
        let mut found = Vec::new();
        let mut scan = |prefilter: &crate::ruleset::Prefilter| {
            prefilter.scan(data.as_padded(), &mut scratch, &mut queue, &mut found).unwrap();
        };
        scan(ruleset.groups(17, 0, 53).common.unwrap().packet.as_ref().unwrap());
        ruleset.transaction_lists().iter().for_each(|list| scan(&list.prefilter));
        found.sort_unstable();
        assert_eq!(found, [0, 1, 2]);
    }

    fn entries(directory: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(directory.join("databases")).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }

    #[test]
    fn the_second_build_takes_everything_from_the_cache() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path());
        assert_eq!(build(&cache).cached, 0);
        assert_eq!(entries(directory.path()).len(), DATABASES);
        let second = build(&cache);
        assert_eq!((second.cached, second.warnings.len()), (DATABASES, 0));
    }

    #[test]
    fn one_changed_rule_costs_one_database() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path());
        build(&cache);
        let mut changed = signatures();
        changed.push(rule("udp", 4).content(Buffer::Payload, b"delta"));
        let (_, report) = Ruleset::compile(changed, Some(&cache), 1, &|_| {}).unwrap();
        assert_eq!((report.databases, report.cached), (DATABASES, DATABASES - 1));
    }

    #[test]
    fn damaged_entries_are_compiled_again_and_mended() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path());
        build(&cache);
        let paths = entries(directory.path());
        let whole = fs::read(&paths[0]).unwrap();
        let other = fs::read(&paths[1]).unwrap();
        let flipped = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        };
        let damaged = [
            vec![],
            whole[..7].to_vec(),
            whole[..HEADER].to_vec(),
            whole[..whole.len() - 1].to_vec(),
            [&whole[..], b"x"].concat(),
            flipped(0),
            flipped(MAGIC.len()),
            flipped(HEADER + 10),
            flipped(whole.len() / 2),
            flipped(whole.len() - 1),
            // Another key's entry under this name.
            other,
        ];
        for bytes in damaged {
            fs::write(&paths[0], &bytes).unwrap();
            let report = build(&cache);
            assert_eq!((report.cached, report.warnings.len()), (DATABASES - 1, 0));
            assert_eq!(build(&cache).cached, DATABASES);
        }
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_a_warning() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let report = build(&Cache::new(&file));
        assert_eq!((report.cached, report.warnings.len()), (0, 1));

        let cache = Cache::new(directory.path());
        build(&cache);
        let others = fs::Permissions::from_mode(0o777);
        fs::set_permissions(directory.path().join("databases"), others).unwrap();
        let report = build(&cache);
        assert_eq!((report.cached, report.warnings.len()), (0, 1));
        assert!(report.warnings[0].contains("written by others"), "{}", report.warnings[0]);
    }

    #[test]
    fn an_entry_that_cannot_be_written_is_one_warning() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path());
        build(&cache);
        for path in entries(directory.path()) {
            fs::remove_file(&path).unwrap();
            // Neither readable as an entry nor to be replaced by one.
            fs::create_dir(&path).unwrap();
        }
        let report = build(&cache);
        assert_eq!((report.cached, report.warnings.len()), (0, 1));
        assert!(entries(directory.path()).iter().all(|path| path.is_dir()), "nothing is left over");
    }

    #[test]
    fn old_and_surplus_entries_go_and_foreign_files_stay() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path());
        build(&cache);
        let paths = entries(directory.path());
        let set_age = |path: &Path, age: u64| {
            let time = SystemTime::now() - Duration::from_secs(age);
            let file = OpenOptions::new().append(true).open(path).unwrap();
            file.set_times(FileTimes::new().set_modified(time)).unwrap();
        };
        let inside = |name: &str| directory.path().join("databases").join(name);
        let (foreign, torn, fresh) = (inside("README"), inside("1-2-3.tmp"), inside("4-5-6.tmp"));
        for path in [&foreign, &torn, &fresh] {
            fs::write(path, "").unwrap();
        }
        set_age(&foreign, 1 << 30);
        set_age(&torn, 4000);
        set_age(&paths[0], 500);
        set_age(&paths[1], 1000);
        set_age(&paths[2], 3000);

        cache.clone().bounds(u64::MAX, Duration::from_secs(2000)).prune().unwrap();
        assert!(!paths[2].exists() && paths[1].exists() && paths[0].exists());
        assert!(foreign.exists() && !torn.exists() && fresh.exists());

        let room = fs::metadata(&paths[0]).unwrap().len();
        cache.bounds(room, Duration::MAX).prune().unwrap();
        assert!(paths[0].exists() && !paths[1].exists() && foreign.exists());
    }

    #[test]
    fn builds_at_the_same_time_do_not_disturb_each_other() {
        let directory = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    assert!(build(&Cache::new(directory.path())).warnings.is_empty());
                });
            }
        });
        assert_eq!(entries(directory.path()).len(), DATABASES);
        assert_eq!(build(&Cache::new(directory.path())).cached, DATABASES);
    }

    #[test]
    fn keys_tell_patterns_apart() {
        let literal = |bytes: &[u8], nocase| Literal { bytes: bytes.into(), nocase };
        let keys = [
            Key::of(&[]),
            Key::of(&[literal(b"ab", false)]),
            Key::of(&[literal(b"ab", true)]),
            Key::of(&[literal(b"a", false), literal(b"b", false)]),
            Key::of(&[literal(b"b", false), literal(b"a", false)]),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key));
        }
    }
}
