//! Transforms, base64 and arithmetic as rules write them.

use rules::parse::{Context, Names, Parsed, parse_rules};
use rules::signature::{Buffer, MathOperator, Number, Signature, Test, Transform};

fn parse(options: &str) -> Parsed {
    let text = format!("alert http any any -> any any ({options} sid:1;)");
    parse_rules("test.rules", text.as_bytes(), &Context::default(), &mut Names::default())
}

#[track_caller]
fn loads(options: &str) -> Signature {
    let mut parsed = parse(options);
    assert!(parsed.rejections.is_empty(), "{}", parsed.rejections[0]);
    parsed.signatures.remove(0)
}

#[track_caller]
fn refused(options: &str) -> String {
    parse(options).rejections.first().map(|r| r.reason.clone()).expect("refused")
}

#[test]
fn transforms_keep_their_order() {
    let s = loads("http.host; strip_whitespace; xor:\"0a0B\"; to_md5; content:\"a\";");
    let [Transform::StripWhitespace, Transform::Xor(key), Transform::ToMd5] =
        s.buffers[0].transforms.as_slice()
    else {
        panic!("{:?}", s.buffers)
    };
    assert_eq!(&**key, [10, 11]);
    let s = loads("http.uri; content:\"a\"; url_decode; content:\"b\";");
    assert_eq!((s.buffers.len(), s.buffers[1].transforms.len()), (2, 1));
}

#[test]
fn transforms_without_sense_are_refused() {
    for options in [
        "to_md5; content:\"a\";",
        "pkt_data; to_lowercase; content:\"a\";",
        "http.uri; xor:\"2\"; content:\"a\";",
        "http.uri; xor:\"zz\"; content:\"a\";",
        "http.uri; pcrexform:\"a\"; content:\"a\";",
        "http.uri; pcrexform:\"(a)(b)\"; content:\"a\";",
        "http.uri; pcrexform:\"(a\"; content:\"a\";",
        "http.uri; strip_whitespace; content:\"a b\";",
        "http.uri; compress_whitespace; content:\"a  b\";",
        "http.uri; to_lowercase; content:\"A\";",
        "http.uri; to_uppercase; content:\"a\";",
    ] {
        refused(options);
    }
}

#[test]
fn tests_on_decoded_data_go_to_the_decoder() {
    let s = loads(
        "http.uri; content:\"q=\"; base64_decode:bytes 12, offset 1, relative; base64_data; \
         content:\"a\"; content:\"b\"; distance:0; http.host; content:\"c\";",
    );
    assert_eq!(s.buffers.len(), 2);
    let Test::Base64(decode) = &s.buffers[0].tests[1] else { panic!("{:?}", s.buffers) };
    assert_eq!((decode.bytes, decode.offset, decode.relative), (12, 1, true));
    let [Test::Content(first), Test::Content(_)] = decode.tests.as_slice() else { panic!() };
    assert!(first.relative_next);
}

#[test]
fn relative_tests_join_the_content_that_was_moved() {
    let s = loads("content:\"arg\"; http_uri; base64_decode:relative; base64_data; content:\"a\";");
    assert_eq!((s.buffers.len(), s.buffers[0].buffer), (1, Buffer::HttpUri));
    let s = loads("content:\"arg\"; http_uri; byte_test:1,=,0x20,0,relative;");
    assert_eq!((s.buffers.len(), s.buffers[0].tests.len()), (1, 2));
}

#[test]
fn base64_without_sense_is_refused() {
    for options in [
        "base64_data; content:\"a\";",
        "base64_decode:bytes 70000; base64_data; content:\"a\";",
        "base64_decode:foo; base64_data; content:\"a\";",
        "base64_decode; base64_data;",
        "base64_decode; base64_data; to_md5; content:\"a\";",
    ] {
        refused(options);
    }
}

#[test]
fn arithmetic_is_read_with_its_options() {
    let s = loads(
        "byte_extract:1,0,n; byte_math:oper <<, rvalue n, bytes 4, offset -2, result m, relative, \
         string hex, bitmask 0xf0; byte_test:1,=,m,0;",
    );
    let Test::ByteMath(math) = &s.buffers[0].tests[1] else { panic!("{:?}", s.buffers) };
    assert_eq!((math.operator, math.value), (MathOperator::ShiftLeft, Number::Variable(0)));
    assert_eq!((math.offset, math.slot, math.relative), (-2, 1, true));
    assert_eq!(math.bitmask, Some(0xf0));
}

#[test]
fn arithmetic_without_sense_is_refused() {
    for options in [
        "byte_math:bytes 1,offset 0,oper +,result m;",
        "byte_math:bytes 9,offset 0,oper +,rvalue 1,result m;",
        "byte_math:bytes 1,offset 0,oper +,rvalue -2,result m;",
        "byte_math:bytes 1,offset 0,oper %,rvalue 2,result m;",
        "byte_math:bytes 1 offset 0,oper +,rvalue 2,result m;",
        "byte_math:bytes 1,offset 0,oper /,rvalue 0,result m;",
        "byte_math:bytes 1,bytes 1,offset 0,oper +,rvalue 1,result m;",
        "byte_math:bytes 1,offset 0,oper +,rvalue 1,result m,endian middle;",
    ] {
        refused(options);
    }
}

#[test]
fn rules_that_ask_for_more_than_there_is_room_for_are_refused() {
    let extracts =
        |n: usize| -> String { (0..n).map(|i| format!("byte_extract:1,{i},v{i};")).collect() };
    loads(&extracts(16));
    assert!(refused(&extracts(17)).contains("16 variables"));
    let contents = |n: usize| "content:\"a\"; distance:0; ".repeat(n);
    loads(&format!("content:\"a\"; {}", contents(511)));
    assert!(refused(&format!("content:\"a\"; {}", contents(512))).contains("512 tests"));
}

#[test]
fn objects_are_looked_at_behind_everything_else() {
    let s = loads("asn1:double_overflow, oversize_length 2048, relative_offset -1; content:\"a\";");
    let Test::Asn1(asn1) = &s.buffers[0].tests[1] else { panic!("{:?}", s.buffers) };
    assert_eq!((asn1.double_overflow, asn1.oversize_length), (true, Some(2048)));
    for options in [
        "asn1:foo;",
        "asn1:absolute_offset 0;",
        "asn1:double_overflow,double_overflow;",
        "asn1:double_overflow,absolute_offset 1,relative_offset 1;",
    ] {
        refused(options);
    }
}
