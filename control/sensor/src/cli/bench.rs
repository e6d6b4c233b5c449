//! `pollux bench`: its flags.

use clap::Args;
use traffic::Envelope;
use traffic::flows::{Mix, Shape};

use super::{ConfigArgs, PlaceArgs};
use crate::config::{Config, ConfigErrors, Loaded};

/// `pollux bench`
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Rules and directories.
    #[command(flatten)]
    pub places: PlaceArgs,
    /// Workers that inspect, each with a ring of its own.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: u16,
    /// Flows that are open at a time.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=16_000_000))]
    pub flows: u32,
    /// Bytes of the frames that carry data.
    #[arg(long, value_name = "BYTES", default_value_t = 1_000, value_parser = frame_bytes)]
    pub frame_bytes: usize,
    /// Packets of a flow that carry data, beside handshake, request and end.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = data_packets)]
    pub data_packets: usize,
    /// Protocols by weight, of http, dns and tls.
    #[arg(long, value_name = "NAME=WEIGHT,…", default_value = "http=6,dns=2,tls=2", value_parser = mix_text)]
    pub mix: String,
    /// What is around every packet: none, vlan, qinq, mpls, ipip, gre, erspan, vxlan or geneve.
    #[arg(long, value_name = "NAME", default_value = "none", value_parser = envelope)]
    pub envelope: Envelope,
    /// How many flows of a hundred are with an endpoint in scope.
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub scoped: u32,
    /// Packets a second, in place of a search for the rate without loss.
    #[arg(long, value_name = "PACKETS")]
    pub rate: Option<u64>,
    /// Seconds of each run.
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0, value_parser = positive)]
    pub seconds: f64,
    /// How far apart the rate without loss and one with may be when the search ends.
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0, value_parser = positive)]
    pub width: f64,
    /// The share of the rate without loss at which it runs at the end. With changes, and without --rate, that rate must
    /// first hold under them, too, and then is always that share of what the workers can take at the time.
    #[arg(long, value_name = "PERCENT", default_value_t = 80.0, value_parser = positive)]
    pub at: f64,
    /// Change the rules so often, without and with: what that costs.
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    pub reload_every: Option<f64>,
    /// Let pods come, go and change their labels so often, without and with, as with rules.
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    pub churn_every: Option<f64>,
    /// How often the runs without and with changes take turns.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub turns: u32,
    /// Let the run at the share of the rate without loss last so long, and take it for an error if it
    /// loses one packet in ten thousand, or if memory grows from its second quarter to its last.
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    pub soak: Option<f64>,
    /// By how much memory may grow in a soak.
    #[arg(long, value_name = "PERCENT", default_value_t = 2.0, value_parser = positive)]
    pub growth: f64,
    /// Packets that wait in a ring: what does not fit is lost.
    #[arg(long, value_name = "PACKETS", default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(64..=1 << 20))]
    pub ring: u32,
    /// What everything drawn at random follows from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Answer in JSON.
    #[arg(long)]
    pub json: bool,
}

impl BenchArgs {
    /// The configuration with what the flags say over it.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn load(&self) -> Result<Loaded, ConfigErrors> {
        let mut loaded = Config::load(&self.config.sources(None))?;
        self.places.apply(&mut loaded.config);
        Ok(loaded)
    }

    /// What the generator is to make.
    pub fn shape(&self) -> Shape {
        Shape {
            flows: self.flows,
            frame_bytes: self.frame_bytes,
            data_packets: self.data_packets,
            // The text was read before.
            mix: mix(&self.mix).unwrap_or(Mix { http: 1, dns: 0, tls: 0 }),
            scoped_percent: self.scoped,
            envelope: self.envelope,
            seed: self.seed,
        }
    }
}

fn frame_bytes(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (64..=1_444).contains(number));
    number.ok_or_else(|| "expected 64 to 1444 bytes".to_owned())
}

fn envelope(text: &str) -> Result<Envelope, String> {
    let known = Envelope::ALL.into_iter().find(|envelope| envelope.name() == text);
    known.ok_or_else(|| {
        let names: Vec<_> = Envelope::ALL.iter().map(Envelope::name).collect();
        format!("{text:?} is none of {}", names.join(", "))
    })
}

fn data_packets(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=10_000).contains(number));
    number.ok_or_else(|| "expected 1 to 10000 packets".to_owned())
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && *number <= 86_400.0);
    number.ok_or_else(|| "expected a number above 0 and at most 86400".to_owned())
}

fn mix_text(text: &str) -> Result<String, String> {
    mix(text).map(|_| text.to_owned())
}

/// `http=6,dns=2` as weights.
fn mix(text: &str) -> Result<Mix, String> {
    let mut mix = Mix { http: 0, dns: 0, tls: 0 };
    for part in text.split(',') {
        let (name, weight) = part.split_once('=').ok_or("expected NAME=WEIGHT,…")?;
        let weight: u32 = weight
            .trim()
            .parse()
            .ok()
            .filter(|weight| *weight <= 1_000_000)
            .ok_or_else(|| format!("{weight:?} is no weight from 0 to 1000000"))?;
        match name.trim() {
            "http" => mix.http = weight,
            "dns" => mix.dns = weight,
            "tls" => mix.tls = weight,
            other => return Err(format!("{other:?} is none of http, dns, tls")),
        }
    }
    if mix.http + mix.dns + mix.tls == 0 {
        return Err("one weight must be above 0".to_owned());
    }
    Ok(mix)
}
