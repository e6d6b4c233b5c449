//! All settings as a commented `pollux.toml`, written from the table of names.

use std::io::{self, Write};

use super::keys::{self, PORT_KEYS, RULE_SET_KEYS};

/// Writes every setting with its meaning and its default, each commented out.
///
/// # Errors
/// What writing says.
pub fn write(mut out: impl Write) -> io::Result<()> {
    writeln!(out, "# Every setting of Pollux with its default. Uncomment what you change.")?;
    let mut section = "";
    for key in keys::all() {
        // Two levels make a section, the rest stays in the key: [outputs.eve], vlan.use-for-….
        let is_output = key.name.starts_with("outputs.") && key.name.matches('.').count() > 1;
        let depth = if is_output || key.name.starts_with("protocols.") { 2 } else { 1 };
        let end = key.name.match_indices('.').nth(depth - 1).map_or(0, |(at, _)| at);
        let (this, name) = key.name.split_at(end);
        if this != section {
            writeln!(out, "\n[{this}]")?;
            section = this;
        }
        setting(&mut out, name.trim_start_matches('.'), key.about)?;
        if key.name == "rules.threads" {
            sets(&mut out)?;
            vars(&mut out)?;
        }
    }
    writeln!(out, "\n# One for each port:\n#[[ports]]")?;
    for key in PORT_KEYS {
        setting(&mut out, key.name, key.about)?;
    }
    Ok(())
}

fn sets(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\n# One for each rule set that resources ask for by their annotation.")?;
    writeln!(out, "#[rules.sets.NAME]")?;
    for key in RULE_SET_KEYS {
        setting(out, key.name, key.about)?;
    }
    Ok(())
}

fn vars(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\n[vars.address-groups]\n# addresses by name, over Suricata's defaults")?;
    writeln!(out, "#HOME_NET = \"[10.0.0.0/8,172.16.0.0/12,192.168.0.0/16]\"")?;
    writeln!(out, "\n[vars.port-groups]\n# ports by name, over Suricata's defaults")?;
    writeln!(out, "#HTTP_PORTS = \"80\"")
}

fn setting(out: &mut impl Write, name: &str, about: &str) -> io::Result<()> {
    let (about, default) = match about.rsplit_once("; default: ") {
        Some((about, default)) => (about, default),
        None => (about, ""),
    };
    writeln!(out, "# {about}")?;
    let is_typed = default.parse::<u64>().is_ok()
        || matches!(default, "true" | "false")
        || default.starts_with('[');
    match default {
        "" => writeln!(out, "#{name} ="),
        default if is_typed => writeln!(out, "#{name} = {default}"),
        // Words about a default are no value.
        default if default == "none" || default.contains([' ', '$', '\'']) => {
            writeln!(out, "# default: {default}\n#{name} =")
        }
        default => writeln!(out, "#{name} = \"{default}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, toml_file};

    fn reference() -> String {
        let mut out = Vec::new();
        write(&mut out).expect("written");
        String::from_utf8(out).expect("text")
    }

    fn read(text: &str) -> Config {
        let (mut config, mut errors) = (Config::default(), Vec::new());
        toml_file::apply(&mut config, "reference.toml".as_ref(), text, &mut errors);
        assert_eq!(errors, []);
        config
    }

    #[test]
    fn the_reference_is_a_configuration_and_says_what_holds_anyway() {
        let text = reference();
        let defaults = format!("{:?}", Config::default());
        assert_eq!(format!("{:?}", read(&text)), defaults);
        // With every value switched on that it shows, but for the variables.
        let on: String = text
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(setting) if setting.starts_with(' ') || setting.ends_with('=') => line,
                Some(setting) if setting.contains("_NET") || setting.contains("_PORTS") => line,
                Some(setting) if setting.contains('=') => setting,
                _ => line,
            })
            .take_while(|line| !line.starts_with("# One for each port"))
            .flat_map(|line| [line, "\n"])
            .collect();
        assert_eq!(format!("{:?}", read(&on)), defaults);
        assert!(on.contains("\nreassembly.depth = \"1mb\"\n"), "{on}");
    }

    #[test]
    fn every_setting_is_in_the_reference_once() {
        let text = reference();
        let shown = text.lines().filter(|line| line.starts_with('#') && line.contains('='));
        let shown = shown.filter(|line| !line.starts_with("# ")).count();
        assert_eq!(shown, keys::all().count() + PORT_KEYS.len() + RULE_SET_KEYS.len() + 2);
        let sections: Vec<_> = text.lines().filter(|line| line.starts_with('[')).collect();
        let mut unique = sections.clone();
        unique.dedup();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), sections.len(), "a section twice is no TOML");
    }
}
