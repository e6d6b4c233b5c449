//! Who spreads a port's packets over its workers: the NIC where it can, symmetrically and by the
//! inner-most addresses; else the workers, who hand over what is another's.

use std::sync::Arc;

use dpdk::{Port, SYMMETRIC_KEY};
use engine::spread::{NicSpread, Spread};

use crate::config::SpreadSetting;
use crate::exit::UsageError;

/// The workers of a port among all workers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seats {
    /// The number of its first one.
    pub(super) first: usize,
    /// How many poll a queue.
    pub(super) queues: usize,
    /// How many only take what others hand over.
    pub(super) helpers: usize,
    /// How many workers all ports have.
    pub(super) all: usize,
}

/// Decides, and says in words what it is.
///
/// # Errors
/// When the NIC is to do it and cannot.
pub(super) fn decide(
    setting: SpreadSetting,
    port: &Port,
    seats: Seats,
) -> anyhow::Result<(Spread, String)> {
    if seats.all == 1 {
        return Ok((Spread::Hash, "one worker".to_owned()));
    }
    let nic = match setting {
        SpreadSetting::HandOver => Err("as configured".to_owned()),
        SpreadSetting::Auto if seats.all > seats.queues + seats.helpers => {
            Err("a flow may come by several ports".to_owned())
        }
        SpreadSetting::Auto | SpreadSetting::Nic => by_nic(port, seats),
    };
    match nic {
        Ok((spread, told)) => Ok((spread, told)),
        Err(why) if setting == SpreadSetting::Nic => {
            Err(UsageError(format!("the NIC cannot spread packets: {why}; set spread = \"auto\""))
                .into())
        }
        Err(why) => Ok((Spread::Hash, format!("hand-over between cores ({why})"))),
    }
}

fn by_nic(port: &Port, seats: Seats) -> Result<(Spread, String), String> {
    if seats.queues == 1 {
        return Err("one queue".to_owned());
    }
    if seats.helpers > 0 {
        return Err("more cores than queues".to_owned());
    }
    let Some(rss) = port.rss() else {
        return Err(format!("{} does not hash addresses", port.driver_name()));
    };
    if !rss.confirmed {
        return Err(format!("{} does not confirm the symmetric hash", port.driver_name()));
    }
    let spread = port
        .redirection_table()
        .and_then(|table| NicSpread::new(SYMMETRIC_KEY, &table, seats.first))
        .ok_or_else(|| format!("{} does not tell its redirection table", port.driver_name()))?;
    let told = if rss.innermost {
        "NIC, symmetric by the inner-most addresses"
    } else {
        "NIC, symmetric by the outer addresses; what tunnels carry is handed over between cores"
    };
    Ok((Spread::Nic(Arc::new(spread)), told.to_owned()))
}
