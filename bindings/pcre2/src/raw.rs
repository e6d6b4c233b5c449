//! The generated declarations of libpcre2-8, private to this crate, and the meaning of
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

include!(concat!(env!("OUT_DIR"), "/pcre2.rs"));

/// The library's own words for an error code.
pub(crate) fn describe(code: i32) -> String {
    // The longest message is said to be shorter; a longer one is cut, and still ends with NUL.
    let mut text = [0u8; 256];
    // SAFETY: the buffer may be written for its length.
    let len = unsafe { pcre2_get_error_message_8(code, text.as_mut_ptr(), text.len()) };
    let len = usize::try_from(len).unwrap_or(0).min(text.len());
    match &text[..len] {
        [] => format!("error {code}"),
        text => String::from_utf8_lossy(text).into_owned(),
    }
}
