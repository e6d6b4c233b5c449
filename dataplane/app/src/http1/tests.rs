//! Whole connections: what a sensor sees of them, and that it sees the same however they are cut.

use proptest::prelude::*;
use wire::Direction::{self, ToClient, ToServer};

use super::{Fatal, chunk_size, progress};
use crate::tests::Parser;
use crate::{AppBuffer, AppProto, HttpSummary, Limits, Outcome, Tunnel, TxSummary};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn session() -> Parser {
    Parser::new(AppProto::Http1)
}

fn run(parts: &[(Direction, &[u8])]) -> Parser {
    let mut s = session();
    for (dir, data) in parts {
        assert_eq!(s.data(*dir, data), Outcome::Ok);
    }
    s
}

fn buffer(s: &Parser, tx: u64, b: AppBuffer) -> Option<String> {
    s.tx(tx).unwrap().buffer(b, 0).map(|b| String::from_utf8_lossy(b).into_owned())
}

fn uri(s: &Parser, tx: u64) -> Option<String> {
    buffer(s, tx, AppBuffer::HttpUri)
}

fn host(s: &Parser, tx: u64) -> Option<String> {
    buffer(s, tx, AppBuffer::HttpHost)
}

fn summary(s: &Parser, tx: u64) -> HttpSummary {
    match s.tx(tx).unwrap().summary(tx) {
        TxSummary::Http(h) => *h,
        other => panic!("{other:?}"),
    }
}

fn complete(s: &Parser, tx: u64) -> (bool, bool) {
    let tx = s.tx(tx).unwrap();
    (tx.is_complete(ToServer), tx.is_complete(ToClient))
}

#[test]
fn chunk_sizes_are_read_leniently_but_not_made_up() {
    assert_eq!(chunk_size(b"1a\r\n"), Ok(Some(26)));
    assert_eq!(chunk_size(b" 3 ;x=y\r\n"), Ok(Some(3)));
    assert_eq!(chunk_size(b"\r\n"), Ok(None));
    assert_eq!(chunk_size(b"xyz\r\n"), Err(Fatal::Framing));
    assert_eq!(chunk_size(b"ffffffffffffffffffff\r\n"), Err(Fatal::Framing));
    assert_eq!(chunk_size(b"0\r\n"), Ok(Some(0)));
}

#[test]
fn a_request_yields_its_buffers_as_its_parts_are_known() {
    let mut s = session();
    let _ = s.data(ToServer, b"GET /%61 HTTP/1.1\r\n");
    assert_eq!(s.tx(0).unwrap().progress(ToServer), progress::HEADERS);
    assert_eq!(buffer(&s, 0, AppBuffer::HttpMethod).as_deref(), Some("GET"));
    assert_eq!(uri(&s, 0).as_deref(), Some("/a"));
    assert_eq!(buffer(&s, 0, AppBuffer::HttpUriRaw).as_deref(), Some("/%61"));
    assert_eq!(host(&s, 0), None);
    let _ = s.data(ToServer, b"Host: Ex.COM:8080\r\nUser-Agent: ua\r\n");
    assert_eq!(host(&s, 0), None);
    let _ = s.data(ToServer, b"\r\n");
    assert_eq!(host(&s, 0).as_deref(), Some("Ex.COM"));
    assert_eq!(buffer(&s, 0, AppBuffer::HttpHostRaw).as_deref(), Some("Ex.COM:8080"));
    assert_eq!(complete(&s, 0), (true, false));
    let _ = s.data(
        ToClient,
        b"HTTP/1.1 404 No\r\nContent-Type: text/html; x\r\nContent-Length: 2\r\n\r\nab",
    );
    assert_eq!(complete(&s, 0), (true, true));
    let h = summary(&s, 0);
    assert_eq!((h.status, h.length, h.http_port), (Some(404), 2, Some(8080)));
    assert_eq!(h.http_content_type.as_deref(), Some("text/html"));
    assert_eq!(h.http_user_agent.as_deref(), Some("ua"));
    assert_eq!(h.url.as_deref(), Some("/%61"));
}

#[test]
fn the_host_of_the_uri_goes_before_the_field() {
    let s = run(&[(ToServer, b"GET http://Ho%73T.:81/x HTTP/1.1\r\nHost: other\r\n\r\n")]);
    assert_eq!(host(&s, 0).as_deref(), Some("host"));
    assert_eq!(buffer(&s, 0, AppBuffer::HttpHostRaw).as_deref(), Some("host"));
    assert_eq!(uri(&s, 0).as_deref(), Some("/x"));
    assert_eq!(summary(&s, 0).http_port, Some(81));
}

#[test]
fn odd_hosts_are_taken_as_they_are() {
    for (field, want) in [
        (&b"Host: A.b"[..], Some("a.b")),
        (b"Host: A.b.", Some("a.b.")),
        (b"Host: [::1]:80", Some("[::1]")),
        (b"Host : a b:8x", Some("a b")),
        (b"Host: Fold\r\n  ed.Com", Some("fold  ed.com")),
        (b"X: y\r\n\tHost: z\r\nHost: r", Some("r")),
        (b"Host: One\r\nHOST: Two", Some("one, two")),
        (b"Host:h\0j", Some("h\0j")),
        (b"Host: ", None),
        (b"Host", None),
    ] {
        let s = run(&[(ToServer, &[b"GET / HTTP/1.1\r\n", field, b"\r\n\r\n"].concat())]);
        assert_eq!(host(&s, 0).as_deref(), want, "{}", String::from_utf8_lossy(field));
    }
}

#[test]
fn pipelined_requests_meet_their_responses() {
    let s = run(&[
        (ToServer, b"HEAD /h HTTP/1.1\r\nHost: o\r\n\r\nPOST /p HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /g HTTP/1.0\n\n"),
        (ToClient, b"HTTP/1.1 200 Ok\r\nContent-Length: 10\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Y\r\n"),
        (ToClient, b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: r\r\n\r\nHTTP/1.1 304 N\r\n\r\n"),
    ]);
    let of = |tx| {
        (
            uri(&s, tx).unwrap(),
            summary(&s, tx).status.unwrap(),
            summary(&s, tx).length,
            complete(&s, tx),
        )
    };
    assert_eq!(s.next_tx(), 3);
    assert_eq!(of(0), ("/h".into(), 200, 0, (true, true)));
    assert_eq!(of(1), ("/p".into(), 201, 15, (true, true)));
    assert_eq!(of(2), ("/g".into(), 304, 0, (true, true)));
}

#[test]
fn chunked_request_bodies_are_passed_over() {
    let s = run(&[(
        ToServer,
        b"POST /a HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n3\r\nabc\r\n0\r\nHost: trailer\r\n\r\nGET /b HTTP/1.1\r\nHost: i\r\n\r\n",
    )]);
    assert_eq!((uri(&s, 0).as_deref(), host(&s, 0)), (Some("/a"), None));
    assert_eq!((uri(&s, 1).as_deref(), host(&s, 1).as_deref()), (Some("/b"), Some("i")));
}

#[test]
fn a_body_until_the_end_is_ended_by_it() {
    let mut s = run(&[
        (ToServer, b"GET / HTTP/1.1\r\n\r\n"),
        (ToClient, b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 500 not a response\r\n\r\n"),
    ]);
    assert_eq!(complete(&s, 0), (true, false));
    s.close(ToClient);
    assert_eq!(complete(&s, 0), (true, true));
    assert_eq!((s.next_tx(), summary(&s, 0).status), (1, Some(200)));
}

#[test]
fn connect_leads_out_of_http_when_accepted() {
    let ask = b"CONNECT Ex.com:443 HTTP/1.1\r\nHost: Ex.com:443\r\n\r\n";
    let mut s = run(&[(ToServer, ask)]);
    assert_eq!((uri(&s, 0), host(&s, 0).as_deref()), (None, Some("ex.com")));
    assert_eq!(summary(&s, 0).http_port, Some(443));
    assert_eq!(s.tunnel(), None);
    let _ = s.data(ToClient, b"HTTP/1.1 200 Established\r\n\r\n");
    assert_eq!((s.tunnel(), complete(&s, 0)), (Some(Tunnel::Connect), (true, true)));
    let _ = s.data(ToServer, b"GET /inside HTTP/1.1\r\n\r\n");
    assert_eq!(s.next_tx(), 1);

    let s = run(&[
        (ToServer, ask),
        (ToClient, b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"),
        (ToServer, b"GET /after HTTP/1.1\r\n\r\n"),
    ]);
    assert_eq!((s.tunnel(), uri(&s, 1).as_deref()), (None, Some("/after")));
}

#[test]
fn an_upgrade_leads_out_of_http() {
    let s = run(&[
        (ToServer, b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
        (ToClient, b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n\x81\x05hello"),
        (ToServer, b"GET /no HTTP/1.1\r\n\r\n"),
    ]);
    assert_eq!((s.tunnel(), s.next_tx()), (Some(Tunnel::Upgrade), 1));
}

#[test]
fn a_refused_body_is_not_waited_for() {
    let s = run(&[
        (ToServer, b"PUT /x HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"),
        (ToClient, b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"),
        (ToServer, b"GET /y HTTP/1.1\r\n\r\n"),
    ]);
    assert_eq!(uri(&s, 1).as_deref(), Some("/y"));
}

#[test]
fn http_09_is_told_from_a_missing_protocol() {
    let mut s = run(&[(ToServer, b"GET /only\r\n"), (ToClient, b"<html>")]);
    assert_eq!(complete(&s, 0), (true, false));
    s.close(ToClient);
    assert_eq!((complete(&s, 0), summary(&s, 0).length), ((true, true), 6));
    let _ = s.data(ToServer, b"GET /ignored HTTP/1.1\r\n\r\n");
    assert_eq!(s.next_tx(), 1);

    let s = run(&[(ToServer, b"GET /nohdr\r\nHost: a.b\r\n\r\n"), (ToClient, OK)]);
    assert_eq!((host(&s, 0).as_deref(), summary(&s, 0).status), (Some("a.b"), Some(200)));
}

#[test]
fn what_is_before_or_between_requests_does_no_harm() {
    let s = run(&[(ToServer, b"\r\n\n  GET /a HTTP/1.1\r\n\r\n\r\nGET /b HTTP/1.1\r\n\r\n")]);
    assert_eq!((uri(&s, 0).as_deref(), uri(&s, 1).as_deref()), (Some("/a"), Some("/b")));
    // an unannounced body, in one piece with its request
    let s = run(&[(ToServer, b"POST /a HTTP/1.1\r\n\r\nx=y\r\nGET /b HTTP/1.1\r\n\r\n")]);
    assert_eq!((s.next_tx(), uri(&s, 1).as_deref()), (2, Some("/b")));
    // on its own it is a request with an unknown method
    let s = run(&[(ToServer, b"POST /a HTTP/1.1\r\n\r\n"), (ToServer, b"FOO /b HTTP/1.1\r\n\r\n")]);
    assert_eq!(buffer(&s, 1, AppBuffer::HttpMethod).as_deref(), Some("FOO"));
}

#[test]
fn a_response_to_nothing_gets_its_own_transaction() {
    let s = run(&[(ToClient, OK), (ToServer, b"GET /late HTTP/1.1\r\n\r\n"), (ToClient, OK)]);
    assert_eq!((s.next_tx(), uri(&s, 0), uri(&s, 1).as_deref()), (2, None, Some("/late")));
    assert_eq!(summary(&s, 0).url.as_deref(), Some("/libhtp::request_uri_not_seen"));
    assert_eq!((complete(&s, 0), complete(&s, 1)), ((true, true), (true, true)));
}

#[test]
fn framing_without_sense_ends_the_parsing_after_the_header() {
    for field in ["Content-Length: x", "Transfer-Encoding: xchunked"] {
        let mut s = session();
        let bytes =
            format!("POST /a HTTP/1.1\r\n{field}\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
        assert_eq!(s.data(ToServer, bytes.as_bytes()), Outcome::Error);
        assert_eq!((s.next_tx(), host(&s, 0).as_deref()), (1, Some("h")));
        assert_eq!(complete(&s, 0), (true, true));
        assert_eq!(s.data(ToClient, OK), Outcome::Error);
    }
}

#[test]
fn gaps_in_bodies_are_counted_and_the_rest_is_read() {
    let mut s = run(&[(ToServer, b"POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\nab")]);
    s.gap(ToServer, 5);
    let _ = s.data(ToServer, b"xyzGET /b HTTP/1.1\r\nHost: i\r\n\r\n");
    assert_eq!((uri(&s, 1).as_deref(), host(&s, 1).as_deref()), (Some("/b"), Some("i")));
    // the whole body, and more than it
    let mut s = run(&[(ToServer, b"POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\n")]);
    s.gap(ToServer, 25);
    assert_eq!(complete(&s, 0), (true, false));
    let _ = s.data(ToServer, b"GET /c HTTP/1.1\r\n\r\n");
    assert_eq!(uri(&s, 1).as_deref(), Some("/c"));
    // responses
    let _ = s.data(ToClient, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1");
    s.gap(ToClient, 9);
    let _ = s.data(ToClient, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((summary(&s, 0).length, summary(&s, 1).status), (10, Some(404)));
}

#[test]
fn a_gap_in_a_header_loses_no_more_than_its_line() {
    let mut s = run(&[(ToServer, b"GET /a HTTP/1.1\r\nX: y")]);
    s.gap(ToServer, 100);
    let _ = s.data(ToServer, b"z\r\nHost: h\r\n\r\n");
    assert_eq!((uri(&s, 0).as_deref(), host(&s, 0).as_deref()), (Some("/a"), Some("h")));
}

#[test]
fn gaps_of_absurd_length_are_survived() {
    let mut s =
        run(&[(ToServer, b"GET / HTTP/1.1\r\n\r\n"), (ToClient, b"HTTP/1.1 200 OK\r\n\r\nab")]);
    s.gap(ToClient, u64::MAX);
    s.gap(ToClient, u64::MAX);
    assert_eq!(summary(&s, 0).length, u64::MAX);
}

#[test]
fn a_connection_cut_in_the_header_still_has_its_uri() {
    let mut s = run(&[(ToServer, b"GET /a HTTP/1.1\r\nHost: a.b")]);
    s.close(ToServer);
    assert_eq!((uri(&s, 0).as_deref(), host(&s, 0)), (Some("/a"), None));
    assert_eq!(buffer(&s, 0, AppBuffer::HttpHostRaw).as_deref(), Some("a.b"));
    assert_eq!(summary(&s, 0).http_port, Some(0));
    let mut s = run(&[(ToServer, b"GET /cut")]);
    s.close(ToServer);
    assert_eq!(uri(&s, 0).as_deref(), Some("/cut"));
}

#[test]
fn limits_end_the_parsing() {
    let mut s = session();
    let long = [b"GET /".as_slice(), &[b'a'; 17_000], b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
    assert_eq!(s.data(ToServer, &long), Outcome::Ok);
    let long = [b"GET /".as_slice(), &[b'a'; 18_600], b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
    assert_eq!(s.data(ToServer, &long), Outcome::Error);
    assert_eq!(complete(&s, 1), (true, true));

    let mut s = session();
    let many = [
        b"GET / HTTP/1.1\r\n".to_vec(),
        b"a: b\r\n".repeat(3),
        (0..2000).flat_map(|i| format!("x{i}: y\r\n").into_bytes()).collect(),
    ]
    .concat();
    assert_eq!(s.data(ToServer, &many), Outcome::Error);

    let mut s = session();
    let folded =
        [b"GET / HTTP/1.1\r\nX: y\r\n".to_vec(), b" more of it\r\n".repeat(5_000)].concat();
    assert_eq!(s.data(ToServer, &folded), Outcome::Error);

    let mut s = session();
    assert_eq!(s.data(ToServer, &b"GET / HTTP/1.1\r\n\r\n".repeat(600)), Outcome::Error);
    assert_eq!(s.next_tx(), 512);
}

#[test]
fn what_a_flow_holds_is_bounded() {
    let mut s = session();
    let fields: Vec<u8> =
        (0..900).flat_map(|i| format!("f{i}: {}\r\n", "v".repeat(1000)).into_bytes()).collect();
    let request = [b"GET / HTTP/1.1\r\n".to_vec(), fields, b"\r\n".to_vec()].concat();
    let mut died = false;
    for _ in 0..100 {
        died |= s.data(ToServer, &request) == Outcome::Error;
    }
    let Limits { http_live_bytes, http_header_bytes, .. } = Limits::default();
    assert!(died && s.buffered() == 0);
    let kept: usize = (0..s.next_tx())
        .filter_map(|i| s.tx(i))
        .map(|t| t.buffer(AppBuffer::HttpUri, 0).map_or(0, <[u8]>::len))
        .sum();
    assert!(kept < http_live_bytes);
    assert!(s.next_tx() as usize * http_header_bytes < 3 * http_live_bytes);
}

#[test]
fn freed_transactions_are_gone_and_ids_go_on() {
    let mut s = run(&[(ToServer, b"GET /a HTTP/1.1\r\n\r\n"), (ToClient, OK)]);
    assert!(s.take_progress());
    assert!(!s.take_progress());
    s.free_before(1);
    assert_eq!((s.first_tx(), s.next_tx()), (1, 1));
    assert!(s.tx(0).is_none());
    let _ = s.data(ToServer, b"GET /b HTTP/1.1\r\n\r\n");
    assert!(s.take_progress());
    assert_eq!(uri(&s, 1).as_deref(), Some("/b"));
    // freeing one that is still being filled is allowed
    let _ = s.data(ToClient, b"HTTP/1.1 200 OK\r\nContent-Le");
    s.free_before(2);
    let _ = s.data(ToClient, b"ngth: 0\r\n\r\n");
    let _ = s.data(ToServer, b"GET /c HTTP/1.1\r\n\r\n");
    assert_eq!(uri(&s, 2).as_deref(), Some("/c"));
}

#[test]
fn every_part_of_both_messages_is_a_buffer() {
    let s = run(&[
        (
            ToServer,
            b"POST /p HTTP/1.1\r\nHost: h\r\nCookie: k=v\r\nUser-Agent:\r\nX: 1\r\n  2\r\nHOST: i\r\n\
              Content-Length: 4\r\n\r\nbody",
        ),
        (ToClient, b"HTTP/1.0 404 Not here\r\nServer: s\r\nSet-Cookie: c\r\nLocation: /l\r\n\r\nabc"),
    ]);
    for (b, want) in [
        (
            AppBuffer::HttpHeader,
            Some("Host: h, i\r\nUser-Agent: \r\nX: 1  2\r\nContent-Length: 4\r\n"),
        ),
        (
            AppBuffer::HttpHeaderRaw,
            Some(
                "Host: h\r\nCookie: k=v\r\nUser-Agent:\r\nX: 1\r\n  2\r\nHOST: i\r\nContent-Length: 4\r\n\r\n",
            ),
        ),
        (
            AppBuffer::HttpHeaderNames,
            Some("\r\nHost\r\nCookie\r\nUser-Agent\r\nX\r\nContent-Length\r\n\r\n"),
        ),
        (AppBuffer::HttpCookie, Some("k=v")),
        (AppBuffer::HttpUserAgent, Some("")),
        (AppBuffer::HttpReferer, None),
        (AppBuffer::HttpContentLen, Some("4")),
        (AppBuffer::HttpProtocol, Some("HTTP/1.1")),
        (AppBuffer::HttpRequestLine, Some("POST /p HTTP/1.1")),
        (AppBuffer::HttpReplyHeader, Some("Server: s\r\nLocation: /l\r\n")),
        (AppBuffer::HttpReplyCookie, Some("c")),
        (AppBuffer::HttpReplyProtocol, Some("HTTP/1.0")),
        (AppBuffer::HttpResponseLine, Some("HTTP/1.0 404 Not here")),
        (AppBuffer::HttpStatCode, Some("404")),
        (AppBuffer::HttpStatMsg, Some("Not here")),
        (AppBuffer::HttpServer, Some("s")),
        (AppBuffer::HttpLocation, Some("/l")),
        (
            AppBuffer::HttpReplyStart,
            Some("HTTP/1.0 404 Not here\r\nServer: s\r\nSet-Cookie: c\r\nLocation: /l\r\n\r\n"),
        ),
    ] {
        assert_eq!(buffer(&s, 0, b).as_deref(), want, "{b:?}");
    }
    let tx = s.tx(0).unwrap();
    assert_eq!(tx.buffer(AppBuffer::HttpRequestHeader, 1), Some(&b"Cookie: k=v"[..]));
    assert_eq!(tx.window(AppBuffer::HttpRequestBody).unwrap().data, b"body");
    assert_eq!(tx.window(AppBuffer::HttpReplyBody), None, "too little, and more may come");
}

#[test]
fn files_have_the_name_that_the_header_or_the_path_gives() {
    let get: (Direction, &[u8]) = (ToServer, b"GET /d/a%2eexe?x=y HTTP/1.1\r\n\r\n");
    let name =
        |answer: &[u8]| buffer(&run(&[get, (ToClient, answer)]), 0, AppBuffer::HttpReplyFileName);
    assert_eq!(name(b"HTTP/1.1 200 OK\r\n\r\nab").as_deref(), Some("/d/a.exe"));
    let named = b"HTTP/1.1 200 OK\r\nContent-Disposition: attachment; FileName=\"b.zip\"\r\n\r\nab";
    assert_eq!(name(named).as_deref(), Some("b.zip"));
    assert_eq!(name(OK), None);
    let s = run(&[(ToServer, b"PUT /up/c.txt HTTP/1.1\r\nContent-Length: 2\r\n\r\nab")]);
    assert_eq!(buffer(&s, 0, AppBuffer::HttpFileName).as_deref(), Some("/up/c.txt"));
    assert_eq!(s.tx(0).unwrap().file(ToServer, 0).map(|file| file.size), Some(2));
}

#[test]
fn what_nobody_looks_at_is_not_made() {
    let mut s = session();
    s.wanted = crate::BufferSet::default();
    let _ = s.data(ToServer, b"POST / HTTP/1.1\r\nA: b\r\nContent-Length: 2\r\n\r\nab");
    let tx = s.tx(0).unwrap();
    assert_eq!(tx.window(AppBuffer::HttpRequestBody), None);
    for b in [AppBuffer::HttpHeaderRaw, AppBuffer::HttpHeaderNames, AppBuffer::HttpStart] {
        assert_eq!(tx.buffer(b, 0), None);
    }
}

#[test]
fn what_is_odd_is_an_event() {
    use crate::HttpEvent;
    let of = |parts: &[(Direction, &[u8])]| {
        let mut s = session();
        for (dir, data) in parts {
            let _ = s.data(*dir, data);
        }
        s.tx(0).unwrap().events()
    };
    let get: (Direction, &[u8]) = (ToServer, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(of(&[get, (ToClient, OK)]).is_empty());
    for (parts, event) in [
        (vec![(ToClient, OK)], HttpEvent::UnableToMatchResponseToRequest),
        (vec![(ToServer, &b"GET / HTTP/1.1\r\n\r\n"[..])], HttpEvent::MissingHostHeader),
        (
            vec![(ToServer, b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n")],
            HttpEvent::HostHeaderAmbiguous,
        ),
        (
            vec![(ToServer, b"P / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")],
            HttpEvent::DuplicateContentLengthFieldInRequest,
        ),
        (
            vec![(ToServer, b"P / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n")],
            HttpEvent::InvalidRequestChunkLen,
        ),
        (vec![get, (ToClient, b"HTTP/1.1 x\r\n\r\n")], HttpEvent::ResponseInvalidStatus),
        (
            vec![get, (ToClient, b"HTTP/1.0 200\r\nTransfer-Encoding: chunked\r\n\r\n")],
            HttpEvent::ResponseChunkedOldProto,
        ),
    ] {
        assert!(of(&parts).contains(event.into()), "{event:?}");
    }
    let long = [b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; 20_000]].concat();
    assert!(of(&[(ToServer, &long)]).contains(HttpEvent::RequestFieldTooLong.into()));
}

/// Buffers, summary and completeness of a transaction.
type View = (Vec<Option<String>>, HttpSummary, (bool, bool));

/// What a sensor sees of a whole connection.
fn view(s: &Parser) -> Vec<View> {
    (s.first_tx()..s.next_tx())
        .map(|tx| {
            (AppBuffer::ALL.map(|b| buffer(s, tx, b)).to_vec(), summary(s, tx), complete(s, tx))
        })
        .collect()
}

fn cut(parts: &[(Direction, Vec<u8>)], sizes: &[usize]) -> Parser {
    let mut s = session();
    let mut sizes = sizes.iter().copied().cycle();
    for (dir, data) in parts {
        let mut rest = &data[..];
        while !rest.is_empty() {
            let n = sizes.next().unwrap().clamp(1, rest.len());
            let _ = s.data(*dir, &rest[..n]);
            rest = &rest[n..];
        }
    }
    s.close(ToServer);
    s.close(ToClient);
    s
}

fn exchange() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let method = prop::sample::select(vec!["GET", "POST", "HEAD", "OPTIONS"]);
    let path = "/[a-z%/.\\\\]{0,12}(\\?[a-z%=]{0,6})?";
    let end = prop::sample::select(vec!["\r\n", "\n"]);
    let body = prop::sample::select(vec![
        ("", ""),
        ("Content-Length: 4", "GET "),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n2;e=f\r\n\r\n\r\n0\r\nT: r\r\n\r\n"),
    ]);
    let answer = prop::sample::select(vec![
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nHTTP\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 N\nContent-Type: a/b; c\nContent-Length: 0\n\n",
    ]);
    (method, path, end, "[A-Za-z.]{1,8}(:80)?", body, answer).prop_map(|(m, p, e, h, (f, b), a)| {
        let field = if f.is_empty() { String::new() } else { format!("{f}{e}") };
        let request = format!("{m} {p} HTTP/1.1{e}Host: {h}{e}X: a{e} b{e}{field}{e}{b}");
        // a response to HEAD has no body
        let head = a.find("\r\n\r\nabc").or(a.find("\r\n\r\n4")).map_or(a, |at| &a[..at + 4]);
        (request.into_bytes(), if m == "HEAD" { head } else { a }.as_bytes().to_vec())
    })
}

proptest! {
    #[test]
    fn cutting_a_connection_anywhere_changes_nothing(
        exchanges in prop::collection::vec(exchange(), 1..4), sizes in prop::collection::vec(1usize..40, 1..6),
    ) {
        let mut parts = Vec::new();
        for (request, response) in &exchanges {
            parts.push((ToServer, request.clone()));
            parts.push((ToClient, response.clone()));
        }
        let whole = view(&cut(&parts, &[usize::MAX]));
        prop_assert_eq!(whole.len(), exchanges.len());
        prop_assert!(whole.iter().all(|(_, h, done)| h.status.is_some() && *done == (true, true)));
        prop_assert_eq!(&view(&cut(&parts, &sizes)), &whole);
        prop_assert_eq!(&view(&cut(&parts, &[1])), &whole);
    }

    #[test]
    fn cutting_a_pipeline_anywhere_changes_nothing(
        exchanges in prop::collection::vec(exchange(), 1..4), sizes in prop::collection::vec(1usize..40, 1..6),
    ) {
        let (requests, responses): (Vec<_>, Vec<_>) = exchanges.into_iter().unzip();
        let parts = [(ToServer, requests.concat()), (ToClient, responses.concat())];
        prop_assert_eq!(view(&cut(&parts, &sizes)), view(&cut(&parts, &[usize::MAX])));
    }
}

#[test]
fn a_field_of_the_request_is_found_by_its_name() {
    let s =
        run(&[(ToServer, b"GET / HTTP/1.1\r\nX-Real-IP: 10.0.0.1\r\nx-real-ip-two:  b \r\n\r\n")]);
    let field = |name: &[u8]| s.tx(0).unwrap().request_field(name);
    assert_eq!(field(b"x-real-ip"), Some(&b"10.0.0.1"[..]));
    assert_eq!(field(b"X-Real-IP-Two"), Some(&b"b"[..]));
    assert_eq!(field(b"X-Real"), None);
}
