//! The variables of rule headers, `$HOME_NET` and its like, with Suricata's defaults.

use thiserror::Error;

use super::address::address_set;
use super::lists::{Group, ListError};
use super::port::port_set;

/// Address and port groups by name, without the `$`.
///
/// Names and defaults follow Suricata's `vars` section (docs.suricata.io, "Rule-vars").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variables {
    /// `vars.address-groups`.
    pub(crate) address_groups: Group,
    /// `vars.port-groups`.
    pub(crate) port_groups: Group,
}

/// Why a variable is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("variable {name}: {reason}")]
pub struct VariableError {
    /// The variable.
    pub name: String,
    /// What is wrong with it, and how it should look.
    pub reason: String,
}

const ADDRESSES: &[(&str, &str)] = &[
    ("HOME_NET", "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]"),
    ("EXTERNAL_NET", "!$HOME_NET"),
    ("HTTP_SERVERS", "$HOME_NET"),
    ("SMTP_SERVERS", "$HOME_NET"),
    ("SQL_SERVERS", "$HOME_NET"),
    ("DNS_SERVERS", "$HOME_NET"),
    ("TELNET_SERVERS", "$HOME_NET"),
    ("AIM_SERVERS", "$EXTERNAL_NET"),
    ("DC_SERVERS", "$HOME_NET"),
    ("DNP3_SERVER", "$HOME_NET"),
    ("DNP3_CLIENT", "$HOME_NET"),
    ("MODBUS_CLIENT", "$HOME_NET"),
    ("MODBUS_SERVER", "$HOME_NET"),
    ("ENIP_CLIENT", "$HOME_NET"),
    ("ENIP_SERVER", "$HOME_NET"),
];

const PORTS: &[(&str, &str)] = &[
    ("HTTP_PORTS", "80"),
    ("SHELLCODE_PORTS", "!80"),
    ("ORACLE_PORTS", "1521"),
    ("SSH_PORTS", "22"),
    ("DNP3_PORTS", "20000"),
    ("MODBUS_PORTS", "502"),
    ("FILE_DATA_PORTS", "[$HTTP_PORTS,110,143]"),
    ("FTP_PORTS", "21"),
    ("GENEVE_PORTS", "6081"),
    ("VXLAN_PORTS", "4789"),
    ("TEREDO_PORTS", "3544"),
];

impl Default for Variables {
    fn default() -> Self {
        let group = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        Self { address_groups: group(ADDRESSES), port_groups: group(PORTS) }
    }
}

impl Variables {
    /// Sets a variable. It becomes a port group if one of that name exists or the name ends with
    /// `PORTS` or `PORT`, an address group otherwise.
    ///
    /// # Errors
    /// The name is not made of letters, digits, `_` and `-`, or the value cannot be resolved:
    /// malformed, empty, referring to itself or to what is not defined. The old value is kept.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), VariableError> {
        let name = name.strip_prefix('$').unwrap_or(name);
        self.store(name, value, |error| Err(String::from(error)))
    }

    /// Sets several variables that may refer to each other in any order.
    ///
    /// # Errors
    /// As [`Self::set`]; nothing is changed then.
    pub fn set_all<'a>(
        &mut self,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), VariableError> {
        let mut changed = self.clone();
        for (name, value) in pairs {
            let name = name.strip_prefix('$').unwrap_or(name);
            changed.store(name, value, |error| match error {
                ListError::Unknown(_) => Ok(()),
                error => Err(String::from(error)),
            })?;
        }
        changed.check()?;
        *self = changed;
        Ok(())
    }

    /// Resolves every variable.
    ///
    /// # Errors
    /// The first that is malformed, empty, or refers to itself or to what is not defined.
    pub fn check(&self) -> Result<(), VariableError> {
        let refused = |name: &String, error: ListError| VariableError {
            name: name.clone(),
            reason: error.into(),
        };
        for name in self.address_groups.keys() {
            address_set(&format!("${name}"), &self.address_groups).map_err(|e| refused(name, e))?;
        }
        for name in self.port_groups.keys() {
            port_set(&format!("${name}"), &self.port_groups).map_err(|e| refused(name, e))?;
        }
        Ok(())
    }

    /// The address groups, name and value.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, &str)> {
        self.address_groups.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The port groups, name and value.
    pub fn ports(&self) -> impl Iterator<Item = (&str, &str)> {
        self.port_groups.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Stores a value and asks whether it resolves; puts the old one back if not.
    fn store(
        &mut self,
        name: &str,
        value: &str,
        judge: impl FnOnce(ListError) -> Result<(), String>,
    ) -> Result<(), VariableError> {
        let refused = |reason: String| VariableError { name: name.to_owned(), reason };
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || !name.chars().all(word) {
            return Err(refused("a name is made of letters, digits, `_` and `-`".to_owned()));
        }
        let is_port = self.port_groups.contains_key(name)
            || (!self.address_groups.contains_key(name)
                && (name.ends_with("PORTS") || name.ends_with("PORT")));
        let group = if is_port { &mut self.port_groups } else { &mut self.address_groups };
        let old = group.insert(name.to_owned(), value.trim().to_owned());
        let reference = format!("${name}");
        let result = if is_port {
            port_set(&reference, group).map(drop)
        } else {
            address_set(&reference, group).map(drop)
        };
        let Err(reason) = result.or_else(judge) else { return Ok(()) };
        match old {
            Some(old) => group.insert(name.to_owned(), old),
            None => group.remove(name),
        };
        Err(refused(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_resolve() {
        assert_eq!(Variables::default().check(), Ok(()));
    }

    #[test]
    fn a_refused_value_leaves_the_old_one() {
        let mut variables = Variables::default();
        let before = variables.clone();
        for (name, value) in [
            ("HOME_NET", "nonsense"),
            ("HOME_NET", "$EXTERNAL_NET"),
            ("HTTP_PORTS", "[80,$FILE_DATA_PORTS]"),
            ("MY_NET", "$NOT_THERE"),
            ("MY_PORTS", "10.0.0.0/8"),
            ("", "any"),
            ("A B", "any"),
        ] {
            assert!(variables.set(name, value).is_err(), "{name}");
            assert_eq!(variables, before, "{name}");
        }
    }

    #[test]
    fn new_variables_are_sorted_by_their_names() {
        let mut variables = Variables::default();
        assert_eq!(variables.set("$HOME_NET", "10.0.0.0/8"), Ok(()));
        assert_eq!(variables.set("MY_NET", "[$HOME_NET,1.2.3.4]"), Ok(()));
        assert_eq!(variables.set("MY_PORTS", "[$HTTP_PORTS,8080]"), Ok(()));
        assert!(variables.addresses().any(|pair| pair == ("MY_NET", "[$HOME_NET,1.2.3.4]")));
        assert!(variables.ports().any(|(name, _)| name == "MY_PORTS"));
    }

    #[test]
    fn several_variables_may_refer_forward() {
        let mut variables = Variables::default();
        assert_eq!(variables.set_all([("A", "$B"), ("B", "1.2.3.4")]), Ok(()));
        let before = variables.clone();
        assert!(variables.set_all([("X", "1.2.3.4"), ("C", "$D")]).is_err());
        assert!(variables.set_all([("A", "$B"), ("B", "$A")]).is_err());
        assert_eq!(variables, before);
    }
}
