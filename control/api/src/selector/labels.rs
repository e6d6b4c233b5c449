//! What a selector asks of the thing it selects: the value of a label, if it has one.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

/// A set of labels that a [`Selector`](super::Selector) can be matched against.
pub trait Labels {
    /// The value of the label `name`, or `None` where there is no such label.
    fn get(&self, name: &str) -> Option<&str>;
}

impl Labels for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<&str> {
        BTreeMap::get(self, name).map(String::as_str)
    }
}

impl<S: BuildHasher> Labels for HashMap<String, String, S> {
    fn get(&self, name: &str) -> Option<&str> {
        HashMap::get(self, name).map(String::as_str)
    }
}

/// Pairs of name and value, the first of a name counts.
impl Labels for [(&str, &str)] {
    fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }
}

impl<const N: usize> Labels for [(&str, &str); N] {
    fn get(&self, name: &str) -> Option<&str> {
        Labels::get(self.as_slice(), name)
    }
}
