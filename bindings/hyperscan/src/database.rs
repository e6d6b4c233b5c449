//! [`Database`]: compiled patterns, immutable and shared between threads, and the scan.

use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::compile::{self, CompileError};
use crate::queue::on_match;
use crate::serial::{self, DeserializeError};
use crate::{MatchQueue, Padded, Pattern, Scratch, raw};

/// Patterns compiled for block mode on this machine's kind of processor.
pub struct Database {
    raw: NonNull<raw::hs_database_t>,
    /// Never given to another database of this process, so that a scratch can tell for
    /// which ones it was made. Not zero.
    id: u64,
    patterns: u32,
}

// SAFETY: a database is only read once it is compiled; Hyperscan documents that any number
// of threads may scan with it, each with its own scratch. It may be freed by any thread.
unsafe impl Send for Database {}
// SAFETY: as above; no method changes the database through `&self`.
unsafe impl Sync for Database {}

/// Why a scan was refused or cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The scratch was not made for this database: list it in [`Scratch::for_databases`].
    #[error("the scratch was not made for this database")]
    ForeignScratch,
    /// Hyperscan counts bytes in 32 bits: scan in parts.
    #[error("{len} bytes are too many for one scan")]
    TooLong {
        /// The buffer's length in bytes.
        len: usize,
    },
    /// The scan stopped at a match that the queue had no room for; what was found before
    /// is in the queue, and [`MatchQueue::overflowed`] is set.
    #[error("the match queue is full, the scan was cut short")]
    QueueFull,
    /// Hyperscan failed in a way that these types should have ruled out.
    #[error("Hyperscan: {} ({code})", raw::describe(*code))]
    Engine {
        /// The `hs_error_t`.
        code: i32,
    },
}

impl Database {
    /// Compiles patterns. Slow (thousands of patterns take seconds) and hungry for memory:
    /// never to be called on a packet core.
    ///
    /// # Errors
    /// An empty slice, a pattern that Hyperscan does not support or finds too large, ids
    /// shared by patterns that differ in `single_match`, no memory, a processor without
    /// SSSE3.
    pub fn compile(patterns: &[Pattern]) -> Result<Self, CompileError> {
        let raw = compile::compile(patterns)?;
        // The compiler has accepted the count as 32 bits.
        Ok(Self::adopt(raw, patterns.len() as u32))
    }

    /// The database as bytes, with this library's version, a length and a SHA-256 in front
    /// of them. The bytes are for the same library version and kind of processor only.
    ///
    /// # Errors
    /// Hyperscan's error code, in practice only when memory is out.
    pub fn serialize(&self) -> Result<Vec<u8>, ScanError> {
        // SAFETY: `raw` is this live database.
        unsafe { serial::serialize(self.raw.as_ptr(), self.patterns) }
            .map_err(|code| ScanError::Engine { code })
    }

    /// Brings back what [`serialize`](Self::serialize) wrote. Truncated, damaged or foreign
    /// bytes are refused before Hyperscan sees them.
    ///
    /// A checksum recognises damage, not forgery: bytes made with intent, digest and all,
    /// are beyond what Hyperscan checks. Read them only from where this program alone
    /// writes.
    ///
    /// # Errors
    /// [`DeserializeError`] says what does not fit; the remedy is always to compile again.
    pub fn deserialize(bytes: &[u8]) -> Result<Self, DeserializeError> {
        let (raw, patterns) = serial::deserialize(bytes)?;
        Ok(Self::adopt(raw, patterns))
    }

    fn adopt(raw: NonNull<raw::hs_database_t>, patterns: u32) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Self { raw, id: NEXT_ID.fetch_add(1, Ordering::Relaxed), patterns }
    }

    /// Number of patterns compiled, and so the most matches that a scan reports if all of
    /// them are reported once.
    pub fn pattern_count(&self) -> usize {
        self.patterns as usize
    }

    /// Bytes of memory that the database takes.
    pub fn size(&self) -> usize {
        let mut size = 0;
        // SAFETY: `raw` is this live database and `size` may be written.
        let code = unsafe { raw::hs_database_size(self.raw.as_ptr(), &mut size) };
        if code == raw::OK { size } else { 0 }
    }

    /// Appends every match in `data` to `queue`. Neither allocates (unless the queue
    /// grows) nor blocks.
    ///
    /// # Errors
    /// See [`ScanError`]; the scratch and the queue can be used again after any of them.
    #[inline]
    pub fn scan(
        &self,
        data: Padded<'_>,
        scratch: &mut Scratch,
        queue: &mut MatchQueue,
    ) -> Result<(), ScanError> {
        if !scratch.covers(self) {
            return Err(ScanError::ForeignScratch);
        }
        let len = u32::try_from(data.len()).map_err(|_| ScanError::TooLong { len: data.len() })?;
        // SAFETY: the database is live; `data` is readable for `len` bytes and the slack
        // that this library reads beyond them; the scratch was allocated for this database
        // and is ours alone for the call; `on_match` gets the queue that it expects, which
        // is not touched here until the call has returned, and does not unwind.
        let code = unsafe {
            raw::hs_scan(
                self.raw.as_ptr(),
                data.as_ptr().cast(),
                len,
                0,
                scratch.as_ptr(),
                Some(on_match),
                ptr::from_mut(queue).cast(),
            )
        };
        match code {
            raw::OK => Ok(()),
            raw::HS_SCAN_TERMINATED => Err(ScanError::QueueFull),
            code => Err(ScanError::Engine { code }),
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn as_ptr(&self) -> *const raw::hs_database_t {
        self.raw.as_ptr()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: the database came from Hyperscan, is freed once, and nothing else holds
        // the pointer: a scratch keeps only the id.
        unsafe { raw::hs_free_database(self.raw.as_ptr()) };
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("id", &self.id)
            .field("patterns", &self.patterns)
            .field("size", &self.size())
            .finish()
    }
}
