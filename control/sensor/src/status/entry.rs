//! One node's entry within a resource's status as the server has it: read and replaced without
//! touching what others wrote, whatever that is.

use api::dpi::NodeStatus;
use serde_json::{Map, Value};

/// The entry of a node, if there is one that can be read.
pub(crate) fn read(object: &Value, node: &str) -> Option<NodeStatus> {
    let nodes = object.get("status")?.get("nodes")?.as_array()?;
    let entry = nodes.iter().find(|entry| is_of(entry, node))?;
    serde_json::from_value(entry.clone()).ok()
}

/// Puts an entry in place of the node's, at the end if there was none. Of several of the same node
/// one stays. A status that is no status is replaced.
pub(crate) fn write(object: &mut Value, entry: &NodeStatus) -> serde_json::Result<()> {
    let entry_value = serde_json::to_value(entry)?;
    let Value::Object(object) = object else { return Ok(()) };
    let status = object.entry("status").or_insert_with(|| Value::Object(Map::new()));
    if !status.is_object() {
        *status = Value::Object(Map::new());
    }
    let Some(status) = status.as_object_mut() else { return Ok(()) };
    let nodes = status.entry("nodes").or_insert_with(|| Value::Array(Vec::new()));
    if !nodes.is_array() {
        *nodes = Value::Array(Vec::new());
    }
    let Some(nodes) = nodes.as_array_mut() else { return Ok(()) };
    match nodes.iter().position(|held| is_of(held, &entry.node)) {
        Some(at) => {
            nodes[at] = entry_value;
            let mut index = 0;
            nodes.retain(|held| {
                index += 1;
                index - 1 <= at || !is_of(held, &entry.node)
            });
        }
        None => nodes.push(entry_value),
    }
    Ok(())
}

/// Takes the entries out of the nodes that `gone` names; true if there were any.
pub(crate) fn prune(object: &mut Value, gone: impl Fn(&str) -> bool) -> bool {
    let nodes = object.get_mut("status").and_then(|status| status.get_mut("nodes"));
    let Some(nodes) = nodes.and_then(Value::as_array_mut) else { return false };
    let before = nodes.len();
    nodes.retain(|entry| !entry.get("node").and_then(Value::as_str).is_some_and(&gone));
    nodes.len() != before
}

fn is_of(entry: &Value, node: &str) -> bool {
    entry.get("node").and_then(Value::as_str) == Some(node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::dpi::Time;
    use serde_json::json;

    fn entry(node: &str) -> NodeStatus {
        let mut entry = NodeStatus::new(node);
        entry.set_active(true, Time::from_second(0));
        entry
    }

    #[test]
    fn only_the_own_entry_changes() {
        let mut object = json!({"spec": {"x": 1}, "status": {"nodes": [
            {"node": "a", "odd": [1]}, {"node": "b"}, "scribble", {"node": "b", "active": {}},
        ], "more": true}});
        write(&mut object, &entry("b")).expect("written");
        let active = json!({"success": true, "lastUpdated": "1970-01-01T00:00:00Z"});
        assert_eq!(
            object,
            json!({"spec": {"x": 1}, "status": {"nodes": [
                {"node": "a", "odd": [1]}, {"node": "b", "active": active}, "scribble",
            ], "more": true}})
        );
        write(&mut object, &entry("c")).expect("written");
        assert_eq!(object["status"]["nodes"][3]["node"], "c");
        assert_eq!(read(&object, "c"), Some(entry("c")));
        assert_eq!(read(&object, "z"), None);
        assert!(prune(&mut object, |node| node == "a"));
        assert!(!prune(&mut object, |node| node == "a"));
    }

    #[test]
    fn a_status_that_is_none_is_replaced() {
        for status in [json!("scribble"), json!({"nodes": {"a": 1}}), json!(null), json!([])] {
            let mut object = json!({"status": status});
            write(&mut object, &entry("a")).expect("written");
            assert_eq!(read(&object, "a"), Some(entry("a")));
        }
        let mut object = json!({});
        write(&mut object, &entry("a")).expect("written");
        assert_eq!(read(&object, "a"), Some(entry("a")));
    }
}
