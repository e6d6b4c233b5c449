//! `attacks NAME N`: one attack of so many packets (or units of 64 bytes) through the engine's core, for
//! `scripts/linear` to count the instructions of. Without arguments: the names.
#![forbid(unsafe_code)]

use anyhow::Context as _;
use benches::attacks::{ATTACKS, Target};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(wanted) = arguments.next() else {
        ATTACKS.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    };
    let (_, attack) = ATTACKS
        .iter()
        .find(|(name, _)| *name == wanted)
        .with_context(|| format!("no attack is called {wanted:?}"))?;
    let size = arguments.next().context("of how many packets?")?.parse()?;
    let mut target = Target::new()?;
    attack(&mut target, size);
    let (packets, inspected) = target.end()?;
    println!("{packets} packets, {inspected} inspected");
    Ok(())
}
