//! The flow table against a plain map, with time-outs, evictions and direction.

use std::collections::HashMap;

use proptest::prelude::*;
use wire::builder::Ip;
use wire::{Config, Direction, FlowKey, KeyOrder, LinkType, decode};

use crate::flow::SECOND;
use crate::{Flow, FlowConfig, FlowState, FlowTable, Swept, Timeouts};

/// The key of the `number`-th conversation, and whether its client is the key's first side.
fn key(number: u16, tcp: bool) -> (FlowKey, bool) {
    let ip = Ip::new("10.0.0.9", if number.is_multiple_of(2) { "10.0.0.1" } else { "10.0.0.200" });
    let packet = if tcp {
        ip.tcp(&wire::builder::Tcp::new(1000 + number, 80, 1, 1), b"")
    } else {
        ip.udp(1000 + number, 53, b"x")
    };
    let decoded = decode(LinkType::RawIp, &packet, &Config::default()).unwrap();
    let (key, order) = decoded.flow_key(true).unwrap();
    (key, order == KeyOrder::SrcFirst)
}

fn table(capacity: usize) -> FlowTable<u32> {
    FlowTable::new(&FlowConfig { capacity, hash_seed: Some(1), ..FlowConfig::default() })
}

const START: u64 = 1_700_000_000 * SECOND + 400_000_000;

#[test]
fn both_directions_find_the_same_flow() {
    let mut table = table(16);
    for number in 0..4 {
        let (key, forward) = key(number, false);
        let first = table.lookup_or_insert(&key, forward, START);
        assert!(first.fresh && first.direction == Direction::ToServer);
        table.record(first.id, first.direction, 60, START);
        assert_eq!(table.get(first.id).state(), FlowState::New);
        let back = table.lookup_or_insert(&key, !forward, START + 1);
        assert!(!back.fresh && back.direction == Direction::ToClient && back.id == first.id);
        table.record(back.id, back.direction, 70, START + 1);
        let flow = table.get(back.id);
        assert_eq!((flow.packets, flow.bytes), ([1, 1], [60, 70]));
        assert_eq!(flow.state(), FlowState::Established);
        assert_eq!(table.lookup(&key, START + 2), Some(first.id));
    }
    assert_eq!((table.len(), table.evicted()), (4, 0));
}

#[test]
fn a_flow_ends_in_the_second_after_its_time_out() {
    let mut table = table(16);
    let (key, forward) = key(0, false);
    let id = table.lookup_or_insert(&key, forward, START).id;
    table.record(id, Direction::ToServer, 60, START);
    let ends = (START / SECOND + 31) * SECOND;
    assert!(table.lookup(&key, ends - 1).is_some());
    assert!(table.lookup(&key, ends).is_none());
    table.expire(ends - 1, 0, |_, _| panic!("too early"));
    let mut seen = Vec::new();
    table.expire(ends, 0, |flow, deadline| seen.push((flow.key, deadline)));
    assert_eq!(seen, [(key, ends)]);
    assert_eq!((table.len(), table.swept_until()), (0, ends + SECOND));
}

#[test]
fn a_flow_whose_time_has_passed_is_handed_out_before_a_new_one() {
    let mut table = table(16);
    let (key, forward) = key(0, false);
    let old = table.lookup_or_insert(&key, forward, START).id;
    table.get_mut(old).user = 7;
    let later = table.lookup_or_insert(&key, !forward, START + 40 * SECOND);
    let expired = later.expired.unwrap();
    assert!(later.fresh && !later.evicted && expired.user == 7 && expired.start == START);
    // Who sends first is the client: now the other side.
    assert_eq!(later.direction, Direction::ToServer);
    assert_ne!(table.get(later.id).id, expired.id);
    assert_eq!(table.len(), 1);
}

#[test]
fn a_shorter_time_out_counts_at_once() {
    let mut table = table(16);
    let (key, forward) = key(0, true);
    let id = table.lookup_or_insert(&key, forward, START).id;
    let mut ended = 0;
    table.set_state(id, FlowState::Established);
    table.expire(START + 300 * SECOND, 0, |_, _| ended += 1);
    table.set_state(id, FlowState::Closed);
    table.expire(START + 301 * SECOND, 0, |_, _| ended += 1);
    assert_eq!(ended, 1);
}

#[test]
fn a_full_table_gives_up_a_closed_flow_first_and_hands_it_out() {
    let mut table = table(3);
    for number in 0..3 {
        let (key, forward) = key(number, true);
        let id = table.lookup_or_insert(&key, forward, START + u64::from(number)).id;
        table.set_state(id, FlowState::Established);
        table.record(id, Direction::ToServer, 1, START + u64::from(number) * SECOND);
    }
    let (closed, _) = key(1, true);
    let id = table.lookup(&closed, START).unwrap();
    table.set_state(id, FlowState::Closed);
    for (number, victim) in [(3, 1), (4, 3), (5, 4)] {
        let (new, forward) = key(number, true);
        let found = table.lookup_or_insert(&new, forward, START + 5 * SECOND);
        assert!(found.evicted && found.fresh);
        assert_eq!(found.expired.unwrap().key, key(victim, true).0);
    }
    assert_eq!((table.len(), table.evicted()), (3, 3));
}

#[test]
fn ids_do_not_depend_on_the_table_and_differ_within_it() {
    let mut ids = std::collections::HashSet::new();
    let (mut one, mut other) = (table(4096), FlowTable::<u32>::new(&FlowConfig::default()));
    for number in (0..1000).rev() {
        let (key, forward) = key(number, false);
        let now = START + u64::from(number % 7);
        let id = one.lookup_or_insert(&key, forward, now).id;
        assert!(ids.insert(one.get(id).id) && one.get(id).id < 1 << 53);
        let same = other.lookup_or_insert(&key, forward, now).id;
        assert_eq!(one.get(id).id, other.get(same).id);
    }
    // The same ends at the same time once more.
    let (key, forward) = key(5, false);
    let id = one.lookup(&key, START).unwrap();
    let start = one.get(id).start;
    let (id, old) = one.renew(id, forward, start);
    assert_ne!(one.get(id).id, old.id);
    assert_eq!(one.len(), 1000);
}

#[test]
fn turning_a_flow_round_changes_sides() {
    let mut table = table(4);
    let (key, forward) = key(0, false);
    let id = table.lookup_or_insert(&key, forward, START).id;
    table.record(id, Direction::ToServer, 60, START);
    table.swap_direction(id);
    let flow = table.get(id);
    assert_eq!((flow.packets, flow.direction(forward)), ([0, 1], Direction::ToClient));
}

#[test]
fn draining_goes_by_the_time_of_the_latest_packet() {
    let mut table = table(64);
    for number in 0..40u16 {
        let (key, forward) = key(number, false);
        let id = table.lookup_or_insert(&key, forward, START).id;
        table.record(id, Direction::ToServer, 1, START + u64::from(number * 17 % 40));
    }
    let mut times = Vec::new();
    table.drain(|flow| times.push(flow.last));
    assert!(times.is_sorted() && times.len() == 40 && table.is_empty());
}

#[test]
fn a_small_load_uses_little_memory_of_a_large_table() {
    let mut table = FlowTable::<[u64; 8]>::new(&FlowConfig::default());
    let (key, forward) = key(0, false);
    table.lookup_or_insert(&key, forward, START);
    assert!(table.memory_bytes() < 2 << 20, "{}", table.memory_bytes());
    assert!(size_of::<crate::Flow<u64>>() <= 160, "{}", size_of::<crate::Flow<u64>>());
}

#[test]
fn expiry_within_a_budget_gets_there_in_several_calls() {
    let config = FlowConfig { expire_budget: 10, ..FlowConfig::default() };
    let mut table = FlowTable::<()>::new(&config);
    for number in 0..95 {
        let (key, forward) = key(number, false);
        table.lookup_or_insert(&key, forward, START);
    }
    let now = START + 100 * SECOND;
    let mut ended = 0;
    for call in 1..=9 {
        assert_eq!(table.expire(now, 0, |_, _| ended += 1), Swept::UpTo);
        assert_eq!(ended, call * 10);
        assert!(table.swept_until() <= (START / SECOND + 31) * SECOND);
    }
    assert_eq!(table.expire(now, 0, |_, _| ended += 1), Swept::All);
    assert_eq!((ended, table.swept_until()), (95, (now / SECOND + 1) * SECOND));
}

#[test]
fn flows_that_end_at_once_end_a_few_with_each_packet_and_more_where_they_fall_behind() {
    let mut table = table(1024);
    for number in 0..1000 {
        let (key, forward) = key(number, false);
        table.lookup_or_insert(&key, forward, START);
    }
    let ends = START / SECOND + 31;
    let mut ended = 0;
    let mut go = |at: u64, packets| {
        let before = ended;
        let swept = table.expire(at * SECOND, packets, |_, _| ended += 1);
        (ended - before, swept)
    };
    // All of them fall due in one second.
    go(ends - 1, 64);
    assert_eq!(go(ends, 64), (16, Swept::UpTo));
    assert_eq!(go(ends, 1), (1, Swept::UpTo));
    assert_eq!(go(ends + 1, 64), (16, Swept::UpTo));
    // A second is over and its flows are not: each packet pays for one of them.
    assert_eq!(go(ends + 2, 64), (64, Swept::UpTo));
    assert_eq!(go(ends + 2, 0), (FlowConfig::default().expire_budget, Swept::UpTo));
    let mut calls = 0;
    while go(ends + 3, 64).1 == Swept::UpTo {
        calls += 1;
    }
    assert_eq!((calls, ended, table.swept_until()), (13, 1000, (ends + 4) * SECOND));
}

/// A flow as the model has it.
#[derive(Debug, Clone, Copy)]
struct Known {
    start: u64,
    last: u64,
    state: FlowState,
    client_first: bool,
    packets: [u32; 2],
    tcp: bool,
}

impl Known {
    fn deadline(&self) -> u64 {
        let timeouts = Timeouts::default();
        let timeouts = if self.tcp { timeouts.tcp } else { timeouts.udp };
        let timeout = match self.state {
            FlowState::New => timeouts.new,
            FlowState::Established => timeouts.established,
            FlowState::Closed => timeouts.closed,
        };
        self.last / SECOND + u64::from(timeout) + 1
    }
}

#[test]
fn a_hint_leads_to_the_flow_that_a_look_up_finds() {
    let mut table = table(8);
    for number in 0..8 {
        let (key, forward) = key(number, false);
        let hint = table.hint(&key);
        assert!(table.hinted(hint, &key).is_none());
        let id = table.lookup_or_insert(&key, forward, START).id;
        table.get_mut(id).user = u32::from(number);
    }
    for number in 0..8 {
        let (key, _) = key(number, false);
        let hint = table.hint(&key);
        table.hint_flow(hint);
        assert_eq!(table.hinted(hint, &key).map(|flow| flow.user), Some(u32::from(number)));
    }
}

proptest! {
    #[test]
    fn it_behaves_as_a_map_with_time_outs_and_a_bound(
        ops in proptest::collection::vec((0u16..40, any::<bool>(), 0u64..60, 0u8..12), 1..300),
        capacity in 1usize..30,
        packets in 0u8..65,
    ) {
        let mut table = table(capacity);
        let mut model: HashMap<FlowKey, Known> = HashMap::new();
        let (mut now, mut swept) = (START, START);
        for (number, reversed, step, op) in ops {
            // Long silences now and then.
            now += if step > 55 { step * 10 * SECOND } else { step * SECOND / 8 };
            let tcp = number % 3 == 0;
            let (key, forward) = key(number, tcp);
            if op == 0 {
                let mut ended = Vec::new();
                let mut end = |flow: Flow<_>, deadline| ended.push((flow.key, deadline));
                let before = table.swept_until();
                while table.expire(now, packets.into(), &mut end) == Swept::UpTo {}
                prop_assert!(ended.iter().all(|&(_, deadline)| deadline >= before));
                prop_assert!(table.swept_until() > now);
                let in_order = ended.is_sorted_by_key(|(_, deadline)| *deadline);
                prop_assert!(in_order || now - swept > 1000 * SECOND);
                swept = now;
                for (key, deadline) in ended {
                    let known = model.remove(&key).unwrap();
                    prop_assert_eq!(known.deadline() * SECOND, deadline);
                }
                prop_assert!(model.values().all(|known| known.deadline() > now / SECOND));
                continue;
            }
            let forward = forward != reversed;
            let found = table.lookup_or_insert(&key, forward, now);
            if let Some(gone) = &found.expired {
                let known = model.remove(&gone.key).unwrap();
                prop_assert_eq!((known.start, known.last, known.packets, known.state),
                    (gone.start, gone.last, gone.packets, gone.state()));
                if found.evicted {
                    prop_assert_eq!(model.len() + 1, capacity);
                    let rank = |known: &Known| {
                        (known.state != FlowState::Closed, known.deadline(), known.last)
                    };
                    prop_assert!(model.values().all(|other| rank(&known) <= rank(other)));
                } else {
                    prop_assert!(gone.key == key && known.deadline() <= now / SECOND);
                }
            }
            prop_assert_eq!(found.fresh, !model.contains_key(&key));
            let known = model.entry(key).or_insert(Known {
                start: now, last: now, state: FlowState::New, client_first: forward,
                packets: [0; 2], tcp,
            });
            let direction =
                if forward == known.client_first { Direction::ToServer } else { Direction::ToClient };
            prop_assert_eq!(found.direction, direction);
            table.record(found.id, direction, 1, now);
            known.last = known.last.max(now);
            known.packets[direction.index()] += 1;
            if !tcp && known.packets[0] > 0 && known.packets[1] > 0 {
                known.state = FlowState::Established;
            }
            if tcp && op < 4 {
                known.state =
                    [FlowState::New, FlowState::Established, FlowState::Closed][usize::from(op) - 1];
                table.set_state(found.id, known.state);
            }
            prop_assert_eq!(table.len(), model.len());
            prop_assert!(table.len() <= capacity);
        }
        let mut left = 0;
        table.drain(|flow| {
            left += 1;
            assert!(model.remove(&flow.key).is_some());
        });
        prop_assert!(model.is_empty() && table.is_empty());
    }
}
