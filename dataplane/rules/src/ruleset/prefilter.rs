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
    shared: Option<Shared>,
    members: Members,
    heads: Heads,
    number: usize,
}

/// Of each pattern of a database that two prefilters share, its place among the members of one of
/// them; [`Shared::OTHER`] if it is only the other's.
#[derive(Debug, Clone)]
struct Shared(Box<[u32]>);

impl Shared {
    const OTHER: u32 = u32::MAX;

    /// The places of `own` patterns within `all`, both ascending.
    fn new(own: &[Literal], all: &[Literal]) -> Self {
        let mut own = (0..).zip(own).peekable();
        let place =
            |literal| own.next_if(|(_, next)| *next == literal).map_or(Self::OTHER, |at| at.0);
        Self(all.iter().map(place).collect())
    }
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

    /// Whether no pattern is so short that it could stand in so many bytes: a scan would find nothing.
    #[inline]
    pub fn finds_none_in(&self, len: usize) -> bool {
        self.heads.is_empty() && (self.database.is_none() || len < self.members.min_len())
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
        let done = database.scan(data, scratch, queue);
        self.found(done, queue, data.as_bytes(), out)
    }

    /// One scan in place of two [`Self::scan_on`]: `self` has the payload of a segment looked at,
    /// `other` the same bytes as a part of the stream: `tail` is the payload with what the stream has
    /// before it. The two must [share](Self::shares) a database: `other` finds nothing otherwise.
    ///
    /// # Errors
    /// As [`Self::scan`].
    #[inline]
    pub fn scan_both(
        &self,
        other: &Self,
        (payload, tail): (&[u8], Padded<'_>),
        scratch: &mut Scratch,
        queue: &mut MatchQueue,
        (out, other_out): (&mut Vec<u32>, &mut Vec<u32>),
    ) -> Result<(), ScanError> {
        let Some(database) = self.database.as_ref().filter(|_| self.shares(other)) else {
            return self.scan_on(tail, scratch, queue, out);
        };
        queue.clear();
        let done = database.scan(tail, scratch, queue);
        self.found(done, queue, payload, out)?;
        other.found(done, queue, tail.as_bytes(), other_out)
    }

    /// Whether one scan does for both.
    #[inline]
    pub fn shares(&self, other: &Self) -> bool {
        match (&self.database, &other.database) {
            (Some(one), Some(two)) => self.shared.is_some() && Arc::ptr_eq(one, two),
            _ => false,
        }
    }

    /// Appends the signatures behind what a scan found in its data. Which of the data a place is
    /// counted from, `data` tells.
    fn found(
        &self,
        done: Result<(), ScanError>,
        queue: &MatchQueue,
        data: &[u8],
        out: &mut Vec<u32>,
    ) -> Result<(), ScanError> {
        match done {
            Ok(()) => {}
            Err(ScanError::QueueFull) => {
                out.extend_from_slice(self.members.all());
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        for found in queue.as_slice() {
            let member = match &self.shared {
                None => found.id,
                Some(Shared(of)) => of.get(found.id as usize).copied().unwrap_or(Shared::OTHER),
            };
            if member != Shared::OTHER {
                self.members.append(member as usize, data, out);
            }
        }
        Ok(())
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
    shared: Option<Shared>,
    members: Members,
    heads: Heads,
    number: usize,
}

/// The patterns of some signatures, what is behind them, and what is looked for without Hyperscan.
struct Sorted {
    literals: Vec<Literal>,
    members: Members,
    heads: Heads,
}

impl Sorted {
    /// None if there are no signatures.
    fn new(numbers: &[u32], signatures: &[Signature], data: Data) -> Option<Self> {
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
        Some(Self { literals: by_pattern.into_keys().collect(), members, heads })
    }
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
        let Sorted { literals, members, heads } = Sorted::new(numbers, signatures, data)?;
        let set = self.number(literals);
        Some(self.numbered(Draft { set, shared: None, members, heads, number: 0 }))
    }

    /// Two prefilters, of signatures that look at segments by themselves and of those that look at
    /// the stream. Where there are patterns of both, they share a database of all of them, so that
    /// one scan does for both: it costs a tenth to a quarter more than one of two.
    pub(crate) fn draft_pair(
        &mut self,
        (packet, stream): (&[u32], &[u32]),
        signatures: &[Signature],
    ) -> (Option<Draft>, Option<Draft>) {
        let sorted = [(packet, Data::Whole), (stream, Data::Window)]
            .map(|(numbers, data)| Sorted::new(numbers, signatures, data));
        let together = match &sorted {
            [Some(one), Some(two)] if !one.literals.is_empty() && !two.literals.is_empty() => {
                let mut all = [one.literals.as_slice(), &two.literals].concat();
                all.sort_unstable();
                all.dedup();
                Some(all)
            }
            _ => None,
        };
        let mut draft = |sorted: Option<Sorted>| {
            let Sorted { literals, members, heads } = sorted?;
            let shared = together.as_ref().map(|all| Shared::new(&literals, all));
            let set = self.number(together.clone().unwrap_or(literals));
            Some(self.numbered(Draft { set, shared, members, heads, number: 0 }))
        };
        let [one, two] = sorted;
        (draft(one), draft(two))
    }

    /// Gives a draft the next number.
    fn numbered(&mut self, draft: Draft) -> Draft {
        self.drafts += 1;
        Draft { number: self.drafts - 1, ..draft }
    }

    /// How many prefilters there are.
    pub(crate) fn drafts(&self) -> usize {
        self.drafts
    }

    /// The number of a set; None for an empty one.
    fn number(&mut self, set: Vec<Literal>) -> Option<usize> {
        if set.is_empty() {
            return None;
        }
        Some(*self.numbers.entry(set.into()).or_insert_with_key(|set| {
            self.sets.push(Arc::clone(set));
            self.sets.len() - 1
        }))
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
        let Self { shared, members, heads, number, .. } = self;
        Some(Prefilter { database, shared, members, heads, number })
    }
}
