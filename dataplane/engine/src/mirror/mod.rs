//! What a mirror port does to the traffic that it copies, learnt by each core of what comes through
//! its port: nothing of it is decided by the packets of one flow alone.

mod checksums;
mod slices;
pub mod vlans;

pub(crate) use checksums::Checksums;
pub(crate) use slices::Slices;
pub(crate) use vlans::Vlans;

use flow::Flow;

use crate::flow_state::{FlowState, Mark};

/// Packets of a connection after which it is decided whether both of its sides are mirrored.
const JUDGED_AFTER: u32 = 8;

/// Packets that a connection must have had, if it ends before.
const JUDGED_AT_END: u32 = 4;

/// Is it time to say whether both sides of a TCP flow are mirrored? Not of one that nobody answers.
#[inline]
pub(crate) fn is_to_be_judged(flow: &Flow<FlowState>, is_ending: bool) -> bool {
    let enough = if is_ending { JUDGED_AT_END } else { JUDGED_AFTER };
    !flow.user.is(Mark::JUDGED)
        && flow.user.is(Mark::ANSWERED)
        && flow.packets[0] + flow.packets[1] >= enough
}
