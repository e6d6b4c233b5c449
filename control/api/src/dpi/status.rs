//! The status of a DeepPacketInspection: an entry for each node, with at most ten errors.
//! `lastUpdated` moves only with the value, so that equal states are equal documents.

use std::collections::HashSet;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize};

use super::time::Time;

/// More error conditions in one entry make the API server refuse the whole status.
pub const MAX_ERROR_CONDITIONS: usize = 10;

/// The longest message kept, in bytes; a selector quoted in one may be of any length.
pub const MAX_MESSAGE: usize = 1024;

/// What the sensors say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeepPacketInspectionStatus {
    /// One entry for each node; an atomic list, so a writer replaces it as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_empty")]
    pub nodes: Vec<NodeStatus>,
}

impl DeepPacketInspectionStatus {
    /// The entry of a node, made at the end of the list if there is none.
    pub fn entry(&mut self, node: &str) -> &mut NodeStatus {
        let at = match self.nodes.iter().position(|entry| entry.node == node) {
            Some(at) => at,
            None => {
                self.nodes.push(NodeStatus::new(node));
                self.nodes.len() - 1
            }
        };
        &mut self.nodes[at]
    }

    /// Drops the entries of nodes that `keep` does not name; true if there were any.
    pub fn prune(&mut self, keep: impl Fn(&str) -> bool) -> bool {
        let before = self.nodes.len();
        self.nodes.retain(|entry| keep(&entry.node));
        self.nodes.len() != before
    }
}

/// What the sensor of one node says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// The Kubernetes Node's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// Whether the inspection runs there.
    #[serde(default, skip_serializing_if = "ActiveStatus::is_empty")]
    pub active: ActiveStatus,
    /// What keeps it from running, oldest first.
    #[serde(default, skip_serializing_if = "ErrorConditions::is_empty")]
    pub error_conditions: ErrorConditions,
}

impl NodeStatus {
    /// An entry that says nothing yet.
    pub fn new(node: impl Into<String>) -> NodeStatus {
        NodeStatus { node: node.into(), ..NodeStatus::default() }
    }

    /// Says whether the inspection runs; true if that is news.
    pub fn set_active(&mut self, success: bool, now: Time) -> bool {
        if self.active.success == success && self.active.last_updated.is_some() {
            return false;
        }
        self.active = ActiveStatus { success, last_updated: Some(now) };
        true
    }

    /// Makes the errors exactly `messages`, oldest first; true if that is news. Repetitions
    /// count once, of more than [`MAX_ERROR_CONDITIONS`] the last ones stay, and a message that
    /// was there already keeps its time.
    pub fn set_errors<'a>(
        &mut self,
        messages: impl IntoIterator<Item = &'a str>,
        now: Time,
    ) -> bool {
        let mut seen = HashSet::new();
        let mut next = ErrorConditions::default();
        for message in messages {
            let mut condition = ErrorCondition::new(message, now);
            if !seen.insert(condition.message.clone()) {
                continue;
            }
            if let Some(old) = self.error_conditions.iter().find(|c| c.message == condition.message)
            {
                condition.last_updated = old.last_updated;
            }
            next.push(condition);
        }
        let news = next != self.error_conditions;
        self.error_conditions = next;
        news
    }
}

/// Whether the inspection is active on the backend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveStatus {
    /// Absent means false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub success: bool,
    /// When `success` last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<Time>,
}

impl ActiveStatus {
    fn is_empty(&self) -> bool {
        *self == ActiveStatus::default()
    }
}

/// An error that keeps the inspection from running.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorCondition {
    /// What is wrong, and what to do about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it appeared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<Time>,
}

impl ErrorCondition {
    /// An error as of `now`; of a message longer than [`MAX_MESSAGE`] the beginning.
    pub fn new(message: &str, now: Time) -> ErrorCondition {
        let mut message = message.to_owned();
        if message.len() > MAX_MESSAGE {
            message.truncate(message.floor_char_boundary(MAX_MESSAGE - '…'.len_utf8()));
            message.push('…');
        }
        ErrorCondition { message, last_updated: Some(now) }
    }
}

/// At most [`MAX_ERROR_CONDITIONS`] errors, oldest first; reads as a slice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ErrorConditions(Vec<ErrorCondition>);

impl ErrorConditions {
    /// Of these, given oldest first, the last [`MAX_ERROR_CONDITIONS`].
    pub fn new(conditions: impl IntoIterator<Item = ErrorCondition>) -> ErrorConditions {
        let mut all = ErrorConditions::default();
        conditions.into_iter().for_each(|condition| all.push(condition));
        all
    }

    /// Appends an error; the oldest makes room where there is none.
    pub fn push(&mut self, condition: ErrorCondition) {
        if self.0.len() >= MAX_ERROR_CONDITIONS {
            self.0.drain(..=self.0.len() - MAX_ERROR_CONDITIONS);
        }
        self.0.push(condition);
    }

    /// True where nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Deref for ErrorConditions {
    type Target = [ErrorCondition];

    fn deref(&self) -> &[ErrorCondition] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for ErrorConditions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        or_empty(deserializer).map(|all: Vec<_>| ErrorConditions::new(all))
    }
}

/// Go clients write an empty list as null.
fn or_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<Vec<T>>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        Time::from_second(second)
    }

    #[test]
    fn an_eleventh_error_drops_the_oldest() {
        let all = ErrorConditions::new((0..13).map(|n| ErrorCondition::new(&n.to_string(), at(n))));
        let messages: Vec<_> = all.iter().map(|condition| condition.message.as_str()).collect();
        assert_eq!(messages, ["3", "4", "5", "6", "7", "8", "9", "10", "11", "12"]);

        let text = serde_json::to_string(&vec![ErrorCondition::new("x", at(0)); 12]).unwrap();
        assert_eq!(serde_json::from_str::<ErrorConditions>(&text).unwrap().len(), 10);
        assert!(serde_json::from_str::<ErrorConditions>("null").unwrap().is_empty());
    }

    #[test]
    fn a_time_moves_only_with_its_value() {
        let mut node = NodeStatus::new("n");
        assert!(node.set_active(false, at(1)));
        assert!(!node.set_active(false, at(2)));
        assert!(node.set_active(true, at(3)));
        assert_eq!(node.active, ActiveStatus { success: true, last_updated: Some(at(3)) });

        assert!(!node.set_errors([], at(1)));
        assert!(node.set_errors(["a", "b", "a"], at(1)));
        assert!(!node.set_errors(["a", "b"], at(2)));
        assert!(node.set_errors(["b", "c"], at(3)));
        let times: Vec<_> = node.error_conditions.iter().map(|c| c.last_updated.unwrap()).collect();
        assert_eq!(times, [at(1), at(3)]);
        assert!(node.set_errors([], at(4)));
    }

    #[test]
    fn the_same_dozen_errors_are_no_news_the_second_time() {
        let messages: Vec<String> = (0..12).map(|n| format!("error {n}")).collect();
        let mut node = NodeStatus::new("n");
        assert!(node.set_errors(messages.iter().map(String::as_str), at(1)));
        assert_eq!(node.error_conditions.len(), MAX_ERROR_CONDITIONS);
        assert!(!node.set_errors(messages.iter().map(String::as_str), at(2)));
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let condition = ErrorCondition::new(&"é".repeat(5_000), at(0));
        assert!(condition.message.len() <= MAX_MESSAGE);
        assert!(condition.message.ends_with("é…"));
    }

    #[test]
    fn an_entry_is_found_made_and_pruned() {
        let mut status = DeepPacketInspectionStatus::default();
        status.entry("a").set_active(true, at(1));
        status.entry("b").set_active(true, at(1));
        assert!(!status.entry("a").set_active(true, at(2)));
        assert_eq!(status.nodes.len(), 2);
        assert!(status.prune(|node| node == "b"));
        assert!(!status.prune(|node| node == "b"));
        assert_eq!(status.nodes[0].node, "b");
    }
}
