//! The generated declarations of libhs, private to this crate, and the meaning of
//! its error codes.

#![allow(
    dead_code,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    clippy::all,
    clippy::undocumented_unsafe_blocks
)]

include!(concat!(env!("OUT_DIR"), "/hs.rs"));

/// `HS_SUCCESS` in the type that the functions return.
pub(crate) const OK: hs_error_t = HS_SUCCESS as hs_error_t;

/// What an `hs_error_t` says, for error messages.
pub(crate) fn describe(code: hs_error_t) -> &'static str {
    match code {
        HS_INVALID => "invalid parameter",
        HS_NOMEM => "out of memory",
        HS_SCAN_TERMINATED => "scan stopped by the callback",
        HS_COMPILER_ERROR => "compiler error",
        HS_DB_VERSION_ERROR => "database of another Hyperscan version",
        HS_DB_PLATFORM_ERROR => "database of another platform",
        HS_BAD_ALIGN => "misaligned parameter",
        HS_BAD_ALLOC => "misaligned memory from the allocator",
        HS_ARCH_ERROR => "this processor lacks SSSE3",
        _ => "unknown error",
    }
}
