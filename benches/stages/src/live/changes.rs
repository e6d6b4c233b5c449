//! Rules that change every second beside rules that stay, by `pollux bench`, and what is lost at four fifths
//! of the rate without loss meanwhile.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use pollux::bench::{Compared, Loss};
use serde::Deserialize;

use super::Row;

/// At most 3 % fewer packets.
const ASKED: f64 = 0.97;

/// Pairs of two seconds for each turn that is asked for.
const PAIRS: u32 = 5;

/// What of `pollux bench`'s answer is of use here.
#[derive(Debug, Deserialize)]
struct Told {
    zero_loss_pps: Option<f64>,
    run: Option<Run>,
    reload_cost: Option<Cost>,
}

#[derive(Debug, Deserialize)]
struct Run {
    packets: u64,
    lost: u64,
    losses: Vec<Loss>,
    pps: f64,
}

#[derive(Debug, Deserialize)]
struct Cost {
    of: Vec<f64>,
    beside: Vec<f64>,
}

/// The row, by the binary that stands beside this program.
///
/// # Errors
/// It is not there, or fails.
pub fn row(rules: &[PathBuf], cache: &Path, turns: u32) -> anyhow::Result<Row> {
    let program = std::env::current_exe()?.with_file_name("pollux");
    let mut command = Command::new(&program);
    command.args(["bench", "--json", "-q", "--reload-every", "1", "--seconds", "2"]);
    let pairs = (turns * PAIRS).to_string();
    command.args(["--ring", "16384", "--turns", &pairs]).arg("--cache").arg(cache);
    for path in rules {
        command.arg("-S").arg(path);
    }
    eprintln!("live: rules that change every second");
    let output = command.output().with_context(|| format!("cannot run {}", program.display()))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} bench failed: {}", program.display(), error.trim());
    let told: Told = serde_json::from_slice(&output.stdout)?;
    let cost = told.reload_cost.context("pollux bench does not tell what reloads cost")?;
    let mut costs = Compared::default();
    for (of, beside) in cost.of.into_iter().zip(cost.beside) {
        costs.add(of, beside);
    }
    let what = "rules that change every second beside none";
    let row = Row::of_sums("reloads", what, "ns", costs, ASKED);
    let (Some(run), Some(zero_loss)) = (told.run, told.zero_loss_pps) else {
        return Ok(Row { met: false, ..row }.noting("no rate without loss was found"));
    };
    let mut note = format!(
        "{} of {} packets lost at {:.0} a second, the rate without loss being {zero_loss:.0}",
        run.lost,
        run.packets + run.lost,
        run.pps
    );
    for loss in run.losses {
        note.push_str(&format!("; {loss}"));
    }
    Ok(Row { met: row.met && run.lost == 0, ..row }.noting(note))
}
