//! What rules remember of a flow, as EVE tells it: `metadata` with `flowbits` and `flowints`, and flowbits
//! named `traffic/id/…` and `traffic/label/…` as `traffic`.

use std::collections::BTreeMap;

use engine::alert::Alert;
use serde::Serialize;

/// Flowbits that name what kind of traffic a flow is.
const ID: &str = "traffic/id/";
/// Flowbits that label a flow.
const LABEL: &str = "traffic/label/";

/// `traffic`
#[derive(Debug, Default, Serialize)]
pub(crate) struct Traffic<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    id: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    label: Vec<&'a str>,
}

/// `metadata`
#[derive(Debug, Default, Serialize)]
pub(crate) struct Metadata<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flowbits: Vec<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    flowints: BTreeMap<&'a str, u32>,
}

/// Both, of an alert's flow, where there is anything to tell.
pub(crate) fn of(alert: &Alert) -> (Option<Traffic<'_>>, Option<Metadata<'_>>) {
    let Some(vars) = alert.vars.as_deref() else { return (None, None) };
    let names = &alert.snapshot.rules.names;
    let (mut traffic, mut metadata) = (Traffic::default(), Metadata::default());
    for name in vars.bits().filter_map(|bit| names.bit(bit)) {
        if let Some(id) = name.strip_prefix(ID) {
            traffic.id.push(id);
        } else if let Some(label) = name.strip_prefix(LABEL) {
            traffic.label.push(label);
        } else {
            metadata.flowbits.push(name);
        }
    }
    let ints = vars.ints().filter_map(|(int, value)| Some((names.int(int)?, value)));
    metadata.flowints.extend(ints);
    let is_labelled = !traffic.id.is_empty() || !traffic.label.is_empty();
    let is_known = !metadata.flowbits.is_empty() || !metadata.flowints.is_empty();
    (is_labelled.then_some(traffic), is_known.then_some(metadata))
}
