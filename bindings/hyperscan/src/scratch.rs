//! [`Scratch`]: the working memory of one scan at a time, and the databases that it is
//! large enough for.

use std::fmt;
use std::ptr;

use crate::id_set::IdSet;
use crate::{Database, raw};

/// Working memory for scans, one per core; made for a fixed set of databases.
///
/// `Send`, so that it can be made by one thread for another; not `Sync`.
pub struct Scratch {
    /// Null if there are no databases, in which case no scan passes [`Self::covers`].
    raw: *mut raw::hs_scratch_t,
    databases: IdSet,
}

// SAFETY: a scratch is plain memory without ties to the thread that allocated it.
unsafe impl Send for Scratch {}

/// Hyperscan could not make a scratch, in practice because memory is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no scratch: {} ({code})", raw::describe(*code))]
pub struct ScratchError {
    /// The `hs_error_t`.
    pub code: i32,
}

impl Scratch {
    /// Makes a scratch that is large enough for any one of `databases`. It does not borrow
    /// them: they may be dropped before it.
    ///
    /// # Errors
    /// [`ScratchError`] when memory is out.
    pub fn for_databases<'a>(
        databases: impl IntoIterator<Item = &'a Database>,
    ) -> Result<Self, ScratchError> {
        let mut scratch = Self { raw: ptr::null_mut(), databases: IdSet::default() };
        let mut ids = Vec::new();
        for database in databases {
            // SAFETY: the database is live; `raw` is null or a scratch of ours not in use.
            // Hyperscan replaces it by a larger one where needed; on failure it leaves
            // there either a scratch that is still ours or null.
            let code = unsafe { raw::hs_alloc_scratch(database.as_ptr(), &mut scratch.raw) };
            if code != raw::OK {
                return Err(ScratchError { code });
            }
            ids.push(database.id());
        }
        scratch.databases = IdSet::new(&ids);
        Ok(scratch)
    }

    /// Another scratch for the same databases, cheaper than making it anew.
    ///
    /// # Errors
    /// [`ScratchError`] when memory is out.
    pub fn try_clone(&self) -> Result<Self, ScratchError> {
        let mut clone = Self { raw: ptr::null_mut(), databases: self.databases.clone() };
        if !self.raw.is_null() {
            // SAFETY: the source is a live scratch that no scan is using, as a scan holds
            // it by `&mut`; the destination may be written.
            let code = unsafe { raw::hs_clone_scratch(self.raw, &mut clone.raw) };
            if code != raw::OK {
                // Whatever was left there is not a scratch to be freed.
                clone.raw = ptr::null_mut();
                return Err(ScratchError { code });
            }
        }
        Ok(clone)
    }

    /// Whether `database` can be scanned with this scratch.
    #[inline]
    pub fn covers(&self, database: &Database) -> bool {
        self.databases.contains(database.id())
    }

    /// Bytes of memory that the scratch takes.
    pub fn size(&self) -> usize {
        let mut size = 0;
        if !self.raw.is_null() {
            // SAFETY: `raw` is this live scratch and `size` may be written.
            let code = unsafe { raw::hs_scratch_size(self.raw, &mut size) };
            if code != raw::OK {
                return 0;
            }
        }
        size
    }

    #[inline]
    pub(crate) fn as_ptr(&mut self) -> *mut raw::hs_scratch_t {
        self.raw
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: `raw` is null, which is allowed, or a scratch of ours that no scan is
        // using and that is freed once.
        unsafe { raw::hs_free_scratch(self.raw) };
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").field("size", &self.size()).finish_non_exhaustive()
    }
}
