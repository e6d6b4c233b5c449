//! The rule language, read: text in, [`Signature`]s and reasons out.
//!
//! The language is Suricata 7's (docs.suricata.io, "Suricata Rules"). A rule with anything that
//! is not evaluated is refused as a whole, with its place and reason: half a rule would raise
//! alerts that its author did not mean.

mod address;
mod app_event;
mod asn1;
mod base64;
mod buffers;
mod bytes;
mod classification;
mod config;
mod config_lines;
mod content;
mod dataset;
mod date;
mod draft;
mod events;
mod expression;
mod file_hashes;
mod files;
mod finish;
mod flow;
mod header;
mod keywords;
mod known;
mod lines;
mod lists;
mod memo;
mod meta;
mod names;
mod number;
mod options;
mod packet;
mod port;
mod protocol;
mod protocol_numbers;
mod ranges;
mod reference_types;
mod rejection;
mod requires;
mod shared;
mod tag;
mod tcp;
mod text;
mod threshold;
mod threshold_file;
mod tls;
mod transforms;
mod variables;

use std::collections::HashMap;
use std::sync::Arc;

pub use classification::Classifications;
pub use files::{FileError, Loaded, load};
pub use keywords::buffer_name;
pub use known::{KnownKeyword, known_keywords};
pub use names::{FlowNames, Interner, Names};
pub use reference_types::ReferenceTypes;
pub use rejection::Rejection;
pub use threshold_file::ThresholdFile;
pub use variables::{VariableError, Variables};

use crate::signature::{Action, GeoDatabase, Origin, Signature};
use crate::state::{DataPaths, Reputation};
use draft::{Draft, Session};
use finish::{Frame, finish};
use lines::{Entry, Lines};
use memo::Memo;
use options::Options;
use rejection::Fault;

/// What rules refer to.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// `$HOME_NET` and its like.
    pub variables: Variables,
    /// What `classtype` may name.
    pub classes: Classifications,
    /// What `reference` may be of.
    pub references: ReferenceTypes,
    /// What `iprep` looks up.
    pub reputation: Option<Arc<Reputation>>,
    /// What `geoip` looks up.
    pub countries: Option<GeoDatabase>,
    /// Where rules may have files read and written.
    pub data: DataPaths,
}

/// What a text came to.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Rules that can be evaluated, in order; one per gid and sid.
    pub signatures: Vec<Signature>,
    /// Rules that were refused, in order.
    pub rejections: Vec<Rejection>,
    /// Rules that stand in comments.
    pub ignored: usize,
    /// Rules that ask for nothing here: their `requires` is not met, or they only say what is to be
    /// logged of transactions and flows.
    pub skipped: usize,
    /// What else is to be said, each a line.
    pub warnings: Vec<String>,
}

/// Reads rules.
///
/// `source_name` is the file's name in places and messages. Of rules with the same gid and sid
/// the highest rev is kept, the first among equals; the others are refused as duplicates.
pub fn parse_rules(source_name: &str, text: &[u8], context: &Context, names: &mut Names) -> Parsed {
    let mut reader = Reader::new(context, names);
    reader.read(source_name, text);
    reader.finish()
}

/// Reads several texts into one set of rules.
pub(crate) struct Reader<'c> {
    context: &'c Context,
    names: &'c mut Names,
    memo: Memo,
    parsed: Parsed,
    /// Where the signature of a gid and sid stands.
    known: HashMap<(u32, u32), usize>,
}

impl<'c> Reader<'c> {
    /// One that has read nothing.
    pub(crate) fn new(context: &'c Context, names: &'c mut Names) -> Self {
        let (memo, parsed) = (Memo::default(), Parsed::default());
        Self { context, names, memo, parsed, known: HashMap::new() }
    }

    /// Reads one text.
    pub(crate) fn read(&mut self, source_name: &str, text: &[u8]) {
        let file: Arc<str> = source_name.into();
        let mut lines = Lines::new(text);
        for entry in lines.by_ref() {
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
        self.parsed.warnings = self.memo.unknown_references();
        self.parsed
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
        let Some(other) = self.known.get(&key).and_then(|&at| self.parsed.signatures.get_mut(at))
        else {
            self.known.insert(key, self.parsed.signatures.len());
            self.parsed.signatures.push(signature);
            return;
        };
        let newer = signature.rev > other.rev;
        let left_out = if newer { std::mem::replace(other, signature) } else { signature };
        let (kept, why) = (&other.origin, if newer { "newer" } else { "no older" });
        let reason = format!(
            "duplicate of sid {} at {}:{}, which is {why} (rev {})",
            other.sid, kept.file, kept.line, other.rev
        );
        self.parsed.rejections.push(Rejection {
            origin: left_out.origin,
            column: 1,
            end_column: None,
            sid: Some(left_out.sid),
            keyword: None,
            reason,
        });
    }
}

/// Reads one rule.
fn signature(
    session: &mut Session<'_>,
    origin: Origin,
    rule: &[u8],
    sid: &mut Option<u32>,
) -> Result<Signature, Fault> {
    let header = header::header(rule)?;
    let protocol = protocol::protocol(&text::text(header.protocol.bytes))
        .map_err(|reason| header.protocol.fault(reason))?;
    let [src, src_port, dst, dst_port] = header.ends;
    let variables = &session.context.variables;
    let mut address = |word: header::Word<'_>| {
        let text = text::text(word.bytes);
        let make = || Ok(address::address_set(&text, &variables.address_groups)?);
        session.memo.address(&text, make).map_err(|reason| word.fault(reason))
    };
    let (src, dst) = (address(src)?, address(dst)?);
    let mut port = |word: header::Word<'_>| {
        let text = text::text(word.bytes);
        let make = || Ok(port::port_set(&text, &variables.port_groups)?);
        session.memo.port(&text, make).map_err(|reason| word.fault(reason))
    };
    let (src_port, dst_port) = (port(src_port)?, port(dst_port)?);
    let mut draft = Draft::new(session, header.action, protocol);
    for option in Options::new(rule, header.options)? {
        let option = option?;
        let name = text::text(option.keyword);
        let fault = |reason: String| Fault {
            start: option.start,
            end: option.end,
            keyword: Some(name.clone().into_owned()),
            reason,
        };
        let keyword = keywords::find(&name).map_err(fault)?;
        let prefixed = |reason: String| fault(format!("{}: {reason}", keyword.name));
        let value = options::value(&option, keyword.takes).map_err(prefixed)?;
        keyword.apply(&mut draft, &value).map_err(prefixed)?;
        *sid = draft.sid;
    }
    let frame = Frame {
        origin,
        text: text::text(rule).as_ref().into(),
        src,
        src_port,
        dst,
        dst_port,
        bidirectional: header.bidirectional,
    };
    finish(draft, frame).map_err(|reason| Fault::at(0, rule.len(), reason))
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
