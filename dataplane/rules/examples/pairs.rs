//! Makes `src/ruleset/pairs.txt`: `cargo run -p rules --example pairs -- FILE…`, each file a sample of another
//! kind of traffic (payloads without their headers), all of the same weight.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let samples: Vec<Vec<u8>> =
        std::env::args_os().skip(1).map(std::fs::read).collect::<Result<_, _>>()?;
    if samples.is_empty() {
        return Err("usage: pairs FILE…".into());
    }
    print!("{}", rules::ruleset::pairs::table_of(&samples));
    Ok(())
}
