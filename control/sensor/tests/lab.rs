//! `scripts/lab`: the sensor on a mirror port of real clients and servers, in every envelope that this
//! kernel makes; and on a NIC of an emulated machine.

mod common;

use std::process::Command;

use common::{finish, repository};

/// What the script ends with where it cannot run.
const CANNOT: i32 = 77;

#[test]
fn an_attack_raises_the_same_alerts_in_every_envelope_of_the_kernel() {
    let mut lab = Command::new(repository("scripts/lab"));
    lab.args(["span", "--pollux"]).arg(common::binary());
    let run = finish(&mut lab);
    if run.code == Some(CANNOT) {
        eprintln!("skipped: {}", run.stderr);
        return;
    }
    eprintln!("{}", run.stderr);
    run.expect(0).says(&["passed: af_packet af_xdp"]);
}

#[test]
#[ignore = "emulates a machine for some minutes: scripts/test --all"]
fn a_nic_driven_by_dpdk_loses_nothing_on_two_queues_that_it_spreads_itself() {
    let mut lab = Command::new(repository("scripts/lab"));
    lab.args(["nic", "--pollux"]).arg(common::binary());
    let run = finish(&mut lab);
    if run.code == Some(CANNOT) {
        eprintln!("skipped: {}", run.stderr);
        return;
    }
    eprintln!("{}", run.stderr);
    run.expect(0).says(&["nic: passed"]);
}
