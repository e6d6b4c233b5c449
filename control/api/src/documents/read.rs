//! From an object as it stands in the text to a resource: kind, group, names and field types.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::names::{is_label, is_subdomain};
use super::raw::{self, Members, Metadata, Object, Section, Status};
use super::{Document, Parsed, Place, Problem, ProblemKind};
use crate::dpi::{
    self, DeepPacketInspection, DeepPacketInspectionSpec, DeepPacketInspectionStatus, ObjectMeta,
};
use crate::resources::{Namespace, POD_ANNOTATIONS, Pod, ServiceAccount};

/// How much of the text a message quotes, in characters.
const QUOTED: usize = 64;

/// Kind and API version that the items of a typed list have without saying so.
type Implied<'a> = Option<(&'a str, &'a str)>;

/// Reads a document of a text: an object, or a list of them. `open` takes an item out of its
/// wrapping and may correct its place.
pub(super) fn document<I>(
    mut object: Object<I>,
    place: &Place,
    parsed: &mut Parsed,
    open: impl Fn(I, &mut Place) -> Object<IgnoredAny>,
) {
    let list = object.kind.as_str().and_then(|kind| kind.strip_suffix("List")).map(str::to_owned);
    let (Some(element), Some(items)) = (list, object.items.take()) else {
        return raw::add(self::object(object, None), place, parsed);
    };
    let version = object.api_version.as_str().unwrap_or_default();
    // A plain `List` holds complete objects.
    let implied = (!element.is_empty()).then_some((element.as_str(), version));
    for (index, item) in items.into_iter().enumerate() {
        let mut place = Place { item: Some(index + 1), ..place.clone() };
        let item = open(item, &mut place);
        raw::add(self::object(item, implied), &place, parsed);
    }
}

/// Reads one object.
pub(super) fn object<I>(
    object: Object<I>,
    implied: Implied<'_>,
) -> Result<(Document, Vec<Problem>), Problem> {
    let field = |message| Problem::new(ProblemKind::Field, message);
    let (implied_kind, implied_version) = implied.unwrap_or(("", ""));
    let kind = text(&object.kind, "kind").map_err(field)?.unwrap_or(implied_kind);
    let version =
        text(&object.api_version, "apiVersion").map_err(field)?.unwrap_or(implied_version);
    let expected: &[&str] = match kind {
        dpi::KIND => &[dpi::API_VERSION, dpi::STORED_API_VERSION],
        "Pod" | "Namespace" | "ServiceAccount" => &["v1"],
        "" => return Err(Problem::new(ProblemKind::Kind, "kind is missing")),
        other => {
            let message = format!(
                "kind {} is none that is read here; these are: DeepPacketInspection, Pod, \
                 Namespace, ServiceAccount and lists of them",
                quote(other)
            );
            return Err(Problem::new(ProblemKind::Kind, message));
        }
    };
    if !expected.contains(&version) {
        let found = if version.is_empty() { "missing".to_owned() } else { quote(version) };
        let message =
            format!("apiVersion of a {kind} must be {}, is {found}", expected.join(" or "));
        return Err(Problem::new(ProblemKind::ApiVersion, message));
    }
    let name = name(&object.metadata, kind)?;
    let namespace = match kind {
        "Namespace" => String::new(),
        _ => namespace(&object.metadata).map_err(|problem| problem.of(format!("{kind} {name}")))?,
    };
    let resource = match kind {
        "Namespace" => format!("{kind} {name}"),
        _ => format!("{kind} {namespace}/{name}"),
    };
    let mut problems = Vec::new();
    let document = match kind {
        dpi::KIND => inspection(&object, name, namespace, version, &mut problems),
        "Pod" => pod(&object, name, namespace),
        "Namespace" => {
            labels(&object.metadata).map(|labels| Document::Namespace(Namespace { name, labels }))
        }
        _ => labels(&object.metadata)
            .map(|labels| Document::ServiceAccount(ServiceAccount { namespace, name, labels })),
    };
    match document {
        Ok(document) => {
            Ok((document, problems.into_iter().map(|p| p.of(resource.as_str())).collect()))
        }
        Err(message) => Err(Problem::new(ProblemKind::Field, message).of(resource)),
    }
}

fn name(metadata: &Section<Metadata>, kind: &str) -> Result<String, Problem> {
    let fault = |message: String| Problem::new(ProblemKind::Name, message).of(kind);
    let name = get(metadata, "metadata", "name").map_err(fault)?.unwrap_or_default();
    let (valid, rule) = match kind {
        "Namespace" => (is_label(name), "at most 63 of a-z, 0-9 and -"),
        _ => (is_subdomain(name), "at most 253 of a-z, 0-9, - and ."),
    };
    if name.is_empty() {
        Err(fault("metadata.name is missing".to_owned()))
    } else if valid {
        Ok(name.to_owned())
    } else {
        Err(fault(format!(
            "metadata.name {} is not allowed: {rule}, beginning and ending with a letter or digit",
            quote(name)
        )))
    }
}

fn namespace(metadata: &Section<Metadata>) -> Result<String, Problem> {
    let fault = |message: String| Problem::new(ProblemKind::Name, message);
    match get(metadata, "metadata", "namespace").map_err(fault)? {
        None | Some("") => Ok("default".to_owned()),
        Some(name) if is_label(name) => Ok(name.to_owned()),
        Some(name) => Err(fault(format!(
            "metadata.namespace {} is not allowed: at most 63 of a-z, 0-9 and -, beginning and \
             ending with a letter or digit",
            quote(name)
        ))),
    }
}

fn labels(metadata: &Section<Metadata>) -> Result<BTreeMap<String, String>, String> {
    strings(metadata, "labels", |_| true)
}

fn inspection<I>(
    object: &Object<I>,
    name: String,
    namespace: String,
    version: &str,
    problems: &mut Vec<Problem>,
) -> Result<Document, String> {
    let metadata = &object.metadata;
    let owned = |member| -> Result<Option<String>, String> {
        Ok(get(metadata, "metadata", member)?.map(str::to_owned))
    };
    let metadata = ObjectMeta {
        name,
        namespace: Some(namespace),
        uid: owned("uid")?,
        resource_version: owned("resourceVersion")?,
        generation: metadata.members.get("generation").and_then(Value::as_i64),
        creation_timestamp: owned("creationTimestamp")?,
        labels: labels(metadata)?,
        annotations: strings(metadata, "annotations", |_| true)?,
    };
    let selector = get(&object.spec, "spec", "selector")?.unwrap_or_default().to_owned();
    // A misspelt `selector` would select every endpoint; at least say so.
    for unknown in &object.spec.unknown {
        let message = format!("spec.{} is unknown and ignored; spec has: selector", quote(unknown));
        problems.push(Problem::new(ProblemKind::UnknownField, message));
    }
    let status = status(&object.status).unwrap_or_else(|message| {
        let message = format!("the status is ignored: {message}");
        problems.push(Problem::new(ProblemKind::Field, message));
        None
    });
    Ok(Document::DeepPacketInspection(Box::new(DeepPacketInspection {
        api_version: version.to_owned(),
        kind: dpi::KIND.to_owned(),
        metadata,
        spec: DeepPacketInspectionSpec { selector },
        status,
    })))
}

fn status(section: &Section<Status>) -> Result<Option<DeepPacketInspectionStatus>, String> {
    if let Some(wrong) = section.wrong {
        return Err(format!("status must be a map, is {wrong}"));
    }
    let Some(nodes) = section.members.get("nodes") else { return Ok(None) };
    let value = serde_json::json!({ "nodes": nodes });
    serde_json::from_value(value).map(Some).map_err(|error| format!("status.nodes: {error}"))
}

fn pod<I>(object: &Object<I>, name: String, namespace: String) -> Result<Document, String> {
    let spec = |member| get(&object.spec, "spec", member);
    let status = |member| get(&object.status, "status", member);
    let account = match spec("serviceAccountName")? {
        Some(name) if !name.is_empty() => Some(name),
        _ => spec("serviceAccount")?,
    };
    let host_network = match section(&object.spec, "spec")?.get("hostNetwork") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(value)) => *value,
        Some(other) => {
            return Err(format!("spec.hostNetwork must be true or false, is {}", describe(other)));
        }
    };
    Ok(Document::Pod(Box::new(Pod {
        name,
        namespace,
        labels: labels(&object.metadata)?,
        annotations: strings(&object.metadata, "annotations", |name| {
            POD_ANNOTATIONS.contains(&name)
        })?,
        terminating: object
            .metadata
            .members
            .get("deletionTimestamp")
            .is_some_and(|time| !time.is_null() && time.as_str() != Some("")),
        node: spec("nodeName")?.unwrap_or_default().to_owned(),
        host_network,
        service_account: account.unwrap_or_default().to_owned(),
        phase: status("phase")?.unwrap_or_default().to_owned(),
        pod_ips: pod_ips(&object.status)?,
        pod_ip: status("podIP")?.unwrap_or_default().to_owned(),
    })))
}

fn pod_ips(status: &Section<Status>) -> Result<Vec<String>, String> {
    let entries = match section(status, "status")?.get("podIPs") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(entries)) => entries,
        Some(other) => return Err(format!("status.podIPs must be a list, is {}", describe(other))),
    };
    let ip = |entry: &Value| match entry.get("ip") {
        Some(Value::String(ip)) => Ok(ip.clone()),
        _ => Err("status.podIPs must be a list of maps with a string ip".to_owned()),
    };
    entries.iter().map(ip).collect()
}

fn section<'a, M: Members>(
    section: &'a Section<M>,
    name: &str,
) -> Result<&'a BTreeMap<&'static str, Value>, String> {
    match section.wrong {
        Some(wrong) => Err(format!("{name} must be a map, is {wrong}")),
        None => Ok(&section.members),
    }
}

/// A string member; null is absent.
fn get<'a, M: Members>(
    section: &'a Section<M>,
    path: &str,
    member: &str,
) -> Result<Option<&'a str>, String> {
    match self::section(section, path)?.get(member) {
        None => Ok(None),
        Some(value) => text(value, &format!("{path}.{member}")),
    }
}

fn text<'a>(value: &'a Value, path: &str) -> Result<Option<&'a str>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        other => Err(format!("{path} must be a string, is {}", describe(other))),
    }
}

/// A map of strings, of which those that `keep` names.
fn strings(
    metadata: &Section<Metadata>,
    member: &str,
    keep: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, String>, String> {
    let map = match section(metadata, "metadata")?.get(member) {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(map)) => map,
        Some(other) => {
            return Err(format!("metadata.{member} must be a map, is {}", describe(other)));
        }
    };
    let mut strings = BTreeMap::new();
    for (name, value) in map.iter().filter(|(name, _)| keep(name)) {
        match value {
            Value::String(text) => strings.insert(name.clone(), text.clone()),
            // Written `name:` and nothing more.
            Value::Null => strings.insert(name.clone(), String::new()),
            other => {
                return Err(format!(
                    "metadata.{member}[{}] must be a string, is {}: put it in quotes",
                    quote(name),
                    describe(other)
                ));
            }
        };
    }
    Ok(strings)
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("the boolean {value}"),
        Value::Number(value) => format!("the number {value}"),
        Value::String(value) => quote(value),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}

/// Untrusted text in a message: shortened, and safe to print.
fn quote(text: &str) -> String {
    let shown: String = text.chars().take(QUOTED).collect();
    let dots = if shown.len() < text.len() { "…" } else { "" };
    format!("\"{}{dots}\"", shown.escape_debug())
}
