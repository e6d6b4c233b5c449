//! How connections begin.

use super::*;

#[test]
fn data_on_the_last_packet_of_the_handshake_is_established() {
    let mut talk = Talk::new();
    talk.c(SYN, 0, 0, b"");
    talk.s(SYN | ACK, 0, 1, b"");
    let done = talk.c(ACK | PSH, 1, 1, b"GET /");
    assert!(done.was_established && done.added);
    talk.s(ACK, 1, 6, b"");
    assert_eq!(talk.to_server(), "GET /");
}

#[test]
fn without_its_beginning_a_connection_is_unknown_and_a_syn_begins_another() {
    let mut talk = Talk::new();
    let done = talk.c(ACK | PSH, 1, 1, b"x");
    assert!(!done.valid && done.events.is_empty());
    assert!(!talk.s(SYN | ACK, 0, 1, b"").valid);
    assert!(talk.c(RST, 1, 0, b"").events.has(Event::StreamRstButNoSession));
    assert!(talk.c(FIN | ACK, 1, 1, b"").events.has(Event::StreamFinButNoSession));
    assert_eq!(talk.session.state(), TcpState::None);
    assert!(talk.c(SYN, 0, 0, b"").reuse);
}

#[test]
fn a_syn_ack_must_acknowledge_the_syn() {
    let mut talk = Talk::new();
    talk.c(SYN, 0, 0, b"");
    assert!(!talk.s(SYN | ACK, 0, 9, b"").valid);
    assert!(!talk.c(SYN | ACK, 0, 1, b"").valid);
    assert!(talk.s(SYN | ACK, 0, 1, b"").valid);
    assert!(!talk.c(ACK, 1, 5, b"").valid);
    assert!(talk.c(ACK, 1, 1, b"").valid);
}

#[test]
fn of_different_syns_the_answered_one_counts() {
    for answered in [100, 0] {
        let mut talk = Talk::new();
        talk.c(SYN, 100, 0, b"");
        talk.c(SYN, 0, 0, b"");
        talk.s(SYN | ACK, 0, answered + 1, b"");
        talk.c(ACK, answered + 1, 1, b"");
        talk.c(ACK | PSH, answered + 1, 1, b"hello");
        talk.s(ACK, 1, answered + 6, b"");
        assert_eq!(talk.to_server(), "hello", "{answered}");
    }
}

#[test]
fn of_different_syn_acks_the_acknowledged_one_counts() {
    let mut talk = Talk::new();
    talk.c(SYN, 0, 0, b"");
    talk.s(SYN | ACK, 500, 1, b"");
    talk.s(SYN | ACK, 0, 1, b"");
    assert_eq!(talk.c(ACK, 1, 1, b"").state, TcpState::Established);
    talk.s(ACK | PSH, 1, 1, b"hello");
    talk.c(ACK, 1, 6, b"");
    assert_eq!(talk.to_client(), "hello");
}

#[test]
fn no_more_handshakes_are_kept_than_configured() {
    let mut talk = Talk::new();
    talk.c(SYN, 0, 0, b"");
    talk.s(SYN | ACK, 0, 1, b"");
    for at in 1..=5 {
        assert!(talk.s(SYN | ACK, at, 1, b"").valid);
    }
    assert!(talk.s(SYN | ACK, 3, 1, b"").valid);
    let done = talk.s(SYN | ACK, 6, 1, b"");
    assert!(!done.valid && done.events.has(Event::StreamThreeWaySynackFlood));
}

#[test]
fn a_lost_last_packet_is_made_up_by_what_follows() {
    // By the client's data further on.
    let mut talk = Talk::new();
    talk.c(SYN, 0, 0, b"");
    talk.s(SYN | ACK, 0, 1, b"");
    assert_eq!(talk.c(ACK | PSH, 11, 1, b"more").state, TcpState::Established);
    talk.s(ACK, 1, 15, b"");
    assert_eq!(talk.to_server(), "_more");
    // By the server's data.
    let mut talk = Talk::new();
    talk.c(SYN, 0, 0, b"");
    talk.s(SYN | ACK, 0, 1, b"");
    assert_eq!(talk.s(ACK | PSH, 1, 11, b"hello").state, TcpState::Established);
    talk.c(ACK, 11, 6, b"");
    talk.c(ACK | PSH, 11, 6, b"bye");
    talk.s(ACK, 6, 14, b"");
    assert_eq!((talk.to_server(), talk.to_client()), ("_bye", "hello"));
}

#[test]
fn both_sides_may_open_at_once() {
    let mut talk = Talk::new();
    talk.c(SYN, 0, 0, b"");
    talk.s(SYN, 0, 0, b"");
    assert_eq!(talk.c(SYN | ACK, 0, 1, b"").state, TcpState::SynRecv);
    assert_eq!(talk.s(SYN | ACK, 0, 1, b"").state, TcpState::Established);
    talk.c(ACK | PSH, 1, 1, b"hello");
    talk.s(ACK | PSH, 1, 6, b"hi");
    talk.c(ACK, 6, 3, b"");
    assert_eq!((talk.to_server(), talk.to_client()), ("hello", "hi"));
}

#[test]
fn a_handshake_may_be_split_in_four() {
    let mut talk = Talk::new();
    talk.c(SYN, 0, 0, b"");
    talk.s(SYN, 0, 0, b"");
    assert!(!talk.c(SYN | ACK, 0, 7, b"").valid);
    talk.c(SYN | ACK, 0, 1, b"");
    assert_eq!(talk.s(ACK, 1, 1, b"").state, TcpState::Established);
    talk.c(ACK | PSH, 1, 1, b"hello");
    talk.s(ACK, 1, 6, b"");
    assert_eq!(talk.to_server(), "hello");
}

#[test]
fn data_on_a_syn_counts_with_fast_open_if_acknowledged() {
    let open = |tfo, acknowledged| {
        let mut talk = Talk::new();
        talk.options.tfo = tfo;
        let added = talk.c(SYN, 0, 0, b"early ").added;
        talk.options.tfo = false;
        assert!(talk.s(SYN | ACK, 0, acknowledged, b"").valid);
        assert!(talk.c(ACK | PSH, acknowledged, 1, b"late").valid);
        talk.s(ACK, 1, acknowledged + 4, b"");
        (added, talk.to_server().to_string())
    };
    assert_eq!(open(true, 7), (true, "early late".into()));
    assert_eq!(open(true, 1), (true, "late".into()));
    assert_eq!(open(false, 1), (false, "late".into()));
}

#[test]
fn midstream_takes_up_what_it_sees() {
    let mut talk = Talk::new();
    talk.config.midstream = true;
    let done = talk.c(ACK | PSH, 1, 1, b"GET /");
    assert_eq!((done.valid, done.added, done.state), (true, true, TcpState::Established));
    talk.s(ACK | PSH, 1, 6, b"200 OK");
    talk.c(ACK, 6, 7, b"");
    assert_eq!((talk.to_server(), talk.to_client()), ("GET /", "200 OK"));
}

#[test]
fn midstream_turns_round_at_a_syn_ack() {
    let mut talk = Talk::new();
    talk.config.midstream = true;
    let (client, server) = (talk.isn[0], talk.isn[1]);
    talk.isn = [server, client];
    let done = talk.c(SYN | ACK, 0, 1, b"");
    assert!(done.valid && done.swapped);
    talk.isn = [client, server];
    assert_eq!(talk.c(ACK, 1, 1, b"").state, TcpState::Established);
    talk.c(ACK | PSH, 1, 1, b"hello");
    talk.s(ACK, 1, 6, b"");
    assert_eq!(talk.to_server(), "hello");
}

#[test]
fn a_side_that_is_alone_is_followed_if_configured() {
    for oneside in [true, false] {
        let mut talk = Talk::new();
        talk.config.async_oneside = oneside;
        talk.c(SYN, 0, 0, b"");
        let state = talk.c(ACK, 1, 1, b"").state;
        talk.c(ACK | PSH, 1, 1, b"one ");
        talk.c(ACK | PSH, 5, 2000, b"two ");
        talk.c(ACK | PSH, 9, 4000, b"three");
        if oneside {
            assert_eq!((state, talk.to_server()), (TcpState::Established, "one two "));
            talk.session.flush();
            talk.take_app();
            assert_eq!(talk.to_server(), "one two three");
        } else {
            assert_eq!((state, talk.to_server()), (TcpState::SynSent, ""));
        }
    }
}
