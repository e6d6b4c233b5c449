//! [`Prefilter`]: fast patterns compiled into one database, and which signatures each stands for.
//! [`PatternStore`] collects them before they are compiled and keeps equal sets once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hyperscan::{Database, MatchQueue, Padded, ScanError, Scratch};

use super::fast_pattern;
use crate::signature::Signature;

/// Finds the signatures whose fast pattern occurs in a buffer.
#[derive(Debug)]
pub struct Prefilter {
    database: Arc<Database>,
    members: Members,
}

/// The signatures behind each pattern, and the patterns' lengths.
#[derive(Debug)]
struct Members {
    /// Pattern `p`'s signatures are `signatures[offsets[p]..offsets[p + 1]]`.
    offsets: Box<[u32]>,
    signatures: Box<[u32]>,
    min_len: usize,
    max_len: usize,
}

impl Prefilter {
    /// Appends the numbers of the signatures whose fast pattern occurs in `data` to `out`, in no
    /// order; a number may come more than once. `queue` is cleared and used; one from
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
        if data.len() < self.members.min_len {
            return Ok(());
        }
        queue.clear();
        match self.database.scan(data, scratch, queue) {
            Ok(()) => {
                for found in queue.as_slice() {
                    out.extend_from_slice(self.members.of(found.id as usize));
                }
                Ok(())
            }
            Err(ScanError::QueueFull) => {
                out.extend_from_slice(&self.members.signatures);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Length of the shortest pattern in bytes; shorter data cannot match.
    pub fn min_len(&self) -> usize {
        self.members.min_len
    }

    /// Length of the longest pattern in bytes: windows that overlap by one less miss nothing.
    pub fn max_len(&self) -> usize {
        self.members.max_len
    }

    /// Number of different patterns.
    pub fn patterns(&self) -> usize {
        self.members.offsets.len() - 1
    }

    /// Number of signatures behind them.
    pub fn signatures(&self) -> usize {
        self.members.signatures.len()
    }
}

impl Members {
    /// The signatures that share a pattern; empty for a number that there is no pattern of.
    #[inline]
    fn of(&self, pattern: usize) -> &[u32] {
        match (self.offsets.get(pattern), self.offsets.get(pattern + 1)) {
            (Some(&from), Some(&to)) => {
                self.signatures.get(from as usize..to as usize).unwrap_or_default()
            }
            _ => &[],
        }
    }
}

/// What the prefilter looks for. A pattern without letters is never `nocase`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Literal {
    pub(crate) bytes: Box<[u8]>,
    pub(crate) nocase: bool,
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
        Self::of(signature).as_ref() == Some(self)
    }
}

/// Sets of patterns, each kept once however many prefilters use it, in ascending order within.
#[derive(Debug, Default)]
pub(crate) struct PatternStore {
    sets: Vec<Arc<[Literal]>>,
    numbers: HashMap<Arc<[Literal]>, usize>,
}

/// A prefilter whose database is not compiled yet.
#[derive(Debug)]
pub(crate) struct Draft {
    /// Number of its set in the store.
    set: usize,
    members: Members,
}

impl PatternStore {
    /// A prefilter for the fast patterns of these signatures (by number, all of which have one);
    /// None for none.
    pub(crate) fn draft(&mut self, numbers: &[u32], signatures: &[Signature]) -> Option<Draft> {
        let mut by_pattern: BTreeMap<Literal, Vec<u32>> = BTreeMap::new();
        for &number in numbers {
            let literal = signatures.get(number as usize).and_then(Literal::of)?;
            by_pattern.entry(literal).or_default().push(number);
        }
        let min_len = by_pattern.keys().map(|literal| literal.bytes.len()).min()?;
        let max_len = by_pattern.keys().map(|literal| literal.bytes.len()).max()?;

        let mut offsets = vec![0];
        let mut members = Vec::with_capacity(numbers.len());
        for behind in by_pattern.values() {
            members.extend_from_slice(behind);
            // There are at most as many members as signatures, which u32 numbers.
            offsets.push(members.len() as u32);
        }
        let set: Arc<[Literal]> = by_pattern.into_keys().collect();
        let members =
            Members { offsets: offsets.into(), signatures: members.into(), min_len, max_len };
        Some(Draft { set: self.number(set), members })
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
        let database = Arc::clone(databases.get(self.set)?);
        Some(Prefilter { database, members: self.members })
    }
}
