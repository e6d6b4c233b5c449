//! What of the data between both ends is part of the streams.

use super::*;

#[test]
fn data_is_offered_once_acknowledged_and_at_the_end() {
    let mut talk = Talk::established();
    assert!(talk.c(ACK | PSH, 1, 1, b"hello").added);
    assert_eq!(talk.to_server(), "");
    talk.s(ACK, 1, 6, b"");
    assert_eq!(talk.to_server(), "hello");
    talk.c(ACK | PSH, 6, 1, b" world");
    assert!(talk.session.has_pending(ToServer));
    talk.session.flush();
    talk.take_app();
    assert_eq!(talk.to_server(), "hello world");
}

#[test]
fn a_retransmission_is_known_and_changes_nothing() {
    let mut talk = Talk::established();
    talk.c(ACK | PSH, 1, 1, b"hello");
    let done = talk.c(ACK | PSH, 1, 1, b"hello");
    assert!(done.valid && done.added && !again(&done).0);
    let done = talk.c(ACK | PSH, 1, 1, b"HELLO");
    assert!(done.events.has(Event::StreamReassemblyOverlapDifferentData));
    talk.s(ACK, 1, 6, b"");
    assert_eq!(talk.to_server(), "hello");
}

/// Is the packet told to repeat what was acknowledged, and, of a connection that is being closed, what was sent?
fn again(done: &TcpOutcome) -> (bool, bool) {
    let events = &done.events;
    (events.has(Event::StreamPktSpuriousRetransmission), events.has(Event::StreamPktRetransmission))
}

#[test]
fn what_was_acknowledged_is_sent_again_for_nothing() {
    let mut talk = Talk::established();
    talk.c(ACK | PSH, 1, 1, b"hello");
    assert_eq!(again(&talk.c(ACK | PSH, 1, 1, b"hello")), (false, false), "on its way");
    talk.s(ACK, 1, 6, b"");
    assert_eq!(again(&talk.c(ACK | PSH, 1, 1, b"hello")), (true, false));
    assert_eq!(again(&talk.c(ACK, 5, 1, b"o")), (false, false), "a keep-alive");
    assert_eq!(again(&talk.c(ACK | PSH, 4, 1, b"lo, world")), (false, false), "more than that");
    talk.s(ACK, 1, 13, b"");
    assert_eq!(again(&talk.c(ACK | PSH, 1, 1, b"he")), (true, false));
    talk.c(FIN | ACK, 13, 1, b"");
    assert_eq!(again(&talk.c(ACK | PSH, 4, 1, b"lo, world")), (true, true));
    talk.s(FIN | ACK, 1, 14, b"");
    talk.c(ACK, 14, 2, b"");
    assert_eq!(talk.session.state(), TcpState::Closed);
    assert_eq!(again(&talk.c(ACK | PSH, 4, 2, b"lo, world")), (true, false));
}

#[test]
fn acknowledged_bytes_are_not_replaced() {
    let mut talk = Talk::established();
    talk.c(ACK | PSH, 5, 1, b"XXXX");
    talk.c(ACK | PSH, 1, 1, b"aaaa");
    talk.s(ACK, 1, 9, b"");
    talk.c(ACK | PSH, 3, 1, b"ZZZZZZZZ");
    let window = talk.session.raw_window(ToServer);
    assert_eq!(window.data, b"aaaaXXXX");
    talk.s(ACK, 1, 11, b"");
    assert_eq!(talk.session.raw_window(ToServer).data, b"aaaaXXXXZZ");
}

#[test]
fn a_hole_is_passed_when_what_follows_is_acknowledged() {
    let mut talk = Talk::established();
    talk.c(ACK | PSH, 1, 1, b"one ");
    talk.c(ACK | PSH, 9, 1, b"three");
    let done = talk.s(ACK, 1, 5, b"");
    assert!(!done.events.has(Event::StreamReassemblySeqGap));
    assert_eq!(talk.to_server(), "one ");
    let done = talk.s(ACK, 1, 14, b"");
    assert!(done.events.has(Event::StreamReassemblySeqGap));
    assert_eq!(talk.to_server(), "one _three");
}

#[test]
fn acknowledgments_may_come_before_the_data() {
    let mut talk = Talk::established();
    talk.s(ACK, 1, 10, b"");
    talk.c(ACK | PSH, 1, 1, b"hello");
    talk.c(ACK | PSH, 6, 1, b" all");
    assert_eq!(talk.to_server(), "hello all");
}

#[test]
fn what_is_out_of_the_window_is_no_part_of_the_stream() {
    let mut talk = Talk::established();
    talk.c(ACK | PSH, 1, 1, b"hello");
    let done = talk.c(ACK | PSH, 20_000_000, 1, b"far");
    assert!(!done.valid && !done.added && done.events.has(Event::StreamEstPacketOutOfWindow));
    talk.s(ACK, 1, 6, b"");
    assert!(!talk.c(ACK | PSH, 1, 1, b"old").valid);
    let done = talk.s(ACK, 1, 20_000_000, b"");
    assert!(!done.valid && done.events.has(Event::StreamEstInvalidAck));
    assert_eq!(talk.to_server(), "hello");
}

#[test]
fn windows_are_scaled_only_if_both_sides_say_so() {
    let reach = |client: Option<u8>, server: Option<u8>| {
        let mut talk = Talk::new();
        talk.options.wscale = client;
        talk.c(SYN, 0, 0, b"");
        talk.options.wscale = server;
        talk.s(SYN | ACK, 0, 1, b"");
        talk.options.wscale = None;
        talk.c(ACK, 1, 1, b"");
        talk.s(ACK, 1, 1, b"");
        talk.c(ACK, 60_000, 1, b"x").valid
    };
    assert!(reach(Some(2), Some(3)));
    assert!(!reach(None, Some(3)));
    assert!(!reach(Some(2), None));
}

#[test]
fn without_the_ack_flag_data_does_not_count() {
    let mut talk = Talk::established();
    let done = talk.c(PSH, 1, 0, b"hello");
    assert!(done.valid && !done.added);
}

#[test]
fn an_old_timestamp_makes_a_packet_invalid() {
    let mut talk = Talk::new();
    talk.options.timestamps = Some((1000, 0));
    let mut talk = talk.open();
    assert!(talk.c(ACK | PSH, 1, 1, b"hello").added);
    talk.options.timestamps = Some((900, 0));
    let done = talk.c(ACK | PSH, 6, 1, b"XXXXX");
    assert!(!done.valid && done.events.has(Event::StreamPktInvalidTimestamp));
    talk.options.timestamps = Some((1001, 0));
    assert!(talk.c(ACK | PSH, 6, 1, b" back").added);
    // After 24 days it says nothing any more (RFC 7323, 5.5).
    talk.options.timestamps = Some((5, 0));
    assert!(!talk.c(ACK | PSH, 11, 1, b"!").valid);
    talk.now += 25 * 24 * 3600 * 1_000_000_000;
    assert!(talk.c(ACK | PSH, 11, 1, b"!").valid);
}

#[test]
fn keep_alives_and_their_answers_are_no_data() {
    let mut talk = Talk::established();
    talk.c(ACK | PSH, 1, 1, b"hello");
    talk.s(ACK, 1, 6, b"");
    let done = talk.c(ACK, 5, 1, b"\0");
    assert!(done.valid && !done.added && done.keep_alive);
    assert!(talk.s(ACK, 1, 6, b"").keep_alive);
    talk.c(ACK | PSH, 6, 1, b"!");
    talk.s(ACK, 1, 7, b"");
    assert_eq!(talk.to_server(), "hello!");
}

#[test]
fn a_closed_window_may_be_probed_with_a_byte() {
    let mut talk = Talk::established();
    talk.c(ACK | PSH, 1, 1, b"hello");
    talk.window = 0;
    talk.s(ACK, 1, 6, b"");
    talk.window = 8192;
    let done = talk.c(ACK, 6, 1, b"!");
    assert!(done.valid && done.zero_window_probe);
    talk.s(ACK, 1, 6, b"");
    talk.c(ACK, 6, 1, b"! and more");
    talk.s(ACK, 1, 16, b"");
    assert_eq!(talk.to_server(), "hello! and more");
}

#[test]
fn raw_inspection_waits_for_a_chunk_unless_asked() {
    let mut talk = Talk::established();
    talk.config.chunk_range = 0;
    let payload = [b'x'; 1400];
    talk.c(ACK | PSH, 1, 1, &payload);
    talk.s(ACK, 1, 1401, b"");
    assert!(!talk.session.raw_ready(ToServer, &talk.config));
    talk.session.trigger_raw(ToServer);
    assert!(talk.session.raw_ready(ToServer, &talk.config));
    let end = talk.session.raw_window(ToServer).end();
    talk.session.raw_consumed(ToServer, end);
    assert!(!talk.session.raw_ready(ToServer, &talk.config));
    talk.c(ACK | PSH, 1401, 1, &payload);
    talk.c(ACK | PSH, 2801, 1, &payload);
    assert!(!talk.session.raw_ready(ToServer, &talk.config));
    talk.s(ACK, 1, 4201, b"");
    assert!(talk.session.raw_ready(ToServer, &talk.config));
    let window = talk.session.raw_window(ToServer);
    assert_eq!((window.new_from, window.data.len()), (512, 512 + 2800));
    assert_eq!(window.stream_offset, 1400 - 512);
}

#[test]
fn a_segment_at_the_end_of_its_stream_is_shown_with_what_stands_before_it() {
    let mut talk = Talk::established();
    assert!(talk.c(ACK | PSH, 1, 1, b"abc").appended);
    assert!(talk.c(ACK | PSH, 4, 1, b"defg").appended);
    let tail = talk.session.raw_tail(ToServer, 4, 2).unwrap();
    assert_eq!((tail.data, tail.new_from, tail.stream_offset), (&b"bcdefg"[..], 2, 1));
    assert!(tail.padded.len() >= tail.data.len() + 16);
    // Again, overlapping, behind a hole, and into the hole.
    assert!(!talk.c(ACK | PSH, 4, 1, b"defg").appended);
    assert!(!talk.c(ACK | PSH, 6, 1, b"fghi").appended);
    assert!(talk.c(ACK | PSH, 20, 1, b"xyz").appended);
    let tail = talk.session.raw_tail(ToServer, 3, 8).unwrap();
    assert_eq!((tail.data, tail.new_from, tail.stream_offset), (&b"xyz"[..], 0, 19));
    assert!(!talk.c(ACK | PSH, 10, 1, b"0123456789").appended);
    talk.session.disable_raw(ToServer);
    assert!(talk.session.raw_tail(ToServer, 3, 8).is_none());
}

#[test]
fn beyond_the_depth_bytes_are_counted_and_inspection_does_not_wait() {
    let mut talk = Talk::new();
    talk.config.depth = 8;
    let mut talk = talk.open();
    let done = talk.c(ACK | PSH, 1, 1, b"hello world");
    assert!(done.added && done.beyond_depth == 3 && talk.session.depth_reached(ToServer));
    talk.s(ACK, 1, 12, b"");
    assert_eq!(talk.to_server(), "hello wo");
    assert!(talk.session.raw_ready(ToServer, &talk.config));
    let done = talk.c(ACK | PSH, 12, 1, b"more");
    assert!(done.valid && !done.added && done.beyond_depth == 4);
}

#[test]
fn without_memory_payload_is_dropped_and_said_so() {
    let mut talk = Talk::established();
    talk.memory = Memory::new(100);
    let done = talk.c(ACK | PSH, 1, 1, &[b'x'; 500]);
    assert!(done.valid && !done.added && done.memcap_dropped);
    assert_eq!(talk.memory.used(), 0);
}

#[test]
fn a_direction_that_nobody_wants_is_not_stored() {
    let mut talk = Talk::established();
    talk.session.disable_app(ToServer);
    talk.session.disable_raw(ToServer);
    let done = talk.c(ACK | PSH, 1, 1, b"secret");
    assert!(done.valid && !done.added && talk.session.is_disabled(ToServer));
    assert!(talk.s(ACK | PSH, 1, 7, b"open").added);
    talk.c(ACK, 7, 5, b"");
    assert_eq!((talk.to_server(), talk.to_client()), ("", "open"));
}

impl Talk {
    /// The client sends data of which the urgent pointer names the byte before `pointer`.
    fn urgent(&mut self, seq: u32, pointer: u16, payload: &[u8]) -> TcpOutcome {
        self.segment(ToServer, ACK | PSH | wire::tcp_flag::URG, (seq, 1), pointer, payload)
    }
}

#[test]
fn urgent_data_is_read_as_the_policy_says() {
    use super::super::UrgentPolicy::{Drop, Gap, Inline, OutOfBand};
    let read = |policy| {
        let mut talk = Talk::established();
        talk.config.urgent = policy;
        talk.c(ACK | PSH, 1, 1, b"GET /");
        assert!(talk.urgent(6, 3, b"ev!il").valid);
        // The same again, as if it had been lost.
        assert!(talk.urgent(6, 3, b"ev!il").valid);
        talk.c(ACK | PSH, 11, 1, b" HTTP");
        talk.s(ACK, 1, 16, b"");
        talk.to_server().to_owned()
    };
    assert_eq!(read(OutOfBand), "GET /evil HTTP");
    assert_eq!(read(Inline), "GET /ev!il HTTP");
    assert_eq!(read(Drop), "GET /_ HTTP");
    assert_eq!(read(Gap), "GET /ev_il HTTP");
}

#[test]
fn an_urgent_byte_before_what_is_stored_already_stays() {
    let mut talk = Talk::established();
    talk.config.urgent = super::super::UrgentPolicy::OutOfBand;
    talk.c(ACK | PSH, 4, 1, b"def");
    talk.urgent(1, 2, b"abc");
    talk.s(ACK, 1, 7, b"");
    assert_eq!(talk.to_server(), "abcdef");
}

#[test]
fn what_the_other_side_acknowledges_and_was_never_seen_is_missed_until_it_comes() {
    let mut talk = Talk::established();
    talk.c(ACK, 1, 1, b"first");
    // "lost-one" and the end of the answer are not in the mirror.
    talk.c(ACK, 14, 1, b"third");
    assert_eq!(talk.session.missed(), (0, 18), "nobody has acknowledged it");
    talk.s(ACK, 1, 19, b"answer");
    assert_eq!(talk.session.missed(), (8, 24));
    assert!(!talk.session.has_carried_more());
    assert_eq!(talk.session.take_carried(false), (8, 0));
    assert_eq!(talk.session.take_carried(false), (0, 0));
    talk.c(ACK, 19, 107, b"");
    assert_eq!(talk.session.missed(), (108, 124));
    // Retransmissions of what was seen change nothing.
    talk.c(ACK, 14, 107, b"third");
    assert_eq!(talk.session.missed().0, 108);
    assert_eq!(talk.session.take_carried(false), (0, 0), "what is behind all may still come");
    assert_eq!(talk.session.take_carried(true), (100, 124));
}

#[test]
fn what_a_long_connection_carries_and_misses_is_told_while_it_goes_on() {
    let mut talk = Talk::established();
    let segment = [0; 1024];
    let (mut told, mut times) = ((0, 0), 0);
    for at in 0..3000 {
        let from = 1 + at * 1024;
        // One of four is not in the mirror.
        if at % 4 != 1 {
            talk.c(ACK, from, 1, &segment);
        }
        talk.s(ACK, 1, from + 1024, b"");
        if talk.session.has_carried_more() {
            let news = talk.session.take_carried(false);
            told = (told.0 + news.0, told.1 + news.1);
            times += 1;
            assert!(!talk.session.has_carried_more());
            assert!(told.0.abs_diff(told.1 / 4) <= 1024, "{told:?}");
        }
    }
    assert_eq!((times, told.1), (2, 2 << 20));
    let rest = talk.session.take_carried(true);
    assert_eq!((told.0 + rest.0, told.1 + rest.1), (750 * 1024, 3000 * 1024));
}

#[test]
fn an_acknowledgment_that_comes_before_what_it_acknowledges_is_told() {
    let mut talk = Talk::established();
    assert!(!talk.c(ACK, 1, 1, b"in time").late);
    talk.s(ACK, 1, 16, b"");
    assert!(talk.c(ACK, 8, 1, b"too late").late);
    assert_eq!((talk.to_server(), talk.session.missed().0), ("in timetoo late", 0));
    assert!(!talk.c(ACK, 8, 1, b"too late").late, "only once");
}
