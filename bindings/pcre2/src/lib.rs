//! PCRE2 expressions over bytes, with limits on what a match may cost.
//!
//! A [`Regex`] is compiled once and shared between threads; each thread matches with a
//! [`Matcher`] of its own, which holds the limits and the working memory. There is no UTF
//! mode: an expression that asks for it is refused, so that any bytes may be searched.
//!
//! The declarations are generated from the installed `pcre2.h` and private, as for
//! Hyperscan (`docs/decisions/0002-hyperscan-binding.md`): the published `pcre2` crate has
//! no limits, and `pcre2-sys` builds a copy of the library when the system's is not found.
//! The library's own reference: <https://pcre2project.github.io/pcre2/doc/pcre2api/>.
//!
//! ```
//! use pcre2::{Flags, MatchOptions, Matcher, Regex};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let flags = Flags { caseless: true, ..Flags::default() };
//! let mut regex = Regex::compile(br"user=(?<name>\w+)", flags)?;
//! regex.compile_jit()?;
//! let mut matcher = Matcher::new()?;
//! let found = regex.find_at(&mut matcher, b"GET /?USER=eve", 0, MatchOptions::default())?;
//! assert_eq!(found, Some(6..14));
//! let name = regex.capture_index("name").unwrap();
//! assert_eq!(matcher.group(name), Some(11..14));
//! # Ok(())
//! # }
//! ```

mod matcher;
mod raw;
mod regex;

pub use matcher::{Limits, MatchError, MatchOptions, Matcher, OutOfMemory};
pub use regex::{CompileError, Flags, JitError, Regex};
