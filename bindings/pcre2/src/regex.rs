//! [`Regex`]: a compiled expression, shared between threads.

use std::ffi::c_void;
use std::fmt;
use std::ops::Range;
use std::ptr::{self, NonNull};

use crate::matcher::{MatchError, MatchOptions, Matcher};
use crate::raw;

/// The modes of an expression; all off by default.
///
/// The letters are those of PCRE and of Suricata's `pcre` keyword
/// (<https://docs.suricata.io/en/suricata-7.0.10/rules/payload-keywords.html#pcre-perl-compatible-regular-expressions>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags {
    /// `i`: letters match in either case (ASCII only).
    pub caseless: bool,
    /// `s`: `.` matches newlines too.
    pub dotall: bool,
    /// `m`: `^` and `$` match at newlines too.
    pub multiline: bool,
    /// `A`: match at the start offset only.
    pub anchored: bool,
    /// `E`: `$` does not match before a final newline.
    pub dollar_endonly: bool,
    /// `x`: white space and comments in the expression are ignored.
    pub extended: bool,
    /// `G` in Suricata, `U` in PCRE: quantifiers are lazy, and `?` makes them greedy.
    pub ungreedy: bool,
}

impl Flags {
    fn bits(self) -> u32 {
        [
            (self.caseless, raw::PCRE2_CASELESS),
            (self.dotall, raw::PCRE2_DOTALL),
            (self.multiline, raw::PCRE2_MULTILINE),
            (self.anchored, raw::PCRE2_ANCHORED),
            (self.dollar_endonly, raw::PCRE2_DOLLAR_ENDONLY),
            (self.extended, raw::PCRE2_EXTENDED),
            (self.ungreedy, raw::PCRE2_UNGREEDY),
        ]
        .into_iter()
        .filter_map(|(set, bit)| set.then_some(bit))
        // A leading (*UTF) would have every subject checked to be UTF-8.
        .fold(raw::PCRE2_NEVER_UTF | raw::PCRE2_NEVER_UCP, |all, bit| all | bit)
    }
}

/// Why an expression could not be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at offset {offset}")]
pub struct CompileError {
    /// Where in the expression, in bytes.
    pub offset: usize,
    /// What is wrong, in PCRE2's words.
    pub message: String,
}

/// Why an expression has no machine code. It can be matched all the same, only slower.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no machine code for this expression: {message}")]
pub struct JitError {
    /// What is wrong, in PCRE2's words.
    pub message: String,
}

/// A compiled expression over bytes. Newline is LF.
pub struct Regex {
    code: NonNull<raw::pcre2_code_8>,
    captures: usize,
    names: Box<[(Box<str>, usize)]>,
    jit: bool,
}

// SAFETY: compiled code has no ties to the thread that made it.
unsafe impl Send for Regex {}
// SAFETY: matching only reads the code, PCRE2 documents it as thread-safe; the one function
// that changes it, `compile_jit`, takes `&mut self`.
unsafe impl Sync for Regex {}

/// The deepest nesting of groups that is compiled; PCRE2's own default, made independent of
/// how the library was built.
const PARENS_NEST_LIMIT: u32 = 250;

/// Freed when dropped.
struct CompileContext(NonNull<raw::pcre2_compile_context_8>);

impl CompileContext {
    fn new() -> Option<Self> {
        // SAFETY: a null general context stands for malloc and free.
        let context = unsafe { raw::pcre2_compile_context_create_8(ptr::null_mut()) };
        let context = Self(NonNull::new(context)?);
        // SAFETY: the context is live; both values are among those documented.
        unsafe {
            raw::pcre2_set_newline_8(context.0.as_ptr(), raw::PCRE2_NEWLINE_LF);
            raw::pcre2_set_parens_nest_limit_8(context.0.as_ptr(), PARENS_NEST_LIMIT);
        }
        Some(context)
    }
}

impl Drop for CompileContext {
    fn drop(&mut self) {
        // SAFETY: created above, freed once; compiled code keeps no reference to it.
        unsafe { raw::pcre2_compile_context_free_8(self.0.as_ptr()) };
    }
}

impl Regex {
    /// Compiles `pattern`, any bytes, without delimiters. Limits that the expression sets
    /// itself, such as `(*LIMIT_MATCH=5)`, can only lower a [`Matcher`]'s.
    ///
    /// # Errors
    /// Wrong syntax, an expression too large, UTF mode asked for, no memory.
    pub fn compile(pattern: &[u8], flags: Flags) -> Result<Self, CompileError> {
        let context = CompileContext::new()
            .ok_or_else(|| CompileError { offset: 0, message: "out of memory".to_owned() })?;
        let (mut error, mut offset) = (0, 0);
        // SAFETY: the pattern is readable for its length (and copied), the outputs may be
        // written, the context is live.
        let code = unsafe {
            raw::pcre2_compile_8(
                pattern.as_ptr(),
                pattern.len(),
                flags.bits(),
                &mut error,
                &mut offset,
                context.0.as_ptr(),
            )
        };
        let code = NonNull::new(code)
            .ok_or_else(|| CompileError { offset, message: raw::describe(error) })?;
        let mut regex = Self { code, captures: 0, names: Box::default(), jit: false };
        regex.captures = regex.info_u32(raw::PCRE2_INFO_CAPTURECOUNT) as usize;
        regex.names = regex.read_names();
        Ok(regex)
    }

    /// Translates the expression to machine code, which matches several times faster. The
    /// match limit then counts differently (less), and the depth and heap limits give way
    /// to the size of the [`Matcher`]'s own stack.
    ///
    /// # Errors
    /// An expression that the translator does not support, no memory, or a system that
    /// forbids executable memory. The regex goes on without.
    pub fn compile_jit(&mut self) -> Result<(), JitError> {
        // SAFETY: the code is live and, by `&mut self`, nobody is matching with it.
        let code = unsafe { raw::pcre2_jit_compile_8(self.code.as_ptr(), raw::PCRE2_JIT_COMPLETE) };
        if code != 0 {
            return Err(JitError { message: raw::describe(code) });
        }
        self.jit = self.info_usize(raw::PCRE2_INFO_JITSIZE) > 0;
        Ok(())
    }

    /// Finds the first match at or after `start`, whose lookbehinds see what is before
    /// `start`. Allocates nothing once `matcher` has met expressions and subjects of this
    /// kind.
    ///
    /// `^` and `\A` mean the subject's start, not `start`; `\G` means `start`.
    ///
    /// # Errors
    /// [`MatchError::Limit`] when the search costs too much: whether there is a match then
    /// remains unknown.
    #[inline]
    pub fn find_at(
        &self,
        matcher: &mut Matcher,
        subject: &[u8],
        start: usize,
        options: MatchOptions,
    ) -> Result<Option<Range<usize>>, MatchError> {
        // SAFETY: the code is live.
        unsafe { matcher.find(self.code, subject, start, options) }
    }

    /// Number of capturing groups; they are numbered from 1, and 0 is the whole match.
    pub fn capture_count(&self) -> usize {
        self.captures
    }

    /// The number of the capturing group with this name.
    pub fn capture_index(&self, name: &str) -> Option<usize> {
        self.names.iter().find(|(known, _)| **known == *name).map(|&(_, index)| index)
    }

    /// The names of capturing groups with their numbers, in alphabetical order.
    pub fn capture_names(&self) -> impl Iterator<Item = (&str, usize)> {
        self.names.iter().map(|(name, index)| (&**name, *index))
    }

    /// Whether there is machine code.
    pub fn has_jit(&self) -> bool {
        self.jit
    }

    /// The most bytes before a match that its lookbehinds can see; `\b` and the like see
    /// one, even where this says 0.
    pub fn max_lookbehind(&self) -> usize {
        self.info_u32(raw::PCRE2_INFO_MAXLOOKBEHIND) as usize
    }

    /// A lower bound of a match's length, in bytes; 0 if unknown.
    pub fn min_length(&self) -> usize {
        self.info_u32(raw::PCRE2_INFO_MINLENGTH) as usize
    }

    /// Bytes of memory that the expression takes, machine code included.
    pub fn size(&self) -> usize {
        self.info_usize(raw::PCRE2_INFO_SIZE) + self.info_usize(raw::PCRE2_INFO_JITSIZE)
    }

    fn read_names(&self) -> Box<[(Box<str>, usize)]> {
        let count = self.info_u32(raw::PCRE2_INFO_NAMECOUNT) as usize;
        let width = self.info_u32(raw::PCRE2_INFO_NAMEENTRYSIZE) as usize;
        let mut table: *const u8 = ptr::null();
        // SAFETY: the code is live and the table is given as a pointer to code units.
        unsafe { self.info(raw::PCRE2_INFO_NAMETABLE, ptr::from_mut(&mut table).cast()) };
        if count == 0 || width == 0 || table.is_null() {
            return Box::default();
        }
        // SAFETY: the table belongs to the live code, is `count` entries of `width` bytes
        // long and never changes.
        let table = unsafe { std::slice::from_raw_parts(table, count * width) };
        // An entry is the number, big-endian in two bytes, then the name, padded with NULs.
        table
            .chunks_exact(width)
            .filter_map(|entry| {
                let (number, name) = entry.split_first_chunk::<2>()?;
                let name = name.split(|&byte| byte == 0).next()?;
                let name = String::from_utf8_lossy(name).into_owned().into_boxed_str();
                Some((name, usize::from(u16::from_be_bytes(*number))))
            })
            .collect()
    }

    /// A property that is documented as a `uint32_t`.
    fn info_u32(&self, what: u32) -> u32 {
        let mut value = 0u32;
        // SAFETY: the code is live and every caller asks for a uint32_t.
        unsafe { self.info(what, ptr::from_mut(&mut value).cast()) };
        value
    }

    /// A property that is documented as a `size_t`.
    fn info_usize(&self, what: u32) -> usize {
        let mut value = 0usize;
        // SAFETY: the code is live and every caller asks for a size_t.
        unsafe { self.info(what, ptr::from_mut(&mut value).cast()) };
        value
    }

    /// # Safety
    /// `value` must point to the type that PCRE2 documents for `what`. It is left as it is
    /// when the property is unset.
    unsafe fn info(&self, what: u32, value: *mut c_void) {
        // SAFETY: the code is live, the value as the caller promises.
        unsafe { raw::pcre2_pattern_info_8(self.code.as_ptr(), what, value) };
    }
}

impl Drop for Regex {
    fn drop(&mut self) {
        // SAFETY: the code is ours and freed once; a matcher that has used it does not
        // look at it again.
        unsafe { raw::pcre2_code_free_8(self.code.as_ptr()) };
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Regex")
            .field("captures", &self.captures)
            .field("names", &self.names)
            .field("jit", &self.jit)
            .finish_non_exhaustive()
    }
}
