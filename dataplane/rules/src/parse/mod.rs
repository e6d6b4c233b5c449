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
mod reader;
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

use std::sync::Arc;

pub use classification::Classifications;
pub use files::{FileError, Loaded, load, load_beside};
pub use keywords::buffer_name;
pub use known::{KnownKeyword, known_keywords};
pub use names::{FlowNames, Interner, Names};
pub use reader::{Earlier, EarlierRule};
pub use reference_types::ReferenceTypes;
pub use rejection::Rejection;
pub use threshold_file::ThresholdFile;
pub use variables::{VariableError, Variables};

use crate::signature::{GeoDatabase, Origin, Signature};
use crate::state::{DataPaths, Reputation};
use draft::{Draft, Session};
use finish::{Frame, finish};
use options::Options;
use reader::Reader;
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
    /// Beside them, rules that were read before and were not read again.
    pub earlier: Vec<EarlierRule>,
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
    parse_rules_beside(source_name, text, context, names, &Earlier::new())
}

/// As [`parse_rules`]; a rule whose text was read before is not read again.
pub fn parse_rules_beside(
    source_name: &str,
    text: &[u8],
    context: &Context,
    names: &mut Names,
    earlier: &Earlier,
) -> Parsed {
    let mut reader = Reader::new(context, names, earlier);
    reader.read(source_name, text);
    reader.finish()
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
