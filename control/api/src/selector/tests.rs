//! Unit and property tests of the selector language.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Labels, Selector, answer_line};

fn selector(text: &str) -> Selector {
    Selector::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn canonical(text: &str) -> String {
    selector(text).canonical()
}

/// Message, offset and column of the error.
fn error(text: &str) -> (String, usize, usize) {
    let error = Selector::parse(text).expect_err(text);
    (error.message, error.offset, error.column)
}

#[test]
fn blank_text_selects_everything() {
    for text in ["", " ", "\t \t"] {
        assert_eq!(canonical(text), "all()");
        assert!(selector(text).matches(&[]));
    }
}

#[test]
fn precedence_is_match_not_and_or() {
    assert_eq!(
        canonical("!a == 'b' && c=='d' || has(e)"),
        "((!a == \"b\" && c == \"d\") || has(e))"
    );
    assert_eq!(canonical("has(a)||has(b)&&has(c)"), "(has(a) || (has(b) && has(c)))");
    assert_eq!(canonical("(has(a)&&has(b))&&has(c)"), "((has(a) && has(b)) && has(c))");
    assert_eq!(canonical("((has(a)))"), "has(a)");
}

#[test]
fn runs_of_not_collapse_but_parentheses_keep_them_apart() {
    assert_eq!(canonical("! !! has(a)"), "!has(a)");
    assert_eq!(canonical("!!!!has(a)"), "has(a)");
    assert_eq!(canonical("!(!has(a))"), "!!has(a)");
}

#[test]
fn keywords_are_labels_where_a_label_is_wanted() {
    for text in
        ["in in {\"in\"}", "has == \"x\"", "contains contains \"contains\"", "not not in {}"]
    {
        assert_eq!(canonical(text), text);
    }
    assert!(selector("global == 'x'").matches(&[("global", "x")]));
}

#[test]
fn operators_may_be_written_together_or_apart() {
    assert_eq!(canonical("k startswith'a'"), "k starts with \"a\"");
    assert_eq!(canonical("k ends \t with 'a'"), "k ends with \"a\"");
    assert_eq!(canonical("k notin{'a'}"), "k not in {\"a\"}");
    assert_eq!(canonical("k not   in{'a',}"), "k not in {\"a\"}");
    assert_eq!(canonical("k in{\"x\"}"), "k in {\"x\"}");
}

#[test]
fn a_word_operator_must_end_at_a_word_boundary() {
    for text in
        ["k inf {'x'}", "k in_ {'x'}", "k ends withs 'x'", "k containsx 'x'", "k not in9 {}"]
    {
        let (message, offset, _) = error(text);
        assert!(message.contains("expected an operator"), "{message}");
        assert_eq!(offset, 2);
    }
}

#[test]
fn sets_are_sorted_and_without_repetitions() {
    assert_eq!(canonical("a in {'b', \"a\",'b', '10', '9'}"), "a in {\"10\", \"9\", \"a\", \"b\"}");
    assert_eq!(canonical("a in {'\"', \"'\"}"), "a in {'\"', \"'\"}");
    for text in ["a in {,}", "a in {,'x'}", "a in {'x',,}", "a in {'x' 'y'}", "a in {'x'"] {
        error(text);
    }
}

#[test]
fn a_missing_label_is_unequal_and_in_no_set() {
    let none: [(&str, &str); 0] = [];
    for text in
        ["k == ''", "k contains ''", "k starts with ''", "k ends with ''", "k in {''}", "has(k)"]
    {
        assert!(!selector(text).matches(&none), "{text}");
        assert!(selector(text).matches(&[("k", "")]), "{text}");
    }
    for text in ["k != ''", "k not in {''}"] {
        assert!(selector(text).matches(&none), "{text}");
        assert!(!selector(text).matches(&[("k", "")]), "{text}");
    }
    assert!(!selector("k in {}").matches(&[("k", "")]));
    assert!(selector("k not in {}").matches(&[("k", "")]));
}

#[test]
fn global_is_true_for_bare_labels_and_false_for_a_namespaced_endpoint() {
    let labels = [("a", "b")];
    for (text, bare, namespaced) in [
        ("global()", true, false),
        ("!global()", false, true),
        ("global() || has(a)", true, true),
        ("global() && has(a)", true, false),
    ] {
        assert_eq!(selector(text).matches(&labels), bare, "{text}");
        assert_eq!(selector(text).matches_namespaced(&labels), namespaced, "{text}");
    }
    assert_eq!(canonical("global( )"), "global()");
}

#[test]
fn errors_name_the_place_in_bytes_and_in_characters() {
    assert_eq!(error("a = 'x'"), ("expected ==, found a single =".to_owned(), 2, 3));
    assert_eq!(error("ä").1, 0);
    let (message, offset, column) = error("a == 'äöü' && && b");
    assert_eq!(message, "expected a label, has(…), all(), global(), ! or (, found `&&`");
    assert_eq!((offset, column), (17, 15));
    assert_eq!(error("(has(a) && (has(b)").0, "expected ) for the ( at column 12, found the end");
    assert_eq!(error("has(a))"), ("expected &&, || or the end, found `)`".to_owned(), 6, 7));
    assert_eq!(error("a == 'x"), ("unterminated string: no closing ' follows".to_owned(), 5, 6));
    assert!(error("all()\n").0.contains("line break"));
    assert!(error("has(a) &&\u{a0}has(b)").0.contains("no-break space"));
}

#[test]
fn only_space_and_tab_separate() {
    for text in ["all()\n", "\rall()", "has(a)\u{a0}", "a\n== 'x'", "k starts\nwith 'x'", "all(\n)"]
    {
        error(text);
    }
    assert!(Selector::parse("a == 'x\r\ny'").is_ok());
}

#[test]
fn a_space_before_the_parenthesis_makes_a_label() {
    for text in ["has (a)", "all ()", "global ()"] {
        assert!(error(text).0.contains("expected an operator"), "{text}");
    }
    assert_eq!(canonical("has( a\t)"), "has(a)");
}

#[test]
fn label_names_have_512_bytes_at_most() {
    let name = "a".repeat(512);
    assert!(selector(&format!("has({name})")).matches(&[(name.as_str(), "")]));
    assert!(error(&format!("has({name}a)")).0.contains("513 characters"));
    assert!(error(&format!("{name}a == 'x'")).0.contains("513 characters"));
    // The value has no limit.
    assert!(Selector::parse(&format!("a == '{}'", "x".repeat(100_000))).is_ok());
}

#[test]
fn messages_stay_short_whatever_the_text() {
    let long = "x".repeat(100_000);
    for text in
        [format!("a '{long}'"), format!("a == {long}"), format!("{} {long}", "b".repeat(512))]
    {
        let (message, _, _) = error(&text);
        assert!(message.len() < 300, "{}", message.len());
    }
}

#[test]
fn deep_nesting_costs_no_stack() {
    // A thread with the smallest usual stack; recursion would overflow it at once.
    let work = || {
        let depth = 500_000;
        let parentheses = format!("{}has(a){}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(canonical(&parentheses), "has(a)");

        let bangs = format!("{}has(a)", "!".repeat(1_000_001));
        assert_eq!(canonical(&bangs), "!has(a)");

        let nots = format!("{}has(a){}", "!(".repeat(depth + 1), ")".repeat(depth + 1));
        let deep = selector(&nots);
        assert!(deep.matches(&[]));
        assert!(!deep.matches(&[("a", "")]));
        assert_eq!(deep.canonical(), format!("{}has(a)", "!".repeat(depth + 1)));

        let lists = format!("{}has(a){}", "(has(b)||has(c)&&".repeat(depth), ")".repeat(depth));
        let deep = selector(&lists);
        assert!(deep.matches(&[("b", "")]));
        assert!(deep.matches(&[("c", ""), ("a", "")]));
        assert!(!deep.matches(&[("c", "")]));
        drop(selector(&deep.canonical()));

        error(&"(".repeat(1_000_000));
        error(&"!".repeat(1_000_000));
    };
    std::thread::Builder::new().stack_size(64 * 1024).spawn(work).unwrap().join().unwrap();
}

#[test]
fn a_million_operands_are_one_list() {
    let text = vec!["has(a)"; 1_000_000].join("&&");
    let wide = selector(&text);
    assert!(wide.matches(&[("a", "")]));
    assert!(!wide.matches(&[]));
    assert!(wide.canonical().starts_with("(has(a) && has(a)"));
}

#[test]
fn uid_is_the_hash_of_the_canonical_text() {
    assert_eq!(selector("").uid(), "s:5y5I3VdRZfDU01O--xXAPx2yxCQQqMf0M6IWug");
    assert_eq!(selector("\tall( ) ").uid(), selector("").uid());
    assert_ne!(selector("has(a)").uid(), selector("has(b)").uid());
}

#[test]
fn the_line_filter_answers_every_line() {
    let answer = |line: &str| answer_line(line.as_bytes());
    assert_eq!(
        answer("{\"selector\":\"a=='x'\",\"labels\":[{\"a\":\"x\"},{}]}\r\n"),
        "{\"valid\":true,\"canonical\":\"a == \\\"x\\\"\",\"uid\":\"".to_owned()
            + &selector("a == 'x'").uid()
            + "\",\"matches\":[true,false]}"
    );
    assert_eq!(
        answer("{\"selector\":\"a = 'x'\"}"),
        "{\"valid\":false,\"error\":\"expected ==, found a single =\",\"column\":3}"
    );
    for line in
        ["", "{", "[]", "{}", "{\"selector\":1}", "{\"selector\":\"\",\"labels\":[{\"a\":1}]}"]
    {
        let answer: serde_json::Value = serde_json::from_str(&answer(line)).unwrap();
        assert_eq!(answer["valid"], false, "{line}");
        assert!(answer["error"].as_str().unwrap().starts_with("not a request"), "{line}");
        assert!(answer["column"].is_u64(), "{line}");
    }
    assert!(answer_line(b"{\"selector\":\"\xff\"}").contains("\"valid\":false"));
}

/// The model: an expression as a tree, with its text and its meaning by plain recursion.
#[derive(Debug, Clone)]
enum Model {
    Test(String, String, &'static str),
    Has(String),
    All,
    Set(String, Vec<String>, bool),
    Not(Box<Model>),
    List(Vec<Model>, bool),
}

impl Model {
    fn text(&self) -> String {
        match self {
            Model::Test(label, value, operator) => format!("{label} {operator} \"{value}\""),
            Model::Has(label) => format!("has({label})"),
            Model::All => "all()".to_owned(),
            Model::Set(label, values, within) => {
                let values: Vec<_> = values.iter().map(|value| format!("'{value}'")).collect();
                format!("{label} {}{{{}}}", if *within { "in" } else { "not in" }, values.join(","))
            }
            Model::Not(inner) => format!("!({})", inner.text()),
            Model::List(items, and) => {
                let items: Vec<_> = items.iter().map(Model::text).collect();
                format!("({})", items.join(if *and { "&&" } else { " || " }))
            }
        }
    }

    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Model::Test(label, value, operator) => {
                let have = labels.get(label);
                match *operator {
                    "==" => have == Some(value),
                    "!=" => have != Some(value),
                    "contains" => have.is_some_and(|have| have.contains(value.as_str())),
                    "starts with" => have.is_some_and(|have| have.starts_with(value.as_str())),
                    _ => have.is_some_and(|have| have.ends_with(value.as_str())),
                }
            }
            Model::Has(label) => labels.contains_key(label),
            Model::All => true,
            Model::Set(label, values, within) => {
                labels.get(label).is_some_and(|have| values.contains(have)) == *within
            }
            Model::Not(inner) => !inner.matches(labels),
            Model::List(items, true) => items.iter().all(|item| item.matches(labels)),
            Model::List(items, false) => items.iter().any(|item| item.matches(labels)),
        }
    }
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "in", "has", "x/y.z-0_"]).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "ab", "b", "é", "!(&&"]).prop_map(str::to_owned)
}

fn model() -> impl Strategy<Value = Model> {
    let operators = vec!["==", "!=", "contains", "starts with", "ends with"];
    let leaf = prop_oneof![
        (name(), value(), prop::sample::select(operators))
            .prop_map(|(l, v, o)| Model::Test(l, v, o)),
        name().prop_map(Model::Has),
        Just(Model::All),
        (name(), prop::collection::vec(value(), 0..4), any::<bool>())
            .prop_map(|(l, v, w)| Model::Set(l, v, w)),
    ];
    leaf.prop_recursive(6, 48, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Model::Not(Box::new(inner))),
            (prop::collection::vec(inner, 1..5), any::<bool>())
                .prop_map(|(items, and)| Model::List(items, and)),
        ]
    })
}

proptest! {
    #[test]
    fn evaluation_agrees_with_a_plain_tree_and_so_does_the_canonical_text(
        model in model(),
        labels in prop::collection::btree_map(name(), value(), 0..5),
    ) {
        let parsed = selector(&model.text());
        prop_assert_eq!(parsed.matches(&labels), model.matches(&labels), "{}", model.text());
        let again = selector(&parsed.canonical());
        prop_assert_eq!(again.matches(&labels), model.matches(&labels), "{}", parsed.canonical());
        prop_assert_eq!(again.canonical().replace('!', ""), parsed.canonical().replace('!', ""));
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        if let Err(error) = Selector::parse(&text) {
            prop_assert!(text.is_char_boundary(error.offset));
            prop_assert!(error.column >= 1 && error.column <= text.chars().count() + 1);
        }
    }

    #[test]
    fn no_jumble_of_words_panics(
        words in prop::collection::vec(prop::sample::select(vec![
            "a", "has(", "all(", "global(", ")", "(", "!", "&&", "||", "==", "!=", "=", "in", "not",
            "{", "}", ",", "'x'", "\"", "'", "contains", "starts", "with", " ", "\t", "\n", "é",
        ]), 0..24)
    ) {
        let text = words.concat();
        if let Ok(parsed) = Selector::parse(&text) {
            let labels: &[(&str, &str)] = &[("a", "x")];
            let again = selector(&parsed.canonical());
            prop_assert_eq!(again.matches(labels), parsed.matches(labels));
        }
    }
}

#[test]
fn labels_come_from_maps_and_from_pairs() {
    let map = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
    let hash = std::collections::HashMap::from([("a".to_owned(), "1".to_owned())]);
    assert_eq!(Labels::get(&map, "a"), Some("1"));
    assert_eq!(Labels::get(&hash, "a"), Some("1"));
    assert_eq!(Labels::get(&[("a", "1"), ("a", "2")], "a"), Some("1"));
}
