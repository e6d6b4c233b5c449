//! Databases as bytes: Hyperscan's own serialization behind a header that lets damaged or
//! foreign bytes be refused before Hyperscan reads them.
//!
//! ```text
//! offset  bytes
//!      0      8  "PXHSDB01"
//!      8     32  library version and build date, zero-padded
//!     40      4  number of patterns, little-endian
//!     44      8  length of the serialized database, little-endian
//!     52     32  SHA-256 over everything before it and the serialized database
//!     84         the serialized database
//! ```

use std::ffi::{c_char, c_void};
use std::ptr::{self, NonNull};

use sha2::{Digest, Sha256};

use crate::{library_version, memory, raw};

const MAGIC: &[u8; 8] = b"PXHSDB01";
const DESCRIBED: usize = 52;
const HEADER: usize = DESCRIBED + 32;

/// Why bytes were not accepted as a database. Whatever the reason, compile again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeserializeError {
    /// The bytes do not start with the header of a serialized database.
    #[error("not a serialized database")]
    NotADatabase,
    /// The database was made by another version or build of the library.
    #[error("made by another version of the Hyperscan library")]
    OtherLibrary,
    /// There are fewer or more bytes than the header says.
    #[error("{found} bytes of database where the header says {expected}")]
    Length {
        /// The header's number of bytes behind itself.
        expected: u64,
        /// The number of bytes that are there.
        found: u64,
    },
    /// The bytes changed since they were written.
    #[error("the checksum does not match")]
    Checksum,
    /// The database was made for a processor with other features.
    #[error("made for another processor")]
    OtherPlatform,
    /// Hyperscan refused the bytes all the same.
    #[error("Hyperscan: {} ({code})", raw::describe(*code))]
    Engine {
        /// The `hs_error_t`.
        code: i32,
    },
}

/// Writes a database behind its header; the error is Hyperscan's code.
///
/// # Safety
/// `database` must be a live database.
pub(crate) unsafe fn serialize(
    database: *const raw::hs_database_t,
    patterns: u32,
) -> Result<Vec<u8>, raw::hs_error_t> {
    let mut bytes: *mut c_char = ptr::null_mut();
    let mut len = 0;
    // SAFETY: the database is live, as the caller promises; both outputs may be written.
    let code = unsafe { raw::hs_serialize_database(database, &mut bytes, &mut len) };
    if code != raw::OK || bytes.is_null() {
        return Err(code);
    }
    // SAFETY: on success Hyperscan has written `len` bytes there, which nothing changes.
    let body = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), len) };

    let mut whole = Vec::with_capacity(HEADER + len);
    whole.extend_from_slice(MAGIC);
    whole.extend_from_slice(&version_field());
    whole.extend_from_slice(&patterns.to_le_bytes());
    whole.extend_from_slice(&(len as u64).to_le_bytes());
    let digest = digest(&whole, body);
    whole.extend_from_slice(&digest);
    whole.extend_from_slice(body);

    // SAFETY: the bytes came from malloc, as no other allocator was ever set for anything but
    // databases, and are not used again.
    unsafe { raw::free(bytes.cast::<c_void>()) };
    Ok(whole)
}

/// Checks the header and lets Hyperscan rebuild the database. The caller owns it; the
/// number is its patterns.
pub(crate) fn deserialize(
    bytes: &[u8],
) -> Result<(NonNull<raw::hs_database_t>, u32), DeserializeError> {
    let (patterns, body) = open(bytes)?;
    memory::use_our_heap();
    let mut database = ptr::null_mut();
    // SAFETY: `body` is readable for its length. Its digest says that Hyperscan wrote it.
    // Hyperscan copies it to memory of its own.
    let code =
        unsafe { raw::hs_deserialize_database(body.as_ptr().cast(), body.len(), &mut database) };
    match (code, NonNull::new(database)) {
        (raw::OK, Some(database)) => Ok((database, patterns)),
        (raw::HS_DB_VERSION_ERROR, _) => Err(DeserializeError::OtherLibrary),
        (raw::HS_DB_PLATFORM_ERROR, _) => Err(DeserializeError::OtherPlatform),
        (code, _) => Err(DeserializeError::Engine { code }),
    }
}

/// The number of patterns and Hyperscan's bytes, if everything in front of them is true.
fn open(bytes: &[u8]) -> Result<(u32, &[u8]), DeserializeError> {
    let (header, body) =
        bytes.split_first_chunk::<HEADER>().ok_or(DeserializeError::NotADatabase)?;
    let (described, checksum) = header.split_at(DESCRIBED);
    let (magic, described_rest) = described.split_at(MAGIC.len());
    let (version, numbers) = described_rest.split_at(32);
    let (patterns, len) = numbers.split_at(4);
    if magic != MAGIC {
        return Err(DeserializeError::NotADatabase);
    }
    if version != version_field() {
        return Err(DeserializeError::OtherLibrary);
    }
    let expected = len.iter().rfold(0, |number, &byte| number << 8 | u64::from(byte));
    let patterns = patterns.iter().rfold(0, |number, &byte| number << 8 | u32::from(byte));
    let found = body.len() as u64;
    if expected != found {
        return Err(DeserializeError::Length { expected, found });
    }
    if checksum != digest(described, body) {
        return Err(DeserializeError::Checksum);
    }
    Ok((patterns, body))
}

fn digest(described: &[u8], body: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(described).chain_update(body).finalize().into()
}

/// The library's version and build date in the header's fixed width.
fn version_field() -> [u8; 32] {
    let mut field = [0; 32];
    for (to, from) in field.iter_mut().zip(library_version().bytes()) {
        *to = from;
    }
    field
}
