//! Objects as they stand in the text, before anything is asked of them: only the members that
//! some kind uses, each still of any type, so that one wrong field spoils one object.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::{MessageFormatter as _, Spanned, UserMessageFormatter};

use super::split::Chunk;
use super::{Located, Parsed, Place, Problem, ProblemKind, read};

/// A Kubernetes object; `I` is the type of a list's items.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", bound = "I: Deserialize<'de>", expecting = "a Kubernetes object")]
pub(super) struct Object<I> {
    #[serde(default)]
    pub(super) api_version: Value,
    #[serde(default)]
    pub(super) kind: Value,
    #[serde(default)]
    pub(super) metadata: Section<Metadata>,
    #[serde(default)]
    pub(super) spec: Section<Spec>,
    #[serde(default)]
    pub(super) status: Section<Status>,
    #[serde(default = "none")]
    pub(super) items: Option<Vec<I>>,
}

fn none<T>() -> Option<T> {
    None
}

/// The members of a section that are kept.
pub(super) trait Members {
    const WANTED: &'static [&'static str];
}

pub(super) enum Metadata {}
pub(super) enum Spec {}
pub(super) enum Status {}

impl Members for Metadata {
    const WANTED: &'static [&'static str] = &[
        "name",
        "namespace",
        "labels",
        "annotations",
        "deletionTimestamp",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
    ];
}

impl Members for Spec {
    const WANTED: &'static [&'static str] =
        &["selector", "nodeName", "hostNetwork", "serviceAccountName", "serviceAccount"];
}

impl Members for Status {
    const WANTED: &'static [&'static str] = &["phase", "podIP", "podIPs", "nodes"];
}

/// How many names of unknown members are remembered.
const UNKNOWN: usize = 8;

/// `metadata`, `spec` or `status`: a map, of which the wanted members are kept; or something
/// that is no map.
pub(super) struct Section<M> {
    pub(super) members: BTreeMap<&'static str, Value>,
    /// Names of the other members, the first few.
    pub(super) unknown: Vec<String>,
    /// What stands here instead of a map.
    pub(super) wrong: Option<&'static str>,
    marker: PhantomData<M>,
}

impl<M> Default for Section<M> {
    fn default() -> Self {
        Section { members: BTreeMap::new(), unknown: Vec::new(), wrong: None, marker: PhantomData }
    }
}

impl<M> Section<M> {
    fn wrong(what: &'static str) -> Section<M> {
        Section { wrong: Some(what), ..Section::default() }
    }
}

impl<'de, M: Members> Deserialize<'de> for Section<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SectionVisitor(PhantomData))
    }
}

struct SectionVisitor<M>(PhantomData<M>);

impl<'de, M: Members> Visitor<'de> for SectionVisitor<M> {
    type Value = Section<M>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Section<M>, A::Error> {
        let mut section = Section::default();
        while let Some(name) = map.next_key::<String>()? {
            match M::WANTED.iter().find(|wanted| **wanted == name) {
                Some(wanted) => {
                    if section.members.insert(wanted, map.next_value()?).is_some() {
                        return Err(A::Error::duplicate_field(wanted));
                    }
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                    if section.unknown.len() < UNKNOWN {
                        section.unknown.push(name);
                    }
                }
            }
        }
        Ok(section)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Section<M>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Section::wrong("a list"))
    }

    fn visit_unit<E>(self) -> Result<Section<M>, E> {
        Ok(Section::default())
    }

    fn visit_none<E>(self) -> Result<Section<M>, E> {
        Ok(Section::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Section<M>, E> {
        Ok(Section::wrong("a boolean"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Section<M>, E> {
        Ok(Section::wrong("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Section<M>, E> {
        Ok(Section::wrong("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Section<M>, E> {
        Ok(Section::wrong("a number"))
    }

    fn visit_str<E>(self, _: &str) -> Result<Section<M>, E> {
        Ok(Section::wrong("a string"))
    }
}

/// The limits of one document of `length` bytes. Whatever needs no alias fits; what aliases add
/// is bounded by a constant, so memory stays proportional to the text.
fn options(length: usize) -> serde_saphyr::Options {
    const SPARE: usize = 1 << 16;
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 64,
            flow_nesting_limit: 64,
            max_nodes: length.saturating_mul(2).saturating_add(SPARE),
            max_events: length.saturating_mul(4).saturating_add(SPARE),
            max_total_scalar_bytes: length.saturating_add(SPARE),
            max_aliases: 1024,
            max_anchors: 1024,
            max_recorded_anchor_events: SPARE,
            max_recorded_anchor_bytes: length.saturating_add(SPARE),
            max_total_comment_bytes: length,
            max_buffered_comment_events: length,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: SPARE,
            max_replay_stack_depth: 16,
        },
        // `selector: !has(x)` is a tag on nothing: taken for an empty selector, it would select
        // every endpoint.
        reject_unsupported_tags: true,
        // A node may be called `n`, a label's value may be `on`.
        strict_booleans: true,
        emit_comments: false,
        with_snippet: false,
    }
}

/// Reads one YAML document.
pub(super) fn yaml(source: &Arc<str>, chunk: &Chunk<'_>, parsed: &mut Parsed) {
    let mut place = Place {
        source: source.clone(),
        document: chunk.number,
        item: None,
        line: chunk.first_line,
        column: None,
    };
    type Item = Spanned<Object<IgnoredAny>>;
    let options = options(chunk.text.len());
    match serde_saphyr::from_str_with_options::<Object<Item>>(chunk.text, options) {
        Ok(object) => read::document(object, &place, parsed, |item, place| {
            let line = usize::try_from(item.referenced.line()).unwrap_or(0);
            if line > 0 {
                place.line = chunk.lines_before + line;
            }
            item.value
        }),
        Err(error) => {
            if let Some(location) = error.location() {
                place.line = chunk.lines_before + usize::try_from(location.line()).unwrap_or(0);
                place.column = usize::try_from(location.column()).ok();
            }
            let error = error.without_snippet();
            let mut reason = match error {
                serde_saphyr::Error::Unexpected { expected: "mapping start", .. } => {
                    "expected a Kubernetes object, which is a map".to_owned()
                }
                other => UserMessageFormatter.format_message(other).escape_debug().to_string(),
            };
            if chunk.text.contains("selector: !") && reason.contains("tag") {
                reason.push_str(" (a selector that begins with ! must stand in quotes)");
            }
            let problem = Problem::new(ProblemKind::Syntax, reason);
            parsed.problems.push(problem.at(&place));
        }
    }
}

/// Reads JSON documents, one after the other. False where the text is not JSON from its first
/// document on, so that it may still be YAML in flow style.
pub(super) fn json(source: &Arc<str>, text: &str, parsed: &mut Parsed) -> bool {
    let mut place =
        Place { source: source.clone(), document: 0, item: None, line: 1, column: None };
    let mut stream =
        serde_json::Deserializer::from_str(text).into_iter::<Object<Object<IgnoredAny>>>();
    let mut counted = 0;
    loop {
        let start = stream.byte_offset();
        let Some(next) = stream.next() else { return true };
        let before = text.get(counted..start).unwrap_or_default();
        let rest = text.get(start..).unwrap_or_default();
        let blank = rest.len() - rest.trim_start().len();
        let blank = rest.get(..blank).unwrap_or_default();
        place.line += before.matches('\n').count() + blank.matches('\n').count();
        counted = start + blank.len();
        place.document += 1;
        match next {
            Ok(object) => read::document(object, &place, parsed, |item, _| item),
            Err(error) => {
                if place.document == 1 && !source.ends_with(".json") && error.is_syntax() {
                    return false;
                }
                let mut reason = error.to_string();
                if let Some(at) = reason.rfind(" at line ") {
                    reason.truncate(at);
                }
                place.line = error.line();
                place.column = Some(error.column());
                parsed.problems.push(Problem::new(ProblemKind::Syntax, reason).at(&place));
                return true;
            }
        }
    }
}

/// Adds a document that loaded.
pub(super) fn add(
    result: Result<(super::Document, Vec<Problem>), Problem>,
    place: &Place,
    parsed: &mut Parsed,
) {
    match result {
        Ok((value, problems)) => {
            parsed.problems.extend(problems.into_iter().map(|problem| problem.at(place)));
            parsed.documents.push(Located { value, place: place.clone() });
        }
        Err(problem) => parsed.problems.push(problem.at(place)),
    }
}
