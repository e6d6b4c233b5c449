//! The commands beside `run` and `replay`, as a script uses them.

mod common;

use std::fs;

use common::{pollux, pollux_with_input, repository, shared, yaml};
use serde_json::{Value, json};

#[test]
fn a_check_of_rules_answers_in_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join("mixed.rules");
    let text = [
        r#"alert tcp any any -> any any (msg:"a"; content:"GET"; sid:1; rev:1;)"#,
        r#"# alert tcp any any -> any any (msg:"b"; content:"GET"; sid:2; rev:1;)"#,
        r#"alert tcp any any -> any any (msg:"c"; conten:"GET"; sid:3; rev:1;)"#,
        "# a remark",
        r#"alert http any any -> any any (msg:"d"; http.uri; content:"/x"; sid:4; rev:1;)"#,
    ];
    fs::write(&rules, text.join("\n")).expect("written");
    let check = words!["rules", "check", "--json", "--cache", "off", rules.clone()];
    let run = pollux(check).expect(0);
    assert_eq!(run.stdout.lines().count(), 1);
    let answer = run.json();
    let counts = ["loaded", "rejected", "ignored"].map(|name| answer[name].as_u64());
    assert_eq!(counts, [Some(2), Some(1), Some(1)], "{answer}");
    let rejections = answer["rejections"].as_array().expect("rejections");
    assert_eq!(rejections.len(), 1);
    assert_eq!(rejections[0]["file"], rules.display().to_string());
    assert_eq!((&rejections[0]["line"], &rejections[0]["sid"]), (&json!(3), &json!(3)));
    let reason = rejections[0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("conten"), "{reason}");
    let build = &answer["build"];
    assert!(build["seconds"].as_f64() > Some(0.0), "{build}");
    assert!(build["database_bytes"].as_u64() > Some(0), "{build}");
    assert!(build["peak_rss_bytes"].as_u64() > Some(1 << 20), "{build}");

    let run = pollux(words!["rules", "check", "--cache", "off", rules]).expect(0);
    assert!(run.stdout.contains("mixed.rules:3:40"), "{run}");
}

#[test]
fn a_check_of_rules_tells_by_its_status_whether_any_loads() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join("none.rules");
    fs::write(&rules, "alert tcp any any -> any any (msg:\"x\"; conten:\"y\"; sid:1;)\n")
        .expect("written");
    let run = pollux(words!["rules", "check", "--json", "--cache", "off", rules]).expect(1);
    assert_eq!(run.json()["loaded"], 0);
    let missing = folder.path().join("missing.rules");
    pollux(words!["rules", "check", missing]).expect(2).says(&["missing.rules"]);
}

#[test]
fn the_example_rules_all_load() {
    let rules = repository("deploy/examples/rules");
    let answer = pollux(words!["rules", "check", "--json", "--cache", "off", rules]).expect(0);
    let answer = answer.json();
    assert_eq!((&answer["rejected"], &answer["ignored"]), (&json!(0), &json!(0)));
    assert_eq!(answer["loaded"], 22);
    assert_eq!(answer["warnings"], json!([]));
}

#[test]
fn a_selector_is_explained() {
    let run = pollux(["selector", "app=='web'&&!has(canary)", "--labels", "app=web,x=y"]).expect(0);
    assert!(run.stdout.contains("(app == \"web\" && !has(canary))"), "{run}");
    assert!(
        run.stdout.lines().any(|it| it.starts_with("matches:") && it.ends_with("yes")),
        "{run}"
    );
    let run = pollux(["selector", "app == 'web'", "--labels", "app=db"]).expect(0);
    assert!(run.stdout.lines().any(|it| it.starts_with("matches:") && it.ends_with("no")), "{run}");
    pollux(["selector", "app = 'web'"]).expect(2).says(&["column 5"]);
    pollux(["selector", "all()", "--labels", "novalue"]).expect(2).says(&["novalue"]);
}

#[test]
fn the_selector_filter_answers_every_line() {
    let lines = [
        r#"{"selector":"app == 'web'","labels":[{"app":"web"},{"app":"db"},{}]}"#,
        r#"{"selector":"","labels":[{}]}"#,
        r#"{"selector":"app ==","labels":[]}"#,
        r#"{"selector":"has(a)"}"#,
        r#"{"selector":7}"#,
        "no json",
    ];
    let run = pollux_with_input(&["selector", "--jsonl"], lines.join("\n").as_bytes()).expect(0);
    let answers: Vec<Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(answers.len(), lines.len(), "{run}");
    assert_eq!(answers[0]["valid"], true);
    assert_eq!(answers[0]["canonical"], "app == \"web\"");
    assert_eq!(answers[0]["matches"], json!([true, false, false]));
    assert!(answers[0]["uid"].as_str().is_some_and(|uid| uid.starts_with("s:")));
    assert_eq!(answers[1]["canonical"], "all()");
    assert_eq!(answers[1]["matches"], json!([true]));
    assert_eq!((&answers[2]["valid"], &answers[2]["column"]), (&json!(false), &json!(7)));
    assert!(answers[2]["error"].is_string());
    assert_eq!(answers[3]["valid"], true);
    assert_eq!((&answers[4]["valid"], &answers[5]["valid"]), (&json!(false), &json!(false)));
}

#[test]
fn selectors_mean_what_calico_says_they_mean() {
    let Some(shared) = shared() else { return };
    let text = fs::read_to_string(shared.join("corpus/selector_cases.json")).expect("read");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    assert!(cases.len() >= 500);
    let list = |case: &Value, name: &str| case[name].as_array().cloned().unwrap_or_default();
    let mut input = Vec::new();
    for case in &cases {
        let labels = [list(case, "matches"), list(case, "nonmatches")].concat();
        let request = json!({"selector": case["selector"], "labels": labels});
        serde_json::to_writer(&mut input, &request).expect("written");
        input.push(b'\n');
    }
    let run = pollux_with_input(&["selector", "--jsonl"], &input).expect(0);
    let answers: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(answers.len(), cases.len());
    let mut wrong = Vec::new();
    for (case, answer) in cases.iter().zip(answers) {
        let answer: Value = serde_json::from_str(answer).expect("JSON");
        let yes = list(case, "matches").into_iter().map(|_| true);
        let no = list(case, "nonmatches").into_iter().map(|_| false);
        let right = if case["valid"] == true {
            answer["valid"] == true
                && answer["canonical"] == case["canonical"]
                && answer["uid"] == case["uid"]
                && answer["matches"] == json!(yes.chain(no).collect::<Vec<_>>())
        } else {
            answer["valid"] == false
                && answer["error"].is_string()
                && answer["column"].as_u64() > Some(0)
        };
        if !right {
            wrong.push(format!("{case}\n  {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn the_crd_is_yaml_of_the_right_name() {
    let run = pollux(["crd"]).expect(0);
    let documents = yaml(&run.stdout);
    assert_eq!(documents.len(), 1);
    let crd = &documents[0];
    assert_eq!(crd["apiVersion"], "apiextensions.k8s.io/v1");
    assert_eq!(crd["kind"], "CustomResourceDefinition");
    let (plural, group) = (&crd["spec"]["names"]["plural"], &crd["spec"]["group"]);
    let name = format!("{}.{}", plural.as_str().expect("one"), group.as_str().expect("one"));
    assert_eq!(crd["metadata"]["name"], name);
    assert!(name.starts_with("deeppacketinspections."), "{name}");
    assert_eq!(crd["spec"]["names"]["kind"], "DeepPacketInspection");
    assert_eq!(crd["spec"]["scope"], "Namespaced");
    let versions = crd["spec"]["versions"].as_array().expect("versions");
    let stored = versions.iter().filter(|version| version["storage"] == true);
    assert_eq!(stored.count(), 1);
    let schema = &versions[0]["schema"]["openAPIV3Schema"]["properties"];
    assert!(schema["spec"]["properties"]["selector"].is_object(), "{schema}");
    assert!(schema["status"]["properties"]["nodes"].is_object(), "{schema}");
}

#[test]
fn the_printed_configuration_is_one_that_loads() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pollux.toml");
    let run = pollux(["config"]).expect(0);
    fs::write(&file, &run.stdout).expect("written");
    let rules = repository("deploy/examples/rules");
    pollux(words!["rules", "check", "-c", file, "--cache", "off", rules.clone()]).expect(0);
    let example = repository("deploy/examples/pollux.toml");
    pollux(words!["rules", "check", "-c", example, "--cache", "off", rules]).expect(0);
}

#[test]
fn every_command_helps_with_an_example() {
    for command in
        [&["run"][..], &["replay"], &["rules", "check"], &["selector"], &["crd"], &["config"]]
    {
        let words = [command, &["--help"]].concat();
        let run = pollux(&words).expect(0);
        let example = format!("pollux {}", command.join(" "));
        let after = run.stdout.split_once("Example").map_or("", |(_, after)| after);
        assert!(after.contains(&example), "{run}");
    }
    let run = pollux(["--help"]).expect(0);
    assert!(run.stdout.contains("replay"), "{run}");
    pollux(["nonsense"]).expect(2).says(&["nonsense"]);
    assert_eq!(pollux(Vec::<&str>::new()).code, Some(2));
}

#[test]
fn whoever_stops_reading_is_no_failure() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(common::binary())
        .arg("config")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
