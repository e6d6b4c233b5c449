//! Inspection by transaction: which rules a transaction's buffers make candidates, and which of
//! them match once all buffers they ask for are there.

use app::{EventSet, Looked, Tx, buffer_spec};
use hyperscan::{Padded, Scratch};
use rules::ruleset::TransactionList;
use rules::signature::{Buffer, BufferTests, Signature};
use wire::Direction;

use super::content::View;
use super::memo::Look;
use super::{Match, Tools, Unit, admitted, files, session};
use crate::flow_state::FlowState;
use crate::profile::Stage;
use crate::snapshot::{Snapshot, app_buffer};

/// Transactions of a flow that may be open at once before the oldest is let go.
const OPEN_LIMIT: usize = 256;

/// The answer to "does the signature match this transaction?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
    /// A buffer is not there yet.
    Later,
}

impl Tools {
    /// Inspects what is new in the flow's transactions in the unit's direction.
    pub(super) fn transactions(
        &mut self,
        unit: &Unit<'_>,
        snapshot: &Snapshot,
        scratch: &mut Scratch,
        flow: &mut FlowState,
        direction: Direction,
    ) {
        let proto = flow.proto;
        let Some(mut session) = flow.session.take() else { return };
        let (plan, back) = (snapshot.plan(proto, direction), direction.flip());
        // A match in the stream may name a transaction that no rule looks at.
        let needed_back =
            snapshot.settings.guess_transaction || snapshot.plan(proto, back).is_some();
        for id in session.first_tx()..session.next_tx() {
            let Some(looked) = session.looked_mut(id) else { continue };
            let mut state = std::mem::take(looked);
            state.align(snapshot.generation);
            let Some(tx) = session.tx(id) else { continue };
            let fresh = plan
                .is_some_and(|plan| plan.bodies.iter().any(|&buffer| tx.window(buffer).is_some()));
            match plan {
                Some(plan) => {
                    let place = (id, tx, &mut state, fresh);
                    self.transaction(unit, snapshot, scratch, flow, (plan, direction), place);
                }
                // No rule looks at them: they are done with once they are complete.
                None => state.done[direction.index()] |= tx.is_complete(direction),
            }
            // What has nothing to do with the other direction waits for no packet there.
            if !tx.concerns(back) || !needed_back && tx.is_complete(back) {
                state.done[back.index()] = true;
            }
            if let Some(looked) = session.looked_mut(id) {
                *looked = state;
            }
            if fresh {
                session.window_seen(id, direction);
            }
        }
        flow.session = Some(session);
    }

    fn transaction(
        &mut self,
        unit: &Unit<'_>,
        snapshot: &Snapshot,
        scratch: &mut Scratch,
        flow: &mut FlowState,
        (plan, direction): (&crate::snapshot::TransactionPlan, Direction),
        (id, tx, state, fresh): (u64, &Tx, &mut Looked, bool),
    ) {
        let way = direction.index();
        if state.done[way] || !tx.concerns(direction) {
            state.done[way] = true;
            return;
        }
        let progress = tx.progress(direction);
        let complete = tx.is_complete(direction);
        let inspected = state.inspected[way];
        let found = state.found();
        let events = tx.events().without(found.map_or(EventSet::default(), |it| it.events[way]));
        let again = found.is_some_and(|found| found.again[way]);
        if inspected > progress && !complete && events.is_empty() && !fresh && !again {
            return;
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        let mut waiting = Vec::new();
        if found.is_some() {
            let found = state.found_mut();
            waiting = std::mem::take(&mut found.pending[way]);
            found.again[way] = false;
        }
        candidates.extend(waiting.iter().map(|&(number, _)| number));
        if inspected == 0 {
            candidates.extend_from_slice(&plan.always);
        }
        if !events.is_empty() {
            state.found_mut().events[way] = tx.events();
            let new = plan.events.iter().filter(|&&(event, _)| events.contains(event));
            candidates.extend(new.map(|&(_, number)| number));
        }
        self.profiler.enter(Stage::Scan);
        for &(at, buffer, needed) in &plan.lists {
            let Some(list) = snapshot.rules.transaction_lists().get(at) else { continue };
            if needed > progress {
                continue;
            }
            if buffer.is_body() {
                let Some(window) = tx.window(buffer) else { continue };
                // Old bytes only as far as a pattern may straddle, unless it is not the same there.
                let before = list.prefilter.max_len().max(1) - 1;
                let from = match list.transforms.is_empty() {
                    true => window.fresh.saturating_sub(before),
                    false => 0,
                };
                let (began, before) = (self.profiler.now(), candidates.len());
                let in_place = Padded::new(window.padded, from..window.data.len());
                let spare = match in_place.filter(|_| list.transforms.is_empty()) {
                    Some(bytes) => bytes,
                    None => {
                        let bytes = window.data.get(from..).unwrap_or_default();
                        self.transformer.apply(bytes, &list.transforms, &mut self.spare);
                        self.spare.as_padded()
                    }
                };
                let scanned = list.prefilter.scan(spare, scratch, &mut self.queue, &mut candidates);
                self.scan_errors += u64::from(scanned.is_err());
                let found = candidates.len() - before;
                self.profiler.scanned(began, list.prefilter.number(), spare.len(), found);
                continue;
            }
            if needed < inspected {
                continue;
            }
            let mut instance = 0;
            while let Some(bytes) = tx.buffer(buffer, instance) {
                instance += 1;
                self.short(list, (snapshot.generation, at), bytes, scratch, &mut candidates);
            }
        }
        self.profiler.enter(Stage::Verify);
        admitted(&mut candidates, snapshot, || unit.arrival(Some(flow.proto)).of_any_protocol());
        for &number in &candidates {
            let Some(signature) = snapshot.rules.signatures.get(number as usize) else { continue };
            // An event stands for the whole transaction.
            let matched = |way: usize| {
                state.found().is_some_and(|found| found.matched[way].contains(&signature.sid))
            };
            let there = signature.has_transaction_event() && matched(1 - way);
            if matched(way) || there || self.aside.holds(number, unit.now) {
                continue;
            }
            let exceeded = self.verifier.exceeded();
            let mut held = waiting.iter().find(|w| w.0 == number).map_or(0, |&(_, held)| held);
            let began = self.profiler.now();
            let mut files = 0;
            let answer =
                self.answer(unit, signature, flow, (tx, direction), (&mut held, &mut files));
            self.profiler.verified(began, number, answer == Answer::Yes);
            match answer {
                Answer::Yes => {
                    state.found_mut().matched[way].push(signature.sid);
                    let mut files = files::each(files);
                    let file = files.next();
                    let hit = Match { number, tx: Some(id), stream: false, file };
                    self.matched(unit, signature, Some(flow), hit);
                    // each file that fits is told of
                    self.matches.extend(files.map(|at| Match { file: Some(at), ..hit }));
                }
                Answer::No => {}
                Answer::Later if complete => {}
                Answer::Later => {
                    let found = state.found_mut();
                    found.again[way] |= !signature.transaction_tests.is_empty();
                    found.pending[way].push((number, held));
                }
            }
            if self.verifier.exceeded() != exceeded {
                self.aside.strike(number, signature, unit.now);
            }
        }
        candidates.clear();
        self.candidates = candidates;
        state.inspected[way] = progress.saturating_add(1);
        state.done[way] = complete;
    }

    /// Looks for the list's patterns in a buffer that is there as a whole, if that was not done before.
    fn short(
        &mut self,
        list: &TransactionList,
        (generation, at): (u64, usize),
        bytes: &[u8],
        scratch: &mut Scratch,
        candidates: &mut Vec<u32>,
    ) {
        if list.transforms.is_empty() && list.prefilter.finds_none_in(bytes.len()) {
            return;
        }
        let look = self.memo.look(generation, at, bytes, candidates);
        if look == Look::Known {
            return;
        }
        self.transformer.apply(bytes, &list.transforms, &mut self.spare);
        let spare = self.spare.as_padded();
        let (began, before) = (self.profiler.now(), candidates.len());
        let scanned = list.prefilter.scan(spare, scratch, &mut self.queue, candidates);
        self.scan_errors += u64::from(scanned.is_err());
        let found = candidates.get(before..).unwrap_or_default();
        self.profiler.scanned(began, list.prefilter.number(), spare.len(), found.len());
        if let (Look::Again(place), Ok(())) = (look, scanned) {
            self.memo.learn(place, (generation, at), bytes, found);
        }
    }

    fn answer(
        &mut self,
        unit: &Unit<'_>,
        signature: &Signature,
        flow: &FlowState,
        (tx, direction): (&Tx, Direction),
        (held, files): (&mut u64, &mut u64),
    ) -> Answer {
        if !self.conditions(unit, signature, Some(flow)) {
            return Answer::No;
        }
        if !signature.events.iter().all(|&event| tx.events().contains(event)) {
            return Answer::No;
        }
        // What changes a data set is looked at once: when all it looks at is there.
        if signature.extra.as_ref().is_some_and(|extra| extra.changes_data) {
            let waits = |tests: &BufferTests| match app_buffer(tests.buffer, direction) {
                Some(buffer) => buffer_spec(buffer).min_progress > tx.progress(direction),
                None => tests.buffer == Buffer::Payload && unit.window.is_none() && unit.in_stream,
            };
            if signature.buffers.iter().any(waits) {
                return Answer::Later;
            }
        }
        self.verifier.begin();
        let asked = &signature.transaction_tests;
        let mut later = !asked.iter().all(|test| session::holds(test, tx, direction, unit.now));
        for (at, tests) in signature.buffers.iter().enumerate() {
            let passing = tests.buffer.is_body() || tests.buffer == Buffer::Payload;
            let bit = if passing { 1u64.checked_shl(at as u32).unwrap_or(0) } else { 0 };
            if *held & bit != 0 || tests.buffer.is_of_file() {
                continue;
            }
            match self.tests_on(unit, tests, tx, direction) {
                Answer::Yes => *held |= bit,
                Answer::No => return Answer::No,
                Answer::Later => later = true,
            }
        }
        match self.files(signature, tx, direction, files) {
            Answer::No => Answer::No,
            Answer::Yes if !later => Answer::Yes,
            _ => Answer::Later,
        }
    }

    fn tests_on(
        &mut self,
        unit: &Unit<'_>,
        tests: &BufferTests,
        tx: &Tx,
        direction: Direction,
    ) -> Answer {
        let yes_no = |holds| if holds { Answer::Yes } else { Answer::No };
        let Some(buffer) = app_buffer(tests.buffer, direction) else {
            if tests.buffer == Buffer::Payload {
                // The stream as far as it is there; what has left it cannot come again.
                return match unit.window {
                    Some(window) => yes_no(self.window_holds(&tests.tests, window)),
                    None if unit.in_stream => Answer::Later,
                    None => yes_no(
                        self.verifier.holds(&tests.tests, View::whole(unit.payload.as_bytes())),
                    ),
                };
            }
            return yes_no(self.header_buffer_holds(unit, tests));
        };
        if buffer_spec(buffer).min_progress > tx.progress(direction) {
            return Answer::Later;
        }
        if buffer.is_body() {
            let ended = tx.progress(direction) > buffer_spec(buffer).min_progress;
            let holds = tx.window(buffer).is_some_and(|window| {
                let view = View { data: window.data, stream_offset: window.offset, new_from: 0 };
                if tests.transforms.is_empty() {
                    return self.verifier.holds(&tests.tests, view);
                }
                self.transformer.apply(window.data, &tests.transforms, &mut self.spare);
                let data = self.spare.as_bytes();
                self.verifier.holds(&tests.tests, View { data, ..view })
            });
            return match (holds, ended) {
                (true, _) => Answer::Yes,
                (false, true) => Answer::No,
                (false, false) => Answer::Later,
            };
        }
        let mut instance = 0;
        while let Some(bytes) = tx.buffer(buffer, instance) {
            instance += 1;
            let holds = if tests.transforms.is_empty() {
                self.verifier.holds(&tests.tests, View::whole(bytes))
            } else {
                self.transformer.apply(bytes, &tests.transforms, &mut self.spare);
                self.verifier.holds(&tests.tests, View::whole(self.spare.as_bytes()))
            };
            if holds {
                return Answer::Yes;
            }
        }
        Answer::No
    }
}

/// Lets transactions go that both directions are done with, and a parser that knows nothing any more.
pub(crate) fn release(flow: &mut FlowState) {
    let Some(session) = &mut flow.session else { return };
    session.release(OPEN_LIMIT);
    if session.is_idle() {
        forget(flow);
    }
}

/// Lets the parser of a flow go of which nothing more comes, once everything it knows has been looked at.
pub(crate) fn let_go(flow: &mut FlowState) {
    if flow.session.as_ref().is_some_and(|session| session.live_tx_count() == 0) {
        forget(flow);
    }
}

/// Lets the parser go, but for how many transactions it had.
fn forget(flow: &mut FlowState) {
    if let Some(session) = flow.session.take() {
        flow.transactions = session.next_tx() as u32;
    }
}
