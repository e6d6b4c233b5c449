//! [`Matcher`]: the working memory and the limits of one search at a time, and the groups
//! that the last search captured.

use std::fmt;
use std::ops::Range;
use std::ptr::{self, NonNull};

use crate::raw;

/// What one search may cost. Beyond it, the search ends with [`MatchError::Limit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// How often the matcher may try. Suricata's `pcre.match-limit`, 3500.
    pub matches: u32,
    /// How deeply attempts may be nested; without effect on machine code. Suricata's
    /// `pcre.match-limit-recursion`, 1500.
    pub depth: u32,
    /// KiB of heap that backtracking may take, kept for the next search; without effect on
    /// machine code. 1024.
    pub heap_kib: u32,
    /// KiB of stack for machine code, of which the first 32 are always there. 256.
    pub jit_stack_kib: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { matches: 3500, depth: 1500, heap_kib: 1024, jit_stack_kib: 256 }
    }
}

/// How a search may match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MatchOptions {
    /// At the start offset only. (Always without machine code: compile an expression that is
    /// often searched so with [`Flags::anchored`](crate::Flags::anchored).)
    pub anchored: bool,
    /// Not an empty match at the start offset; to go on after an empty match.
    pub not_empty_at_start: bool,
}

/// Why a search came to no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    /// It cost more than its [`Limits`].
    #[error("the search exceeded its limits")]
    Limit,
    /// The start offset lies beyond the subject's end.
    #[error("the start offset lies beyond the subject's end")]
    StartBeyondEnd,
    /// There was no memory for backtracking, although the limit allows it.
    #[error("out of memory")]
    OutOfMemory,
    /// PCRE2 failed otherwise, for instance on an expression that recurses without progress.
    #[error("PCRE2: {}", raw::describe(*code))]
    Engine {
        /// `PCRE2_ERROR_*`.
        code: i32,
    },
}

/// There was no memory for a [`Matcher`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("out of memory")]
pub struct OutOfMemory;

/// Working memory, limits and captured groups; one per thread, for any number of
/// expressions.
pub struct Matcher {
    data: MatchData,
    context: MatchContext,
    /// Assigned to the context, which must not use it once it is freed: declared, and so
    /// dropped, behind it.
    _stack: JitStack,
    /// How many groups of the last match are set in `data`, the whole match included; 0 after
    /// a search without a match.
    groups: usize,
}

// SAFETY: the three parts are plain memory without ties to the thread that allocated it. Not
// `Sync`: a search changes them, but takes `&mut`.
unsafe impl Send for Matcher {}

impl Matcher {
    /// With Suricata's limits, and room for the captures of 31 groups.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn new() -> Result<Self, OutOfMemory> {
        Self::with_limits(Limits::default(), 31)
    }

    /// With these limits, and room for the captures of `groups` groups. Expressions may have
    /// more, but [`group`](Self::group) will not tell where they matched.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn with_limits(limits: Limits, groups: u16) -> Result<Self, OutOfMemory> {
        let stack = JitStack::new(limits.jit_stack_kib);
        let context = MatchContext::new(limits, &stack)?;
        Ok(Self { data: MatchData::new(groups)?, context, _stack: stack, groups: 0 })
    }

    /// Sets the limits of the searches to come; the stack for machine code stays as it is.
    pub fn set_limits(&mut self, limits: Limits) {
        self.context.set_limits(limits);
    }

    /// Where group `index` matched in the last search; 0 is the whole match. `None` if the
    /// search found nothing, the group had no part in the match or there is no such group.
    #[inline]
    pub fn group(&self, index: usize) -> Option<Range<usize>> {
        if index < self.groups { self.data.pair(index) } else { None }
    }

    /// See [`Regex::find_at`](crate::Regex::find_at).
    ///
    /// # Safety
    /// `code` must be live.
    #[inline]
    pub(crate) unsafe fn find(
        &mut self,
        code: NonNull<raw::pcre2_code_8>,
        subject: &[u8],
        start: usize,
        options: MatchOptions,
    ) -> Result<Option<Range<usize>>, MatchError> {
        let anchored = if options.anchored { raw::PCRE2_ANCHORED } else { 0 };
        let not_empty = if options.not_empty_at_start { raw::PCRE2_NOTEMPTY_ATSTART } else { 0 };
        self.groups = 0;
        // SAFETY: the code is live, as the caller promises; the subject is readable for its
        // length; data, context and the stack assigned to it are live and, by `&mut self`,
        // used by nobody else. There are no callouts that could call back.
        let code = unsafe {
            raw::pcre2_match_8(
                code.as_ptr(),
                subject.as_ptr(),
                subject.len(),
                start,
                anchored | not_empty,
                self.data.raw.as_ptr(),
                self.context.raw.as_ptr(),
            )
        };
        match code {
            // There are more groups than room for them; all the room is used.
            0 => self.groups = self.data.pairs,
            1.. => self.groups = (code as usize).min(self.data.pairs),
            raw::PCRE2_ERROR_NOMATCH => return Ok(None),
            code => return Err(error(code)),
        }
        Ok(self.data.pair(0))
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matcher").field("groups", &self.groups).finish_non_exhaustive()
    }
}

#[cold]
fn error(code: i32) -> MatchError {
    match code {
        raw::PCRE2_ERROR_MATCHLIMIT
        | raw::PCRE2_ERROR_DEPTHLIMIT
        | raw::PCRE2_ERROR_HEAPLIMIT
        | raw::PCRE2_ERROR_JIT_STACKLIMIT => MatchError::Limit,
        raw::PCRE2_ERROR_BADOFFSET => MatchError::StartBeyondEnd,
        raw::PCRE2_ERROR_NOMEMORY => MatchError::OutOfMemory,
        code => MatchError::Engine { code },
    }
}

/// Where captures are written, and the heap for backtracking.
struct MatchData {
    raw: NonNull<raw::pcre2_match_data_8>,
    /// Start and end of each group.
    offsets: NonNull<usize>,
    pairs: usize,
}

impl MatchData {
    fn new(groups: u16) -> Result<Self, OutOfMemory> {
        let pairs = u32::from(groups) + 1;
        // SAFETY: a null general context stands for malloc and free.
        let raw = unsafe { raw::pcre2_match_data_create_8(pairs, ptr::null_mut()) };
        let raw = NonNull::new(raw).ok_or(OutOfMemory)?;
        // SAFETY: the data is live; its offsets stay where they are as long as it is.
        let offsets = unsafe { raw::pcre2_get_ovector_pointer_8(raw.as_ptr()) };
        // SAFETY: the data is live. PCRE2 may have made room for fewer pairs than asked.
        let pairs = unsafe { raw::pcre2_get_ovector_count_8(raw.as_ptr()) } as usize;
        // The pointer leads into the data and is never null; were it, nothing is read.
        let pairs = if offsets.is_null() { 0 } else { pairs };
        let offsets = NonNull::new(offsets).unwrap_or(NonNull::dangling());
        Ok(Self { raw, offsets, pairs })
    }

    /// Where a group matched, by what the last match wrote.
    #[inline]
    fn pair(&self, index: usize) -> Option<Range<usize>> {
        if index >= self.pairs {
            return None;
        }
        // SAFETY: there are `pairs` pairs of offsets, initialised by PCRE2 for every group
        // counted in a match's result. No search is changing them, as it takes `&mut`.
        let (start, end) = unsafe {
            (*self.offsets.as_ptr().add(index * 2), *self.offsets.as_ptr().add(index * 2 + 1))
        };
        // PCRE2_UNSET, the highest number, marks a group without part in the match. A \K in
        // a lookahead could once move the start beyond the end.
        (start != usize::MAX && start <= end).then_some(start..end)
    }
}

impl Drop for MatchData {
    fn drop(&mut self) {
        // SAFETY: created above, freed once.
        unsafe { raw::pcre2_match_data_free_8(self.raw.as_ptr()) };
    }
}

/// The limits, and the stack for machine code.
struct MatchContext {
    raw: NonNull<raw::pcre2_match_context_8>,
}

impl MatchContext {
    fn new(limits: Limits, stack: &JitStack) -> Result<Self, OutOfMemory> {
        // SAFETY: a null general context stands for malloc and free.
        let raw = unsafe { raw::pcre2_match_context_create_8(ptr::null_mut()) };
        let mut context = Self { raw: NonNull::new(raw).ok_or(OutOfMemory)? };
        context.set_limits(limits);
        // SAFETY: context and stack are live; a null callback means that the last argument is
        // the stack itself, and null there the thread's own. The matcher keeps both together.
        unsafe { raw::pcre2_jit_stack_assign_8(context.raw.as_ptr(), None, stack.raw.cast()) };
        Ok(context)
    }

    fn set_limits(&mut self, limits: Limits) {
        let context = self.raw.as_ptr();
        // SAFETY: the context is live and ours alone.
        unsafe {
            raw::pcre2_set_match_limit_8(context, limits.matches);
            raw::pcre2_set_depth_limit_8(context, limits.depth);
            raw::pcre2_set_heap_limit_8(context, limits.heap_kib);
        }
    }
}

impl Drop for MatchContext {
    fn drop(&mut self) {
        // SAFETY: created above, freed once.
        unsafe { raw::pcre2_match_context_free_8(self.raw.as_ptr()) };
    }
}

/// A stack for machine code, apart from the thread's: its size is known and its end guarded.
struct JitStack {
    /// Null if the library was built without machine code, or without memory: machine code
    /// then makes do with 32 KiB of the thread's stack.
    raw: *mut raw::pcre2_jit_stack_8,
}

impl JitStack {
    fn new(max_kib: u32) -> Self {
        const FIRST: usize = 32 * 1024;
        let max = (max_kib as usize).saturating_mul(1024).max(FIRST);
        // SAFETY: a null general context stands for malloc and free.
        Self { raw: unsafe { raw::pcre2_jit_stack_create_8(FIRST, max, ptr::null_mut()) } }
    }
}

impl Drop for JitStack {
    fn drop(&mut self) {
        // SAFETY: null, which is allowed, or created above and freed once; the context that
        // it is assigned to is gone.
        unsafe { raw::pcre2_jit_stack_free_8(self.raw) };
    }
}
