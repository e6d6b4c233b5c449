//! A small sound layer over Hyperscan's block mode: [`Pattern`]s are compiled to a
//! [`Database`], and a [`Padded`] buffer is scanned into a [`MatchQueue`].
//!
//! What the types promise, so that callers need no unsafe code:
//!
//! - A [`Database`] is immutable and shared freely between threads.
//! - A [`Scratch`] belongs to one scan at a time (`&mut`) and knows the databases that it
//!   was made for; any other database is refused, because Hyperscan itself compares only
//!   two of the many sizes involved and would write past the end.
//! - Only a [`Padded`] buffer can be scanned: libhyperscan 5.4.0 reads up to
//!   three bytes past the end of what it is given.
//! - The match callback is ours alone and only pushes to the [`MatchQueue`]; nobody can
//!   scan, panic or block inside it.
//!
//! The choice of library and of binding is recorded in
//! `docs/decisions/0002-hyperscan-binding.md`. The library's own reference:
//! <https://intel.github.io/hyperscan/dev-reference/>.
//!
//! ```
//! use hyperscan::{Database, MatchQueue, PaddedBuf, Pattern, Scratch};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let database = Database::compile(&[Pattern::literal(7, "evil").nocase(true)])?;
//! let mut scratch = Scratch::for_databases([&database])?;
//! let mut queue = MatchQueue::with_limit(database.pattern_count());
//! let mut buffer = PaddedBuf::with_capacity(2048);
//! buffer.extend_from_slice(b"GET /EVIL.exe");
//!
//! database.scan(buffer.as_padded(), &mut scratch, &mut queue)?;
//! assert_eq!(queue.as_slice()[0].id, 7);
//! # Ok(())
//! # }
//! ```

mod compile;
mod cost;
mod database;
mod id_set;
mod memory;
mod padded;
mod pattern;
mod queue;
mod raw;
mod scratch;
mod serial;

pub use compile::CompileError;
pub use database::{Database, ScanError};
pub use padded::{Padded, PaddedBuf, SLACK};
pub use pattern::{Pattern, PatternKind, RegexFlags};
pub use queue::{Match, MatchQueue};
pub use scratch::{Scratch, ScratchError};
pub use serial::DeserializeError;

/// The library's version and build date, such as `5.4.0 2023-01-28`.
///
/// A serialized database is only accepted by the library version that made it.
pub fn library_version() -> &'static str {
    // SAFETY: the function takes nothing and returns a static NUL-terminated string.
    let version = unsafe { std::ffi::CStr::from_ptr(raw::hs_version()) };
    version.to_str().unwrap_or("unknown")
}
