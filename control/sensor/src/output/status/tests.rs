use api::dpi::{ActiveStatus, MAX_ERROR_CONDITIONS};

use super::*;

fn at(second: i64) -> Time {
    Time::from_second(second)
}

fn file() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("status.yaml");
    (dir, path)
}

fn read(path: &Path) -> Vec<DeepPacketInspection> {
    let text = std::fs::read_to_string(path).expect("read");
    let parsed = Documents::parse("status.yaml", &text);
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    let resource = |document| match document {
        Document::DeepPacketInspection(resource) => *resource,
        other => panic!("{other:?}"),
    };
    parsed.documents.into_iter().map(|it| resource(it.value)).collect()
}

fn nodes(resource: &DeepPacketInspection) -> &[NodeStatus] {
    resource.status.as_ref().map_or(&[], |status| &status.nodes)
}

#[test]
fn a_resource_is_active_when_every_core_has_it_unless_its_selector_is_invalid() {
    let (_dir, path) = file();
    let good = DeepPacketInspection::new("shop", "web", "app == 'web'");
    let bad = DeepPacketInspection::new("shop", "bad", "app ==");
    let error = "invalid selector at column 7: expected a string; the selector is: app ==";
    let inputs = [
        ResourceInput { resource: &good, error: None },
        ResourceInput { resource: &bad, error: Some(error) },
    ];
    let mut status = StatusFile::new(&path, "node-1");
    assert!(status.update(&inputs, false, &[], at(100)).expect("written"));
    assert!(status.update(&inputs, true, &[], at(200)).expect("written"));
    let written = read(&path);
    let names: Vec<_> = written.iter().map(DeepPacketInspection::name).collect();
    assert_eq!(names, ["bad", "web"]);
    let [bad, good] = [&nodes(&written[0])[0], &nodes(&written[1])[0]];
    assert_eq!(good.node, "node-1");
    assert_eq!(good.active, ActiveStatus { success: true, last_updated: Some(at(200)) });
    assert!(good.error_conditions.is_empty());
    // It was not active before either: the time stays.
    assert_eq!(bad.active, ActiveStatus { success: false, last_updated: Some(at(100)) });
    assert_eq!(bad.error_conditions[0].message, error);
    assert_eq!(written[1].spec.selector, "app == 'web'");
}

#[test]
fn saying_the_same_again_writes_nothing() {
    let (_dir, path) = file();
    let resource = DeepPacketInspection::new("shop", "web", "");
    let inputs = [ResourceInput { resource: &resource, error: None }];
    let mut status = StatusFile::new(&path, "node-1");
    let conditions = [Condition::new("one")];
    assert!(status.update(&inputs, true, &conditions, at(1)).expect("written"));
    assert!(!status.update(&inputs, true, &conditions, at(2)).expect("unchanged"));
    assert!(status.update(&inputs, true, &[], at(3)).expect("written"));
    let resumed = StatusFile::resume(&path, "node-1").update(&inputs, true, &[], at(4));
    assert!(!resumed.expect("unchanged"));
    let anew = StatusFile::new(&path, "node-1").update(&inputs, true, &[], at(5));
    assert!(anew.expect("written"));
}

#[test]
fn of_more_than_ten_errors_the_resources_own_stays() {
    let (_dir, path) = file();
    let resource = DeepPacketInspection::new("shop", "bad", "((");
    let inputs = [ResourceInput { resource: &resource, error: Some("its own") }];
    let conditions: Vec<_> = (0..30).map(|n| Condition::new(format!("condition {n}"))).collect();
    let mut status = StatusFile::new(&path, "node-1");
    status.update(&inputs, true, &conditions, at(1)).expect("written");
    let written = read(&path);
    let errors: Vec<_> =
        nodes(&written[0])[0].error_conditions.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(errors.len(), MAX_ERROR_CONDITIONS);
    assert_eq!((errors[0], errors[1], errors[9]), ("its own", "condition 21", "condition 29"));
    assert!(!status.update(&inputs, true, &conditions, at(2)).expect("unchanged"));
}

#[test]
fn what_other_nodes_say_stays_and_a_resource_that_went_is_gone() {
    let (_dir, path) = file();
    let mut resource = DeepPacketInspection::new("shop", "web", "");
    let mut other = NodeStatus::new("node-2");
    other.set_active(true, at(5));
    resource.status = Some(DeepPacketInspectionStatus { nodes: vec![other.clone()] });
    let gone = DeepPacketInspection::new("shop", "gone", "");
    let inputs = [&resource, &gone].map(|resource| ResourceInput { resource, error: None });
    let mut status = StatusFile::new(&path, "node-1");
    status.update(&inputs, true, &[], at(9)).expect("written");
    assert_eq!(read(&path).len(), 2);
    assert!(status.update(&inputs[..1], true, &[], at(10)).expect("written"));
    let written = read(&path);
    assert_eq!(written.len(), 1);
    assert_eq!(nodes(&written[0])[0], other);
    assert_eq!(nodes(&written[0])[1].node, "node-1");
    assert_eq!(status.entries().count(), 1);
}
