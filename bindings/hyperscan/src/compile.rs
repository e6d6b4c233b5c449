//! Compilation of [`Pattern`]s to a database, and [`CompileError`], which names the
//! pattern at fault.

use std::ffi::{CStr, CString, c_char};
use std::fmt;
use std::ptr::{self, NonNull};

use crate::{Pattern, memory, raw};

/// Why patterns could not be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileError {
    /// The index of the pattern at fault in the given slice; `None` if the fault is not
    /// one pattern's.
    pub pattern: Option<usize>,
    /// What is wrong, in Hyperscan's words for the most part.
    pub message: String,
}

impl std::error::Error for CompileError {}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pattern {
            Some(index) => write!(f, "pattern {index} does not compile: {}", self.message),
            None => write!(f, "patterns do not compile: {}", self.message),
        }
    }
}

impl CompileError {
    fn at(pattern: usize, message: impl Into<String>) -> Self {
        Self { pattern: Some(pattern), message: message.into() }
    }

    fn general(message: impl Into<String>) -> Self {
        Self { pattern: None, message: message.into() }
    }
}

/// Compiles `patterns` for block mode on this machine's processor. The caller owns the
/// database.
pub(crate) fn compile(patterns: &[Pattern]) -> Result<NonNull<raw::hs_database_t>, CompileError> {
    if patterns.is_empty() {
        return Err(CompileError::general("there are no patterns"));
    }
    let count = u32::try_from(patterns.len())
        .map_err(|_| CompileError::general("there are too many patterns"))?;
    let sources = patterns
        .iter()
        .enumerate()
        .map(|(index, pattern)| {
            pattern.expression().map_err(|message| CompileError::at(index, message))
        })
        .collect::<Result<Vec<CString>, _>>()?;
    let expressions: Vec<*const c_char> = sources.iter().map(|source| source.as_ptr()).collect();
    let flags: Vec<u32> = patterns.iter().map(Pattern::flags).collect();
    let ids: Vec<u32> = patterns.iter().map(|pattern| pattern.id).collect();
    let extended: Vec<raw::hs_expr_ext> = patterns.iter().map(Pattern::extended).collect();
    let extended: Vec<*const raw::hs_expr_ext> = extended.iter().map(ptr::from_ref).collect();

    memory::use_our_heap();
    let mut database = ptr::null_mut();
    let mut error = ptr::null_mut();
    // SAFETY: all four arrays hold `count` elements, the expressions end with NUL, and what
    // they point to lives to the end of this function; both outputs may be written. A null
    // platform means this machine's.
    let code = unsafe {
        raw::hs_compile_ext_multi(
            expressions.as_ptr(),
            flags.as_ptr(),
            ids.as_ptr(),
            extended.as_ptr(),
            count,
            raw::HS_MODE_BLOCK,
            ptr::null(),
            &mut database,
            &mut error,
        )
    };
    match NonNull::new(database) {
        Some(database) if code == raw::OK => Ok(database),
        _ => Err(take_error(code, error)),
    }
}

/// Copies Hyperscan's description of an error and frees it.
fn take_error(code: raw::hs_error_t, error: *mut raw::hs_compile_error_t) -> CompileError {
    // SAFETY: hs_compile_ext_multi has either left the pointer null or set it to a
    // description that stays valid until it is freed below.
    let Some(description) = (unsafe { error.as_ref() }) else {
        return CompileError::general(raw::describe(code));
    };
    let message = if description.message.is_null() {
        raw::describe(code).to_owned()
    } else {
        // SAFETY: the message is a NUL-terminated string that belongs to the description.
        unsafe { CStr::from_ptr(description.message) }.to_string_lossy().into_owned()
    };
    // A negative index means that no single pattern is at fault.
    let pattern = usize::try_from(description.expression).ok();
    // SAFETY: the description came from Hyperscan and is not used again.
    unsafe { raw::hs_free_compile_error(error) };
    CompileError { pattern, message }
}
