//! Several texts read into one set of rules: each gid and sid once, by its newest revision.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::draft::Session;
use super::lines::{Entry, Lines};
use super::memo::Memo;
use super::{Context, Names, Parsed, Rejection, requires, signature, text};
use crate::signature::{Action, Origin, Signature};

/// Rules that were read before, by their text.
pub type Earlier = HashMap<Arc<str>, EarlierRule>;

/// A rule that was read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlierRule {
    /// Where it stands, as whoever read it counts.
    pub at: usize,
    /// Its gid.
    pub gid: u32,
    /// Its sid.
    pub sid: u32,
    /// Its revision.
    pub rev: u32,
}

/// Reads several texts into one set of rules.
pub(crate) struct Reader<'c> {
    context: &'c Context,
    names: &'c mut Names,
    before: &'c Earlier,
    memo: Memo,
    parsed: Parsed,
    /// Where those of `parsed.earlier` stand in these texts.
    origins: Vec<Origin>,
    /// What stands for a gid and sid.
    known: HashMap<(u32, u32), Known>,
    /// Signatures and rules read before that newer ones have come for.
    superseded: HashSet<Known>,
}

/// What was read, by its place in the list of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Known {
    Signature(usize),
    Earlier(usize),
}

impl<'c> Reader<'c> {
    /// One that has read nothing.
    pub(crate) fn new(context: &'c Context, names: &'c mut Names, before: &'c Earlier) -> Self {
        Self {
            context,
            names,
            before,
            memo: Memo::default(),
            parsed: Parsed::default(),
            origins: Vec::new(),
            known: HashMap::new(),
            superseded: HashSet::new(),
        }
    }

    /// Reads one text.
    pub(crate) fn read(&mut self, source_name: &str, text: &[u8]) {
        let file: Arc<str> = source_name.into();
        let mut lines = Lines::new(text);
        for entry in lines.by_ref() {
            if let Some(rule) = self.read_before(&entry) {
                self.add_earlier(rule, Origin { file: Arc::clone(&file), line: entry.line });
                continue;
            }
            match self.rule(&file, &entry) {
                Ok(Some(signature)) if signature.action != Action::Config => self.add(signature),
                Ok(Some(signature)) if signature.changes_something() => self.add(signature),
                Ok(_) => self.parsed.skipped += 1,
                Err(rejection) => self.parsed.rejections.push(*rejection),
            }
        }
        self.parsed.ignored += lines.disabled();
    }

    /// What was read.
    pub(crate) fn finish(mut self) -> Parsed {
        if !self.superseded.is_empty() {
            let stays = |known| !self.superseded.contains(&known);
            let mut places = (0..).map(Known::Signature);
            self.parsed.signatures.retain(|_| places.next().is_some_and(stays));
            let mut places = (0..).map(Known::Earlier);
            self.parsed.earlier.retain(|_| places.next().is_some_and(stays));
        }
        self.parsed.warnings = self.memo.unknown_references();
        self.parsed
    }

    /// The rule of this text, if it was read before.
    fn read_before(&self, entry: &Entry<'_>) -> Option<EarlierRule> {
        if self.before.is_empty() {
            return None;
        }
        self.before.get(text::text(entry.text.bytes()).as_ref()).copied()
    }

    /// None: the rule is not meant for this engine.
    fn rule(
        &mut self,
        file: &Arc<str>,
        entry: &Entry<'_>,
    ) -> Result<Option<Signature>, Box<Rejection>> {
        let mut sid = None;
        let origin = Origin { file: Arc::clone(file), line: entry.line };
        let mut session =
            Session { context: self.context, names: &mut *self.names, memo: &mut self.memo, file };
        let read = match requires::unmet(entry.text.bytes()) {
            Ok(Some(_)) => return Ok(None),
            Ok(None) => signature(&mut session, origin, entry.text.bytes(), &mut sid),
            Err(fault) => Err(fault),
        };
        read.map(Some).map_err(|fault| {
            let (lines, column) = entry.text.place(fault.start);
            let (end_lines, end_column) = entry.text.place(fault.end);
            let line = entry.line.saturating_add(lines);
            Box::new(Rejection {
                origin: Origin { file: Arc::clone(file), line },
                column,
                end_column: (end_lines == lines && end_column > column).then_some(end_column),
                sid: sid.or_else(|| written_sid(entry.text.bytes())),
                keyword: fault.keyword,
                reason: fault.reason,
            })
        })
    }

    /// Adds a signature, unless a newer one of its sid is there.
    fn add(&mut self, signature: Signature) {
        let key = (signature.gid, signature.sid);
        let known = Known::Signature(self.parsed.signatures.len());
        if self.settle(key, signature.rev, &signature.origin, known) {
            self.parsed.signatures.push(signature);
        }
    }

    /// Adds a rule that was read before, unless a newer one of its sid is there.
    fn add_earlier(&mut self, rule: EarlierRule, origin: Origin) {
        let known = Known::Earlier(self.parsed.earlier.len());
        if self.settle((rule.gid, rule.sid), rule.rev, &origin, known) {
            self.parsed.earlier.push(rule);
            self.origins.push(origin);
        }
    }

    /// Says whether what comes for a gid and sid is to be added; the older of two is refused.
    fn settle(&mut self, key: (u32, u32), rev: u32, origin: &Origin, new: Known) -> bool {
        let Some(known) = self.known.get_mut(&key) else {
            self.known.insert(key, new);
            return true;
        };
        let there = match *known {
            Known::Signature(at) => {
                self.parsed.signatures.get(at).map(|other| (other.rev, &other.origin))
            }
            Known::Earlier(at) => {
                let rule = self.parsed.earlier.get(at);
                rule.zip(self.origins.get(at)).map(|(rule, origin)| (rule.rev, origin))
            }
        };
        // What is known has a place.
        let Some((other_rev, other_origin)) = there else { return true };
        let newer = rev > other_rev;
        let (kept, kept_rev, left_out, why) = match newer {
            true => (origin, rev, other_origin, "newer"),
            false => (other_origin, other_rev, origin, "no older"),
        };
        let reason = format!(
            "duplicate of sid {} at {}:{}, which is {why} (rev {kept_rev})",
            key.1, kept.file, kept.line
        );
        self.parsed.rejections.push(Rejection {
            origin: left_out.clone(),
            column: 1,
            end_column: None,
            sid: Some(key.1),
            keyword: None,
            reason,
        });
        if newer {
            self.superseded.insert(std::mem::replace(known, new));
        }
        newer
    }
}

/// The sid that a rule would have, had all of it been read.
fn written_sid(rule: &[u8]) -> Option<u32> {
    let text = text::text(rule);
    text.match_indices("sid").find_map(|(at, word)| {
        let before = text.get(..at)?.trim_end();
        let after = text.get(at + word.len()..)?.trim_start().strip_prefix(':')?.trim_start();
        let digits = after.split(|c: char| !c.is_ascii_digit()).next()?;
        before.ends_with([';', '(']).then(|| digits.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, before: &Earlier) -> Parsed {
        let (context, mut names) = (Context::default(), Names::default());
        let mut reader = Reader::new(&context, &mut names, before);
        reader.read("r", text.as_bytes());
        reader.finish()
    }

    fn rule(sid: u32, rev: u32) -> String {
        format!("alert tcp any any -> any any (sid:{sid}; rev:{rev};)\n")
    }

    /// The rules of a text, as read before.
    fn before(text: &str) -> Earlier {
        let signatures = read(text, &Earlier::new()).signatures;
        let rule = |(at, it): (usize, &Signature)| {
            let rule = EarlierRule { at, gid: it.gid, sid: it.sid, rev: it.rev };
            (Arc::clone(&it.text), rule)
        };
        signatures.iter().enumerate().map(rule).collect()
    }

    /// Sids and revisions.
    type Kept = Vec<(u32, u32)>;

    /// What was read, what was read before, how many were refused.
    fn told(parsed: &Parsed) -> (Kept, Kept, usize) {
        (
            parsed.signatures.iter().map(|it| (it.sid, it.rev)).collect(),
            parsed.earlier.iter().map(|it| (it.sid, it.rev)).collect(),
            parsed.rejections.len(),
        )
    }

    #[test]
    fn what_was_read_before_is_not_read_again() {
        let before = before(&(rule(1, 1) + &rule(2, 1)));
        let parsed = read(&(rule(2, 1) + &rule(3, 1) + &rule(1, 1)), &before);
        assert_eq!(told(&parsed), (vec![(3, 1)], vec![(2, 1), (1, 1)], 0));
        assert_eq!(parsed.earlier.iter().map(|it| it.at).collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn the_newest_of_a_sid_is_kept_whichever_was_read_before() {
        let before = before(&(rule(1, 2) + &rule(2, 2)));
        let parsed = read(&[rule(1, 2), rule(1, 3), rule(1, 1)].concat(), &before);
        assert_eq!(told(&parsed), (vec![(1, 3)], vec![], 2));
        let parsed = read(&[rule(2, 1), rule(2, 2), rule(3, 1), rule(2, 2)].concat(), &before);
        assert_eq!(told(&parsed), (vec![(3, 1)], vec![(2, 2)], 2));
        let [older, again] = &parsed.rejections[..] else { panic!("two are left out") };
        assert!(older.reason.contains("r:2, which is newer (rev 2)"), "{}", older.reason);
        assert!(again.reason.contains("r:2, which is no older (rev 2)"), "{}", again.reason);
        assert_eq!((older.origin.line, again.origin.line), (1, 4));
    }
}
