//! How connections end, and what begins after.

use super::*;

#[test]
fn the_client_closes_first() {
    let mut talk = Talk::established();
    assert_eq!(talk.c(FIN | ACK, 1, 1, b"bye").state, TcpState::CloseWait);
    assert_eq!(talk.s(ACK, 1, 5, b"").state, TcpState::CloseWait);
    assert_eq!(talk.to_server(), "bye");
    assert!(talk.session.raw_ready(ToServer, &talk.config));
    assert!(talk.s(ACK | PSH, 1, 5, b"last words").added);
    assert_eq!(talk.s(FIN | ACK, 11, 5, b"").state, TcpState::LastAck);
    let done = talk.c(ACK, 5, 12, b"");
    assert_eq!((done.state, done.closed), (TcpState::Closed, true));
    assert_eq!(talk.to_client(), "last words");
}

#[test]
fn the_server_closes_first() {
    let mut talk = Talk::established();
    assert_eq!(talk.s(FIN | ACK, 1, 1, b"").state, TcpState::FinWait1);
    assert_eq!(talk.c(ACK, 1, 2, b"").state, TcpState::FinWait2);
    assert_eq!(talk.c(FIN | ACK, 1, 2, b"").state, TcpState::TimeWait);
    assert_eq!(talk.s(ACK, 2, 2, b"").state, TcpState::Closed);
}

#[test]
fn both_close_at_once() {
    let mut talk = Talk::established();
    talk.s(FIN | ACK, 1, 1, b"");
    assert_eq!(talk.c(FIN | ACK, 1, 1, b"").state, TcpState::TimeWait);
    talk.c(ACK, 2, 2, b"");
    assert_eq!(talk.s(ACK, 2, 2, b"").state, TcpState::Closed);
}

#[test]
fn a_fin_again_changes_nothing_and_one_out_of_the_window_does_not_count() {
    let mut talk = Talk::established();
    assert!(!talk.c(FIN | ACK, 30_000, 1, b"").valid);
    assert_eq!(talk.session.state(), TcpState::Established);
    talk.c(FIN | ACK, 1, 1, b"");
    let done = talk.c(FIN | ACK, 1, 1, b"");
    assert_eq!((done.valid, done.state), (true, TcpState::CloseWait));
}

#[test]
fn data_after_a_fin_that_never_arrived_is_still_followed() {
    let mut talk = Talk::established();
    talk.c(FIN | ACK, 1, 1, b"");
    assert!(talk.c(ACK | PSH, 1, 1, b"attack").added);
    talk.s(ACK, 1, 7, b"");
    assert_eq!(talk.to_server(), "attack");
}

#[test]
fn a_reset_closes_and_offers_what_was_sent_before_it() {
    let mut talk = Talk::established();
    talk.c(ACK | PSH, 1, 1, b"unacknowledged");
    let done = talk.c(RST | ACK, 15, 1, b"and data");
    assert!(done.valid && done.closed && !done.added);
    assert_eq!(talk.to_server(), "unacknowledged");
    assert!(talk.session.raw_ready(ToServer, &talk.config));
    let done = talk.s(ACK | PSH, 1, 15, b"too late");
    assert!(!done.valid && done.events.is_empty());
}

#[test]
fn a_reset_must_be_where_its_receiver_expects_it() {
    let mut talk = Talk::established();
    for (seq, flags) in [(2, RST), (0, RST), (9000, RST)] {
        let done = talk.c(flags, seq, 0, b"");
        assert!(!done.valid);
    }
    assert!(!talk.c(RST | ACK, 1, 30_000, b"").valid);
    assert_eq!(talk.session.state(), TcpState::Established);
    assert!(talk.c(RST, 1, 0, b"").closed);
    // Linux obeys one that is anywhere in the window.
    let mut talk = Talk::established();
    talk.config.policy = crate::tcp::Policy::Linux;
    assert!(!talk.c(RST, 9000, 0, b"").valid);
    assert!(talk.c(RST, 500, 0, b"").closed);
}

#[test]
fn a_refused_connection_is_closed() {
    let mut talk = Talk::new();
    talk.c(SYN, 0, 0, b"");
    talk.isn[1] = 0;
    assert!(!talk.s(RST | ACK, 0, 7, b"").valid);
    assert!(talk.s(RST | ACK, 0, 1, b"").closed);
}

#[test]
fn a_reset_is_taken_back_when_its_sender_goes_on() {
    let mut talk = Talk::established();
    talk.c(ACK | PSH, 1, 1, b"one ");
    talk.s(ACK, 1, 5, b"");
    assert!(talk.c(RST, 5, 0, b"").closed);
    let done = talk.c(ACK | PSH, 5, 1, b"two");
    assert!(done.added && done.events.has(Event::StreamSuspectedRstInject));
    assert_eq!(done.state, TcpState::Established);
    talk.s(ACK, 1, 8, b"");
    assert_eq!(talk.to_server(), "one two");
}

#[test]
fn ports_used_again_make_a_new_connection() {
    let mut talk = Talk::established();
    assert!(!talk.c(SYN, 5000, 0, b"").reuse);
    talk.c(FIN | ACK, 1, 1, b"");
    talk.s(FIN | ACK, 1, 2, b"");
    talk.c(ACK, 2, 2, b"");
    let done = talk.c(SYN, 5000, 0, b"");
    assert!(done.reuse && !done.valid && done.state == TcpState::Closed);
    // The SYN that began it, once more, does not.
    assert!(!talk.c(SYN, 0, 0, b"").reuse);
}
