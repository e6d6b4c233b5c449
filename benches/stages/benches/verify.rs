//! The evaluation of single rules on a buffer once their fast pattern was found: rules that hold, that
//! fail at the last test, and that have to try many places.

use std::hint::black_box;

use benches::material::{FULL, tests};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::inspect::content::{Verifier, View};

/// A request of a full segment.
fn request() -> Vec<u8> {
    let mut out = b"POST /uploads/shell.php?cmd=id&user=admin HTTP/1.1\r\nHost: shop.example\r\n\
        User-Agent: sqlmap/1.7\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
        .to_vec();
    let mut n = 0;
    while out.len() < FULL {
        out.extend(format!("field{n}=value{n}&").bytes());
        n += 1;
    }
    out.truncate(FULL);
    out
}

/// Records of one length byte, that many bytes, again and again, and a mark at the end.
fn records() -> Vec<u8> {
    let mut out = b"\x00REC".to_vec();
    while out.len() + 24 < FULL {
        out.push(19);
        out.extend([b'.'; 19]);
    }
    out.extend(b"\x04mark");
    out
}

fn verify(criterion: &mut Criterion) {
    let request = request();
    let records = records();
    let cases: [(&str, &str, &[u8], bool); 7] = [
        (
            "contents with distance and within",
            r#"content:"POST"; depth:4; content:".php"; distance:0; within:40; content:"cmd="; distance:1; within:4; content:"User-Agent|3a|"; distance:0;"#,
            &request,
            true,
        ),
        (
            "contents, the last is missing",
            r#"content:"POST"; depth:4; content:".php"; distance:0; content:"cmd="; distance:1; within:4; content:"absent";"#,
            &request,
            false,
        ),
        (
            "a content in many places",
            r#"content:"field"; content:"=value"; distance:1; within:8; content:"nowhere"; distance:0; within:12;"#,
            &request,
            false,
        ),
        ("nocase", r#"content:"SQLMAP/"; nocase; content:"host|3a|"; nocase;"#, &request, true),
        (
            "pcre behind a content",
            r#"content:"POST"; depth:4; pcre:"/^\s+\S+\.php\?[a-z]+=(?:id|whoami)\b/R";"#,
            &request,
            true,
        ),
        (
            "pcre that fails",
            r#"content:"POST"; depth:4; pcre:"/value\d{5,}[a-f]+&/";"#,
            &request,
            false,
        ),
        (
            "byte_jump and isdataat",
            r#"content:"|00|REC"; depth:4; byte_jump:1,0,relative; byte_jump:1,0,relative; byte_jump:1,0,relative; byte_test:1,=,19,0,relative; isdataat:10,relative;"#,
            &records,
            true,
        ),
    ];
    let mut group = criterion.benchmark_group("verify");
    group.throughput(Throughput::Elements(1));
    let mut verifier = Verifier::new().expect("a verifier");
    for (name, options, data, holds) in cases {
        let rule = format!("alert tcp any any -> any any (msg:\"bench\"; {options} sid:1;)");
        let tests = tests(&rule).expect("a rule");
        verifier.begin();
        assert_eq!(verifier.holds(&tests, View::whole(data)), holds, "{name}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                verifier.begin();
                verifier.holds(black_box(&tests), View::whole(black_box(data)))
            });
        });
    }
    group.finish();
    assert_eq!(verifier.take_exceeded(), 0, "no evaluation ran out of its budget");
}

criterion_group!(benches, verify);
criterion_main!(benches);
