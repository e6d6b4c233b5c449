//! The beginning of a connection: three- and four-way handshakes, fast open, and what is taken up
//! in its midst.

use wire::{Direction, Event, TcpOptions, tcp_flag};

use super::half::MAX_WSCALE;
use super::seq;
use super::session::{Context, Segment, TcpSession, Verdict};
use super::state::TcpState;

const SYN_ACK: u8 = tcp_flag::SYN | tcp_flag::ACK;

/// What the handshake leaves to know.
#[derive(Debug, Default)]
pub(crate) struct Handshake {
    /// Taken up in the midst: windows are not known, but from the other side's packets on.
    pub(crate) midstream: bool,
    /// Only one side is seen.
    pub(crate) one_sided: bool,
    /// Both sides sent a SYN first.
    four_way: bool,
    /// The SYN had fast-open data, or asked for a cookie.
    fast_open: bool,
    /// The client's SYN had a window scale.
    scale_offered: bool,
    /// An ACK completed the handshake in a way that some systems would not accept.
    pub(crate) evasive: bool,
    /// A packet was taken, if only to find that no connection is known.
    pub(crate) has_packets: bool,
    /// Other SYNs, then other SYN/ACKs, than the one taken first, where there are any.
    #[expect(clippy::box_collection, reason = "one word where there are none")]
    others: Option<Box<Vec<Opening>>>,
}

/// A SYN or SYN/ACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Opening {
    seq: u32,
    ack: u32,
    window: u16,
    options: TcpOptions,
}

impl Handshake {
    /// Whether the connection goes its own way: one side is not expected, both have begun, or there were several
    /// SYNs or SYN/ACKs. What is answered is uncertain then.
    pub(crate) fn is_odd(&self) -> bool {
        self.one_sided || self.four_way || self.others.is_some()
    }

    /// The other one that is meant.
    fn other(&self, is_meant: impl Fn(&Opening) -> bool) -> Option<Opening> {
        self.others.iter().flat_map(|others| others.iter()).find(|it| is_meant(it)).copied()
    }
}

impl Opening {
    fn of(segment: &Segment<'_>) -> Self {
        let tcp = segment.tcp;
        Self { seq: tcp.seq, ack: tcp.ack, window: tcp.window, options: segment.options }
    }
}

impl TcpSession {
    /// A packet of a connection that has none yet.
    pub(crate) fn first(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) -> Verdict {
        let config = context.config;
        if segment.has(tcp_flag::RST) {
            return context.refuse(Event::StreamRstButNoSession);
        }
        if segment.has(tcp_flag::FIN) {
            if !config.midstream || segment.payload.is_empty() {
                return context.refuse(Event::StreamFinButNoSession);
            }
            self.pick_up(segment, context);
            let (sender, _) = self.both(context.direction);
            sender.next_seq = segment.tcp.seq;
            return self.finish(segment, context, TcpState::Established);
        }
        if segment.has(SYN_ACK) {
            if !config.midstream && !config.async_oneside {
                return context.refuse(None);
            }
            self.turn_if(Direction::ToServer, context);
            self.begin_with_syn_ack(segment, context);
            return Verdict::Valid;
        }
        if segment.has(tcp_flag::SYN) {
            self.turn_if(Direction::ToClient, context);
            self.begin_with_syn(&Opening::of(segment), context);
            self.handshake.one_sided = config.async_oneside;
            self.handshake.fast_open = segment.options.tfo;
            if segment.options.tfo && !segment.payload.is_empty() {
                let (client, _) = self.both(Direction::ToServer);
                client.next_seq = client.next_seq.wrapping_add(segment.payload.len() as u32);
                self.store(segment.tcp.seq.wrapping_add(1), segment, context);
            }
            return Verdict::Valid;
        }
        if segment.has(tcp_flag::ACK) && config.midstream {
            self.pick_up(segment, context);
            self.store(segment.tcp.seq, segment, context);
            return Verdict::Valid;
        }
        context.refuse(None)
    }

    /// Notes that the first packet's sender is not who its direction says.
    fn turn_if(&self, direction: Direction, context: &mut Context<'_>) {
        if context.direction == direction {
            context.direction = direction.flip();
            context.outcome.swapped = true;
        }
    }

    fn begin_with_syn(&mut self, syn: &Opening, context: &mut Context<'_>) {
        self.state = TcpState::SynSent;
        let (client, server) = self.both(Direction::ToServer);
        client.begin(syn.seq);
        client.seen = true;
        client.begin_timestamps(syn.options.timestamps, context.second);
        // A window in a SYN is never scaled.
        server.window = u32::from(syn.window);
        server.wscale = syn.options.wscale.unwrap_or(0).min(MAX_WSCALE);
        self.handshake.scale_offered = syn.options.wscale.is_some();
    }

    fn begin_with_syn_ack(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) {
        self.state = TcpState::SynRecv;
        self.handshake.midstream = true;
        self.handshake.one_sided = context.config.async_oneside;
        let tcp = segment.tcp;
        let (server, client) = self.both(Direction::ToClient);
        server.begin(tcp.seq);
        server.seen = true;
        server.begin_timestamps(segment.options.timestamps, context.second);
        server.wscale = if segment.options.wscale.is_some() { MAX_WSCALE } else { 0 };
        server.next_win = server.last_ack.wrapping_add(u32::from(u16::MAX) << server.wscale);
        client.begin(tcp.ack.wrapping_sub(1));
        client.timestamps = segment.options.timestamps.is_some();
        client.last_ack = tcp.ack;
        client.window = u32::from(tcp.window);
        client.wscale = segment.options.wscale.unwrap_or(0).min(MAX_WSCALE);
        client.next_win = tcp.ack.wrapping_add(client.window);
    }

    /// Takes a connection up whose beginning was not seen.
    fn pick_up(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) {
        self.state = TcpState::Established;
        self.handshake.midstream = true;
        self.handshake.one_sided = context.config.async_oneside;
        let tcp = segment.tcp;
        let (sender, receiver) = self.both(context.direction);
        sender.begin(tcp.seq.wrapping_sub(1));
        sender.seen = true;
        sender.next_seq = segment.end();
        sender.wscale = MAX_WSCALE;
        sender.last_ack = tcp.seq;
        sender.window = u32::from(tcp.window) << MAX_WSCALE;
        sender.next_win = sender.last_ack.wrapping_add(sender.window);
        sender.begin_timestamps(segment.options.timestamps, context.second);
        receiver.begin(tcp.ack.wrapping_sub(1));
        receiver.wscale = MAX_WSCALE;
        receiver.last_ack = tcp.ack;
        receiver.window = u32::from(tcp.window) << MAX_WSCALE;
        receiver.next_win = receiver.last_ack.wrapping_add(receiver.window);
        if let Some((_, echo)) = segment.options.timestamps {
            receiver.begin_timestamps(Some((echo, 0)), context.second);
        }
    }

    /// A packet after a SYN.
    pub(crate) fn syn_sent(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) -> Verdict {
        let (tcp, direction) = (segment.tcp, context.direction);
        if segment.has(tcp_flag::RST) {
            if !self.reset_fits(segment, context) {
                return Verdict::Invalid;
            }
            let client = &self.halves[Direction::ToServer.index()];
            let takes_back =
                tcp.seq == client.isn && tcp.window == 0 && tcp.ack == client.isn.wrapping_add(1);
            if direction == Direction::ToClient || takes_back {
                self.close_by_reset(segment, context);
            }
            return Verdict::Valid;
        }
        if segment.has(tcp_flag::FIN) {
            return context.refuse(None);
        }
        if segment.has(SYN_ACK) {
            return match direction {
                Direction::ToServer if self.handshake.four_way => {
                    self.four_way_syn_ack(segment, context)
                }
                Direction::ToServer => context.refuse(Event::StreamThreeWaySynackInWrongDirection),
                Direction::ToClient => self.syn_ack(segment, context),
            };
        }
        if segment.has(tcp_flag::SYN) {
            return match direction {
                Direction::ToServer => self.another_syn(segment, context),
                Direction::ToClient => self.four_way_syn(segment, context),
            };
        }
        let wrong_async = (segment.has(tcp_flag::ACK)
            && context.config.async_oneside
            && direction == Direction::ToServer)
            .then_some(Event::StreamThreeWayAsyncWrongSeq);
        let client = &mut self.halves[Direction::ToServer.index()];
        if segment.has(tcp_flag::ACK)
            && context.config.async_oneside
            && direction == Direction::ToServer
            && tcp.seq == client.next_seq
        {
            client.wscale = MAX_WSCALE;
            client.next_win = tcp.seq.wrapping_add(u32::from(u16::MAX) << MAX_WSCALE);
            client.next_seq = segment.end();
            let server = &mut self.halves[Direction::ToClient.index()];
            server.begin(tcp.ack.wrapping_sub(1));
            server.offer(tcp.ack, server.scaled(tcp.window));
            self.handshake.one_sided = true;
            self.state = TcpState::Established;
            self.store(tcp.seq, segment, context);
            return Verdict::Valid;
        }
        context.refuse(wrong_async)
    }

    /// A SYN/ACK that answers the SYN.
    fn syn_ack(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) -> Verdict {
        let ack = segment.tcp.ack;
        let client = &self.halves[Direction::ToServer.index()];
        let plain = client.isn.wrapping_add(1);
        if ack != plain && !(self.handshake.fast_open && ack == client.next_seq) {
            let meant = |syn: &Opening| syn.seq.wrapping_add(1) == ack;
            let Some(syn) = self.handshake.other(meant) else {
                return context.refuse(Event::StreamThreeWaySynackWithWrongAck);
            };
            self.forget_syn_data();
            self.handshake.fast_open = false;
            self.begin_with_syn(&syn, context);
        } else if ack == plain && client.next_seq != plain {
            // The server did not take the data on the SYN: they will be sent again.
            context.note(Event::StreamThreeWaySynackTfoDataIgnored);
            self.forget_syn_data();
        }
        self.handshake.others = None;
        self.take_syn_ack(&Opening::of(segment), context);
        Verdict::Valid
    }

    fn forget_syn_data(&mut self) {
        self.clear_stream(Direction::ToServer);
        let client = &mut self.halves[Direction::ToServer.index()];
        client.begin(client.isn);
    }

    /// Sets the server's side of things from a SYN/ACK.
    fn take_syn_ack(&mut self, opening: &Opening, context: &mut Context<'_>) {
        self.state = TcpState::SynRecv;
        self.handshake.four_way = false;
        self.handshake.one_sided = false;
        let scale = opening.options.wscale.filter(|_| self.handshake.scale_offered);
        let (client, server) = self.both(Direction::ToServer);
        server.begin(opening.seq);
        server.seen = true;
        let timestamps = opening.options.timestamps.filter(|_| client.timestamps);
        server.begin_timestamps(timestamps, context.second);
        client.timestamps &= timestamps.is_some();
        server.next_win = server.last_ack.wrapping_add(server.window);
        client.window = u32::from(opening.window);
        client.last_ack = opening.ack;
        client.stream.acknowledge(opening.ack);
        client.next_win = opening.ack.wrapping_add(client.window);
        if let Some(scale) = scale {
            client.wscale = scale.min(MAX_WSCALE);
        } else {
            (client.wscale, server.wscale) = (0, 0);
        }
    }

    /// A second SYN of the client: the same again, or one that may be the one that counts.
    fn another_syn(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) -> Verdict {
        let syn = Opening::of(segment);
        if syn.seq == self.halves[Direction::ToServer.index()].isn {
            return Verdict::Valid;
        }
        self.remember(syn, Event::StreamThreeWaySynFlood, context)
    }

    fn remember(&mut self, opening: Opening, flood: Event, context: &mut Context<'_>) -> Verdict {
        let others = self.handshake.others.get_or_insert_default();
        if !others.contains(&opening) {
            if others.len() >= context.config.max_handshakes {
                return context.refuse(flood);
            }
            others.push(opening);
        }
        Verdict::Valid
    }

    /// A SYN of the server: a simultaneous open, or a split handshake.
    fn four_way_syn(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) -> Verdict {
        self.handshake.four_way = true;
        self.handshake.one_sided = false;
        let syn = Opening::of(segment);
        let scale = syn.options.wscale.filter(|_| self.handshake.scale_offered);
        let (server, client) = self.both(Direction::ToClient);
        server.begin(syn.seq);
        server.seen = true;
        server.begin_timestamps(syn.options.timestamps, context.second);
        client.window = u32::from(syn.window);
        if let Some(scale) = scale {
            client.wscale = scale.min(MAX_WSCALE);
        } else {
            (client.wscale, server.wscale) = (0, 0);
        }
        Verdict::Valid
    }

    /// The client's SYN/ACK after a SYN of the server.
    fn four_way_syn_ack(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) -> Verdict {
        let tcp = segment.tcp;
        let (client, server) = self.both(Direction::ToServer);
        if tcp.ack != server.next_seq || tcp.seq != client.isn {
            let event = if tcp.ack != server.next_seq {
                Event::StreamFourWaySynackWithWrongAck
            } else {
                Event::StreamFourWaySynackWithWrongSyn
            };
            return context.refuse(event);
        }
        server.window = u32::from(tcp.window);
        server.last_ack = tcp.ack;
        server.next_win = tcp.ack.wrapping_add(server.window);
        client.last_ack = client.isn.wrapping_add(1);
        client.next_win = client.last_ack.wrapping_add(client.window);
        let timestamps = segment.options.timestamps.filter(|_| server.timestamps);
        client.begin_timestamps(timestamps, context.second);
        server.timestamps &= timestamps.is_some();
        self.state = TcpState::SynRecv;
        Verdict::Valid
    }

    /// A packet after a SYN/ACK.
    pub(crate) fn syn_received(
        &mut self,
        segment: &Segment<'_>,
        context: &mut Context<'_>,
    ) -> Verdict {
        let (tcp, direction) = (segment.tcp, context.direction);
        if segment.has(tcp_flag::RST) {
            if !self.reset_fits(segment, context) {
                return Verdict::Invalid;
            }
            // A system that went on after the odd ACK does not mind this reset either.
            if !(self.handshake.evasive && context.config.policy.reset_in_window()) {
                self.close_by_reset(segment, context);
            }
            return Verdict::Valid;
        }
        if segment.has(tcp_flag::FIN) {
            return self.finish(segment, context, TcpState::SynRecv);
        }
        if segment.has(SYN_ACK) {
            let (server, client) = self.both(Direction::ToClient);
            let split = server.seen && client.seen && tcp.seq == server.isn;
            if direction == Direction::ToServer || (tcp.ack != client.last_ack && !split) {
                let event = if direction == Direction::ToServer {
                    Event::StreamThreeWaySynackToserverOnSynRecv
                } else {
                    Event::StreamThreeWaySynackResendWithDiffAck
                };
                return context.refuse(event);
            }
            if tcp.seq != server.isn {
                let flood = Event::StreamThreeWaySynackFlood;
                return self.remember(Opening::of(segment), flood, context);
            }
            if self.handshake.four_way {
                // The server's SYN/ACK of a simultaneous open: both are open now.
                return self.four_way_ack(segment, context);
            }
            return Verdict::Valid;
        }
        if segment.has(tcp_flag::SYN) {
            let client = &self.halves[Direction::ToServer.index()];
            if direction == Direction::ToClient || tcp.seq != client.isn {
                let event = if direction == Direction::ToClient {
                    Event::StreamThreeWaySynToclientOnSynRecv
                } else {
                    Event::StreamThreeWaySynResendDiffSeqOnSynRecv
                };
                return context.refuse(event);
            }
            return Verdict::Valid;
        }
        if segment.has(tcp_flag::ACK) { self.ack(segment, context) } else { Verdict::Valid }
    }

    /// The server's last packet of a four-way handshake.
    fn four_way_ack(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) -> Verdict {
        if !self.timestamp_fits(segment, context) {
            return Verdict::Invalid;
        }
        let tcp = segment.tcp;
        let is_syn = segment.has(tcp_flag::SYN);
        let (server, client) = self.both(Direction::ToClient);
        let expected = if is_syn { server.isn } else { server.next_seq };
        if tcp.seq != expected || seq::gt(tcp.ack, client.next_win) {
            let event = if tcp.seq != expected {
                Event::StreamFourWayWrongSeq
            } else {
                Event::StreamFourWayInvalidAck
            };
            return context.refuse(event);
        }
        let window = if is_syn { u32::from(tcp.window) } else { client.scaled(tcp.window) };
        client.offer(tcp.ack, window);
        if !is_syn {
            server.next_seq = segment.end();
        }
        self.state = TcpState::Established;
        if !is_syn {
            self.store(tcp.seq, segment, context);
        }
        Verdict::Valid
    }

    /// The ACK that completes the handshake, or the first packet after it when that was lost.
    fn ack(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) -> Verdict {
        let (tcp, direction) = (segment.tcp, context.direction);
        if direction == Direction::ToServer {
            let meant =
                |other: &Opening| other.seq.wrapping_add(1) == tcp.ack && other.ack == tcp.seq;
            if let Some(other) = self.handshake.other(meant) {
                self.take_syn_ack(&other, context);
            }
        }
        if !self.timestamp_fits(segment, context) {
            return Verdict::Invalid;
        }
        if direction == Direction::ToClient {
            if self.handshake.four_way {
                return self.four_way_ack(segment, context);
            }
            return self.ack_of_the_server(segment, context);
        }
        let (midstream, fast_open) = (self.handshake.midstream, self.handshake.fast_open);
        let (client, server) = self.both(Direction::ToServer);
        let next = tcp.seq == client.next_seq;
        // With fast open the server may have sent before, unseen by us.
        let early = fast_open && seq::leq(tcp.ack, server.next_win);
        let acknowledges = tcp.ack == server.next_seq || (early && seq::gt(tcp.ack, server.isn));
        // What comes later in the window means that packets in between were lost.
        let later =
            seq::gt(tcp.seq, client.next_seq) && (seq::leq(tcp.seq, client.next_win) || midstream);
        if !acknowledges || !(next || later) {
            self.handshake.evasive |= next;
            let event = if next {
                Event::StreamThreeWayRightSeqWrongAckEvasion
            } else {
                Event::StreamThreeWayWrongSeqWrongAck
            };
            return context.refuse(event);
        }
        let (client, server) = self.both(Direction::ToServer);
        client.seen = true;
        client.next_seq = segment.end();
        client.next_win = client.last_ack.wrapping_add(client.window);
        server.offer(tcp.ack, server.scaled(tcp.window));
        if let Some((value, _)) = segment.options.timestamps {
            client.take_timestamp(value, tcp.seq, context.second);
        }
        // Data that comes with the last packet of the handshake is that of an established flow.
        context.outcome.was_established |= !segment.payload.is_empty();
        self.complete(segment, context)
    }

    /// A packet of the server while the client's ACK is outstanding: that was lost, or not needed.
    fn ack_of_the_server(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) -> Verdict {
        let tcp = segment.tcp;
        let one_sided = self.handshake.one_sided;
        let (server, client) = self.both(Direction::ToClient);
        let window_end = client.last_ack.wrapping_add(client.scaled(u16::MAX));
        let acknowledges = seq::geq(tcp.ack, client.last_ack) && seq::leq(tcp.ack, window_end);
        if tcp.seq != server.next_seq || !(acknowledges || one_sided) {
            return context.refuse(Event::StreamThreeWayAckInWrongDir);
        }
        server.next_seq = segment.end();
        server.acknowledge(tcp.seq);
        server.next_win = server.last_ack.wrapping_add(server.window.max(u32::from(u16::MAX)));
        client.offer(tcp.ack, client.scaled(tcp.window));
        if seq::lt(client.next_seq, tcp.ack) {
            client.next_seq = tcp.ack;
        }
        self.complete(segment, context)
    }

    fn complete(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) -> Verdict {
        self.handshake.others = None;
        self.state = TcpState::Established;
        self.store(segment.tcp.seq, segment, context);
        Verdict::Valid
    }
}
