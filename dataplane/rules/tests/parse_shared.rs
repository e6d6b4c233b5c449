//! Rules about what flows share and what stands beside rule files: bits of hosts, data sets,
//! reputation, `requires`; and what such rules cannot reach.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rules::parse::{Context, Names, Parsed, parse_rules};
use rules::signature::{
    AddressSide, BitOperation, BitTrack, Compare, DataCommand, ReputationCondition, Signature,
    StreamSide, Test,
};
use rules::state::{DataPaths, Reputation};

struct Place {
    folder: tempfile::TempDir,
    context: Context,
    names: Names,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["rules", "data"] {
            fs::create_dir(folder.path().join(name)).expect("made");
        }
        let context = Context {
            data: DataPaths { data: Some(folder.path().join("data")) },
            ..Context::default()
        };
        Self { folder, context, names: Names::default() }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("written");
        path
    }

    fn parse(&mut self, options: &str) -> Parsed {
        let file = self.folder.path().join("rules/a.rules");
        let text = format!("alert http any any -> any any ({options} sid:1;)");
        parse_rules(&file.to_string_lossy(), text.as_bytes(), &self.context, &mut self.names)
    }

    #[track_caller]
    fn loads(&mut self, options: &str) -> Signature {
        let mut parsed = self.parse(options);
        assert!(parsed.rejections.is_empty(), "{}", parsed.rejections[0]);
        parsed.signatures.remove(0)
    }

    #[track_caller]
    fn refused(&mut self, options: &str) -> String {
        let parsed = self.parse(options);
        parsed.rejections.first().map(|r| r.reason.clone()).expect(options)
    }
}

#[test]
fn hostbits_and_xbits_of_one_name_are_one_bit() {
    let mut place = Place::new();
    let set = place.loads("xbits:set,a,track ip_src,expire 7;").extra.expect("extra");
    let ask = place.loads("hostbits:isnotset,a,dst;").extra.expect("extra");
    let (set, ask) = (&set.host_bit_sets[0], &ask.host_bit_tests[0]);
    assert_eq!((set.bit, set.seconds, set.track), (ask.bit, 7, BitTrack::Source));
    assert_eq!(
        (set.operation, ask.negated, ask.track),
        (BitOperation::Set, true, BitTrack::Destination)
    );
    assert!(Arc::ptr_eq(&set.table, &ask.table));
    let toggle = place.loads("hostbits:toggle,b;").extra.expect("extra");
    assert_eq!(
        (toggle.host_bit_sets[0].seconds, toggle.host_bit_sets[0].track),
        (300, BitTrack::Source)
    );
    assert!(place.loads("hostbits:noalert; content:\"a\";").noalert);
    for options in [
        "xbits:set,a;",
        "xbits:noalert;",
        "xbits:set,a,track ip_all;",
        "xbits:set,a,track ip_src,expire 0;",
        "hostbits:isset,a,both;",
        "hostbits:foo,a;",
        "hostbits:set;",
    ] {
        place.refused(options);
    }
}

#[test]
fn data_sets_are_shared_by_name_and_loaded_from_beside_the_rules() {
    let mut place = Place::new();
    place.write("rules/hosts", "dGVzdA==\n");
    place.write("data/scores", "dGVzdA==,200\n");
    let first = place.loads("http.host; dataset:isset,h,type string,load hosts;");
    let second = place.loads("http.uri; dataset:set,h;");
    let of = |s: &Signature| match &s.buffers[0].tests[0] {
        Test::Data(data) => data.clone(),
        other => panic!("{other:?}"),
    };
    let (first, set) = (of(&first), of(&second));
    assert!(Arc::ptr_eq(&first.set, &set.set));
    assert!(second.extra.is_some_and(|extra| extra.changes_data));
    assert!(first.holds(b"test") && !first.holds(b"other"));
    assert!(set.holds(b"other") && !set.holds(b"other") && first.holds(b"other"));
    let rep = of(&place.loads("http.host; datarep:r,>,100,type string,load scores;"));
    assert_eq!(rep.command, DataCommand::Reputation(Compare::Greater(100)));
    assert!(rep.holds(b"test") && !rep.holds(b"none"));
    for options in [
        "dataset:isset,h,type string;",
        "http.host; dataset:isset,new;",
        "http.host; dataset:isset,h,type md5;",
        "http.host; dataset:foo,h,type string;",
        "http.host; dataset:isset,x,type foo;",
        "http.host; dataset:isset,x,type string,load hosts,state s;",
        "http.host; dataset:isset,x,type string,memcap 99gb;",
        "http.host; datarep:r,!,100;",
        "http.host; datarep:q,>,100,type string,load hosts;",
    ] {
        place.refused(options);
    }
}

#[test]
fn rules_read_and_write_nothing_outside_their_folders() {
    let mut place = Place::new();
    let secret = place.write("secret", "dGVzdA==\n");
    std::os::unix::fs::symlink(&secret, place.folder.path().join("rules/link")).expect("linked");
    std::os::unix::fs::symlink(&secret, place.folder.path().join("data/link")).expect("linked");
    let secret = secret.display().to_string();
    for file in ["../secret", "link", "../data/link", "/etc/passwd", &secret] {
        for option in ["load", "save", "state"] {
            place.refused(&format!("http.host; dataset:isset,x,type string,{option} {file};"));
        }
    }
    for file in ["../new", "/tmp/new", "none/new"] {
        place.refused(&format!("http.host; dataset:isset,x,type string,save {file};"));
    }
    place.loads("http.host; dataset:set,y,type string,save new;");
    place.context.data = DataPaths::default();
    let refused = place.refused("http.host; dataset:set,z,type string,save new;");
    assert!(refused.contains("data-directory"), "{refused}");
}

#[test]
fn reputation_is_asked_by_side_and_category() {
    let mut place = Place::new();
    assert!(place.refused("iprep:any,Bad,>,10;").contains("no reputation"));
    let categories = place.write("categories", "1,Bad,Known bad\n");
    let scores = place.write("scores", "10.0.0.1,1,50\n");
    let (table, faults) = Reputation::read(&categories, &[scores]).expect("read");
    assert!(faults.is_empty());
    place.context.reputation = Some(Arc::new(table));
    let extra = place.loads("iprep:src,Bad,>=,10;").extra.expect("extra");
    let test = &extra.reputations[0];
    assert_eq!((test.side, test.category), (AddressSide::Source, 1));
    assert_eq!(test.condition, ReputationCondition::Score(Compare::GreaterEqual(10)));
    place.loads("iprep:dst,Bad,isnotset;");
    for options in ["iprep:any,Good,>,1;", "iprep:all,Bad,>,1;", "iprep:any,Bad,~,1;", "geoip:US;"]
    {
        place.refused(options);
    }
}

#[test]
fn rules_for_another_engine_are_skipped_unread() {
    let mut place = Place::new();
    let parsed = place.parse("blah; requires: version >= 8;");
    assert_eq!((parsed.signatures.len(), parsed.rejections.len(), parsed.skipped), (0, 0, 1));
    let parsed = place.parse("requires: version >= 7.0.3 < 8 | >= 9;");
    assert_eq!((parsed.signatures.len(), parsed.skipped), (1, 0));
    place.refused("requires: version >= x;");
}

#[test]
fn connections_are_asked_for_size_and_age() {
    let mut place = Place::new();
    let extra =
        place.loads("stream_size:both,>=,6; flow.age:>10; prefilter;").extra.expect("extra");
    assert_eq!(extra.stream_sizes[0].side, StreamSide::Both);
    assert_eq!(extra.stream_sizes[0].size, Compare::GreaterEqual(6));
    assert_eq!(extra.flow_ages, [Compare::Greater(10)]);
    for options in ["stream_size:all,>,1;", "stream_size:both,=>,1;", "flow.age:>=0;", "prefilter;"]
    {
        place.refused(options);
    }
}

#[test]
fn a_flow_may_be_let_go_and_a_version_of_ip_asked_for() {
    let mut place = Place::new();
    assert!(place.loads("content:\"a\"; bypass;").extra.is_some_and(|extra| extra.bypass));
    assert_eq!(place.loads("l3_proto:ipv6;").protocol.ip_version, Some(6));
    place.refused("l3_proto:ipv6; l3_proto:ipv4;");
    place.refused("l3_proto:arp;");
}

#[test]
fn config_rules_load_only_for_what_they_change() {
    let parse = |text: &str| {
        parse_rules("t.rules", text.as_bytes(), &Context::default(), &mut Names::default())
    };
    let head = "config http any any -> any any (http.uri; content:\"x\"; config:";
    let parsed = parse(&format!("{head}logging disable, type tx, scope tx; sid:1;)"));
    assert_eq!((parsed.signatures.len(), parsed.rejections.len(), parsed.skipped), (0, 0, 1));
    let parsed = parse(&format!(
        "{head}logging disable,type flow,scope flow; flowbits:set,a; alert; sid:1;)"
    ));
    assert!(parsed.signatures.len() == 1 && parsed.signatures[0].noalert);
    for wrong in [
        "logging disable",
        "logging enable, type tx, scope tx",
        "tracking disable, type tx, scope tx",
        "logging disable, scope tx, type tx",
        "logging disable, type packet, scope tx",
    ] {
        let parsed = parse(&format!("{head}{wrong}; sid:1;)"));
        assert_eq!(parsed.rejections.len(), 1, "{wrong}");
    }
}
