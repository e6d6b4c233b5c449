//! What equal parts of many rules share: address sets, port sets, compiled expressions.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::signature::{AddressSet, PortSet};
use crate::state::{HashKind, HashList};

/// Kept while a rule set is read.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    addresses: HashMap<String, Result<AddressSet, String>>,
    ports: HashMap<String, Result<PortSet, String>>,
    expressions: HashMap<String, Arc<pcre2::Regex>>,
    hash_lists: HashMap<(PathBuf, HashKind), Result<Arc<HashList>, String>>,
    /// Types of references that are not known, how often, and the first file with one.
    references: BTreeMap<String, (usize, String)>,
}

impl Memo {
    /// The list of digests in a file, read once.
    pub(crate) fn hash_list(
        &mut self,
        path: &Path,
        kind: HashKind,
        read: impl FnOnce() -> Result<HashList, String>,
    ) -> Result<Arc<HashList>, String> {
        let known = self.hash_lists.entry((path.to_owned(), kind));
        known.or_insert_with(|| read().map(Arc::new)).clone()
    }

    /// A reference in a file is of a type that is not known.
    pub(crate) fn unknown_reference(&mut self, kind: &str, file: &str) {
        let known = self.references.entry(kind.to_owned());
        known.or_insert_with(|| (0, file.to_owned())).0 += 1;
    }

    /// What is to be said of references of types that are not known.
    pub(crate) fn unknown_references(&self) -> Vec<String> {
        let said = |(kind, (count, file)): (&String, &(usize, String))| {
            let kind = super::text::shown(kind);
            format!("reference type `{kind}` is not known ({count} in rules, the first in {file})")
        };
        self.references.iter().map(said).collect()
    }

    /// The address set of a text, made once.
    pub(crate) fn address(
        &mut self,
        text: &str,
        make: impl FnOnce() -> Result<AddressSet, String>,
    ) -> Result<AddressSet, String> {
        recall(&mut self.addresses, text, make)
    }

    /// The port set of a text, made once.
    pub(crate) fn port(
        &mut self,
        text: &str,
        make: impl FnOnce() -> Result<PortSet, String>,
    ) -> Result<PortSet, String> {
        recall(&mut self.ports, text, make)
    }

    /// The expression of a key, compiled once.
    pub(crate) fn expression(
        &mut self,
        key: String,
        make: impl FnOnce() -> Result<pcre2::Regex, String>,
    ) -> Result<Arc<pcre2::Regex>, String> {
        if let Some(known) = self.expressions.get(&key) {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(make()?);
        self.expressions.insert(key, Arc::clone(&made));
        Ok(made)
    }
}

fn recall<T: Clone>(
    map: &mut HashMap<String, Result<T, String>>,
    text: &str,
    make: impl FnOnce() -> Result<T, String>,
) -> Result<T, String> {
    if let Some(known) = map.get(text) {
        return known.clone();
    }
    let made = make();
    map.insert(text.to_owned(), made.clone());
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_share_one_set() {
        let mut memo = Memo::default();
        let mut made = 0;
        let mut ask = || {
            memo.port("80", || {
                made += 1;
                Ok(PortSet { any: false, ranges: [(80, 80)].into() })
            })
        };
        let (first, second) = (ask().expect("a set"), ask().expect("a set"));
        assert!(Arc::ptr_eq(&first.ranges, &second.ranges));
        assert_eq!(made, 1);
    }
}
