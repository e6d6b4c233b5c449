//! [`Prefilter`]: fast patterns compiled into one database, and which signatures each stands for.
//! [`PatternStore`] collects them before they are compiled and keeps equal sets once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hyperscan::{Database, MatchQueue, Padded, ScanError, Scratch};

use super::fast_pattern::{self, Ends};
use super::heads::Heads;
use super::members::Members;
use crate::signature::Signature;

/// Finds the signatures whose fast pattern occurs in a buffer.
#[derive(Debug)]
pub struct Prefilter {
    /// None if there are no members.
    database: Option<Arc<Database>>,
    members: Members,
    heads: Heads,
    number: usize,
}

impl Prefilter {
    /// Its place among the prefilters of its ruleset, from 0.
    #[inline]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Bytes of its database, which others may share.
    pub fn database_bytes(&self) -> usize {
        self.database.as_ref().map_or(0, |database| database.size())
    }

    /// Appends the numbers of the signatures whose fast pattern occurs in `data`, a whole buffer, to
    /// `out`, in no order; a number may come more than once. `queue` is cleared and used; one from
    /// [`Ruleset::queue`](super::Ruleset::queue) is always large enough. Allocates only where
    /// `out` must grow.
    ///
    /// # Errors
    /// The scratch is of another ruleset, the data is too long, or Hyperscan fails. A queue too
    /// small is no error: every member becomes a candidate then.
    #[inline]
    pub fn scan(
        &self,
        data: Padded<'_>,
        scratch: &mut Scratch,
        queue: &mut MatchQueue,
        out: &mut Vec<u32>,
    ) -> Result<(), ScanError> {
        self.heads(data.as_bytes(), out);
        self.scan_on(data, scratch, queue, out)
    }

    /// The part of [`Self::scan`] for patterns that have one place only: `data` must begin where the
    /// buffer or stream does.
    #[inline]
    pub fn heads(&self, data: &[u8], out: &mut Vec<u32>) {
        self.heads.append(data, out);
    }

    /// The part of [`Self::scan`] for patterns that may stand in many places: a stream's later bytes
    /// need only this.
    ///
    /// # Errors
    /// As [`Self::scan`].
    #[inline]
    pub fn scan_on(
        &self,
        data: Padded<'_>,
        scratch: &mut Scratch,
        queue: &mut MatchQueue,
        out: &mut Vec<u32>,
    ) -> Result<(), ScanError> {
        let Some(database) = &self.database else { return Ok(()) };
        if data.len() < self.members.min_len() {
            return Ok(());
        }
        queue.clear();
        match database.scan(data, scratch, queue) {
            Ok(()) => {
                for found in queue.as_slice() {
                    self.members.append(found.id as usize, data.as_bytes(), out);
                }
                Ok(())
            }
            Err(ScanError::QueueFull) => {
                out.extend_from_slice(self.members.all());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Length of the shortest pattern in bytes; shorter data cannot match.
    pub fn min_len(&self) -> usize {
        let members = (self.members.patterns() > 0).then_some(self.members.min_len());
        self.heads.min_len().into_iter().chain(members).min().unwrap_or(0)
    }

    /// Length of the longest pattern in bytes that may stand anywhere: windows that overlap by one
    /// less miss nothing.
    pub fn max_len(&self) -> usize {
        self.members.max_len()
    }

    /// Number of different patterns.
    pub fn patterns(&self) -> usize {
        self.members.patterns() + self.heads.patterns()
    }

    /// Number of signatures behind them.
    pub fn signatures(&self) -> usize {
        self.members.all().len() + self.heads.all().len()
    }
}

/// What the prefilter looks for. A pattern without letters is never `nocase`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Literal {
    pub(crate) bytes: Box<[u8]>,
    pub(crate) nocase: bool,
}

/// What a prefilter is handed to scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    /// A buffer from its first byte on: `offset` and `depth` can be told from where a pattern
    /// is found.
    Whole,
    /// A window on a stream, of which is told whether it begins where the stream does.
    Window,
    /// A window of which that is not told.
    Piece,
}

impl Literal {
    /// The signature's fast pattern.
    fn of(signature: &Signature) -> Option<Self> {
        let (bytes, nocase) = fast_pattern::bytes(signature)?;
        let nocase = nocase && bytes.iter().any(u8::is_ascii_alphabetic);
        let bytes = if nocase { bytes.to_ascii_lowercase() } else { bytes.to_vec() };
        Some(Self { bytes: bytes.into(), nocase })
    }

    /// Is it the signature's fast pattern?
    pub(crate) fn is_of(&self, signature: &Signature) -> bool {
        fast_pattern::bytes(signature).is_some_and(|(bytes, nocase)| {
            bytes.eq_ignore_ascii_case(&self.bytes) && (nocase || !self.nocase)
        })
    }
}

/// Sets of patterns, each kept once however many prefilters use it, in ascending order within.
#[derive(Debug, Default)]
pub(crate) struct PatternStore {
    sets: Vec<Arc<[Literal]>>,
    numbers: HashMap<Arc<[Literal]>, usize>,
    drafts: usize,
}

/// A prefilter whose database is not compiled yet.
#[derive(Debug)]
pub(crate) struct Draft {
    /// Number of its set in the store, if there are patterns to be compiled.
    set: Option<usize>,
    members: Members,
    heads: Heads,
    number: usize,
}

impl PatternStore {
    /// A prefilter for the fast patterns of these signatures (by number, all of which have one);
    /// None for none.
    pub(crate) fn draft(
        &mut self,
        numbers: &[u32],
        signatures: &[Signature],
        data: Data,
    ) -> Option<Draft> {
        let mut by_pattern: BTreeMap<Literal, Vec<(Ends, u32)>> = BTreeMap::new();
        for &number in numbers {
            let signature = signatures.get(number as usize)?;
            let ends = fast_pattern::ends(signature);
            by_pattern.entry(Literal::of(signature)?).or_default().push((ends, number));
        }
        if by_pattern.is_empty() {
            return None;
        }
        let heads = match data {
            Data::Whole | Data::Window => Heads::take(&mut by_pattern),
            Data::Piece => Heads::default(),
        };
        if data != Data::Whole {
            for (ends, _) in by_pattern.values_mut().flatten() {
                *ends = Ends::ANYWHERE;
            }
        }
        let members = Members::new(&mut by_pattern);
        let set: Arc<[Literal]> = by_pattern.into_keys().collect();
        let set = (!set.is_empty()).then(|| self.number(set));
        self.drafts += 1;
        Some(Draft { set, members, heads, number: self.drafts - 1 })
    }

    /// How many prefilters there are.
    pub(crate) fn drafts(&self) -> usize {
        self.drafts
    }

    fn number(&mut self, set: Arc<[Literal]>) -> usize {
        *self.numbers.entry(set).or_insert_with_key(|set| {
            self.sets.push(Arc::clone(set));
            self.sets.len() - 1
        })
    }

    /// The sets, by number.
    pub(crate) fn sets(&self) -> &[Arc<[Literal]>] {
        &self.sets
    }
}

impl Draft {
    /// The prefilter, its database taken from those compiled of the store's sets; None if that
    /// is not there.
    pub(crate) fn finish(self, databases: &[Arc<Database>]) -> Option<Prefilter> {
        let database = match self.set {
            Some(set) => Some(Arc::clone(databases.get(set)?)),
            None => None,
        };
        let Self { members, heads, number, .. } = self;
        Some(Prefilter { database, members, heads, number })
    }
}
