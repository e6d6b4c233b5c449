//! A network namespace with a pair of interfaces: one to send on, one to listen to. Gone when dropped.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

/// What is listened to.
pub const TAP: &str = "tap0";

/// The other end.
const SEND: &str = "send0";

/// The namespace.
#[derive(Debug)]
pub struct Net {
    name: String,
}

impl Net {
    /// Makes it. Needs root, `ip` and `tcpreplay`.
    ///
    /// # Errors
    /// What the tools say.
    pub fn new() -> anyhow::Result<Self> {
        let name = format!("pollux-live-{}", std::process::id());
        run(Command::new("ip").args(["netns", "add", &name]))?;
        let net = Self { name };
        // Without IPv6 the kernel sends nothing of its own.
        for family in ["all", "default"] {
            let off = format!("net.ipv6.conf.{family}.disable_ipv6=1");
            run(net.command("sysctl").args(["-qw", &off]))?;
        }
        run(net.command("ip").args(["link", "add", TAP, "type", "veth", "peer", "name", SEND]))?;
        for interface in [TAP, SEND] {
            let up = ["link", "set", interface, "mtu", "1600", "arp", "off", "up"];
            run(net.command("ip").args(up))?;
        }
        Ok(net)
    }

    /// A program within.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Sends a capture so many times, as fast as that goes; how many packets that were.
    ///
    /// # Errors
    /// What `tcpreplay` says.
    pub fn send(&self, capture: &Path, times: u32) -> anyhow::Result<u64> {
        let mut command = self.command("tcpreplay");
        command.args(["-q", "--topspeed", "--preload-pcap", "-i", SEND]);
        let told = run(command.arg(format!("--loop={times}")).arg(capture))?;
        let sent = told.lines().find_map(|it| it.trim().strip_prefix("Successful packets:"));
        let sent = sent.and_then(|sent| sent.trim().parse().ok());
        sent.with_context(|| format!("tcpreplay does not say how much it sent: {told}"))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // Whoever cannot take it away could not make it.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

fn run(command: &mut Command) -> anyhow::Result<String> {
    let output =
        command.output().with_context(|| format!("cannot run {:?}", command.get_program()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    ensure!(
        output.status.success(),
        "{:?} {:?} failed: {}",
        command.get_program(),
        command.get_args(),
        text(&output.stderr)
    );
    Ok(text(&output.stdout))
}
