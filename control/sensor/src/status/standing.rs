//! What the sensor says of each resource now: active or not, and what is wrong.

use std::collections::HashMap;

use api::dpi::{ErrorCondition, MAX_ERROR_CONDITIONS, NodeStatus, Time};

use super::conditions::Condition;
use crate::state::Built;

/// What is said of one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Is it inspected?
    pub success: bool,
    /// What is wrong, at most ten, oldest first.
    pub errors: Vec<String>,
}

impl Said {
    /// Of more than ten errors the resource's own and the last conditions stay.
    pub fn new<'a>(
        error: Option<&str>,
        active: bool,
        conditions: impl IntoIterator<Item = &'a Condition>,
    ) -> Self {
        let conditions: Vec<_> = conditions.into_iter().collect();
        let room = MAX_ERROR_CONDITIONS - usize::from(error.is_some());
        let general = conditions.get(conditions.len().saturating_sub(room)..).unwrap_or(&[]);
        let stopped = conditions.iter().any(|condition| condition.stops_inspection);
        let all = error.into_iter().chain(general.iter().map(|it| it.message.as_str()));
        let mut errors: Vec<String> = Vec::new();
        for message in all {
            // As long as they may be in a status.
            let message = ErrorCondition::new(message, Time::from_second(0)).message;
            if !errors.contains(&message) {
                errors.push(message);
            }
        }
        Self { success: active && error.is_none() && !stopped, errors }
    }

    /// Does an entry say this already?
    pub fn is_said_by(&self, entry: &NodeStatus) -> bool {
        let messages = entry.error_conditions.iter().map(|it| it.message.as_str());
        entry.active.success == self.success
            && entry.active.last_updated.is_some()
            && messages.eq(self.errors.iter().map(String::as_str))
    }

    /// Makes an entry say it; times move only with what they are the time of.
    pub fn say_in(&self, entry: &mut NodeStatus, now: Time) {
        entry.set_active(self.success, now);
        entry.set_errors(self.errors.iter().map(String::as_str), now);
    }
}

/// Conditions, found by the resource that they are told of.
#[derive(Debug)]
pub(crate) struct ByResource<'a> {
    general: Vec<&'a Condition>,
    own: HashMap<&'a (String, String), Vec<&'a Condition>>,
}

impl<'a> ByResource<'a> {
    /// Sorts them.
    pub(crate) fn new(conditions: &'a [Condition]) -> Self {
        let mut sorted = Self { general: Vec::new(), own: HashMap::new() };
        for condition in conditions {
            match &condition.only {
                None => sorted.general.push(condition),
                Some(key) => sorted.own.entry(key).or_default().push(condition),
            }
        }
        sorted
    }

    /// Those of a resource: the sensor's, then its own.
    pub(crate) fn of(&self, key: &(String, String)) -> impl Iterator<Item = &'a Condition> {
        let own = self.own.get(key).map_or(&[][..], Vec::as_slice);
        self.general.iter().chain(own).copied()
    }
}

/// What is said of every resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// By namespace and name.
    pub resources: HashMap<(String, String), Said>,
    /// What is said of resources that are not among them; `None`: nothing. Set while the sensor
    /// does not know yet what it is to inspect, or stops.
    pub others: Option<Said>,
}

impl Standing {
    /// Before the first generation: nothing is active.
    pub fn loading() -> Self {
        Self { resources: HashMap::new(), others: Some(Said::default()) }
    }

    /// After the last packet: nothing is active any more, nothing is wrong.
    pub fn stopped() -> Self {
        Self::loading()
    }

    /// Of a generation. `acknowledged`: every core has it.
    pub fn of(built: &Built, acknowledged: bool, conditions: &[Condition]) -> Self {
        if built.is_loading {
            return Self::loading();
        }
        let conditions = ByResource::new(conditions);
        let resources = built.resource_errors().map(|(resource, error)| {
            let key = (resource.namespace().to_owned(), resource.name().to_owned());
            let said = Said::new(error.as_deref(), acknowledged, conditions.of(&key));
            (key, said)
        });
        Self { resources: resources.collect(), others: None }
    }

    /// What is said of a resource.
    pub fn of_resource(&self, key: &(String, String)) -> Option<&Said> {
        self.resources.get(key).or(self.others.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_its_own_outlives_many_conditions() {
        let conditions: Vec<_> = (0..14).map(|n| Condition::new(format!("c{n}"))).collect();
        let said = Said::new(Some("its own"), true, &conditions);
        assert!(!said.success);
        assert_eq!(said.errors.len(), MAX_ERROR_CONDITIONS);
        assert_eq!((said.errors[0].as_str(), said.errors[9].as_str()), ("its own", "c13"));
        assert!(Said::new(None, true, &conditions).success);
        assert!(!Said::new(None, true, &[Condition::stopping("down")]).success);
    }

    #[test]
    fn what_was_said_is_recognised_however_long_it_is() {
        let long = "x".repeat(5_000);
        let said = Said::new(Some(&long), true, &[Condition::new("a"), Condition::new("a")]);
        let mut entry = NodeStatus::new("n");
        assert!(!said.is_said_by(&entry));
        said.say_in(&mut entry, Time::from_second(7));
        assert!(said.is_said_by(&entry));
        assert!(!Said::default().is_said_by(&entry));
    }
}
