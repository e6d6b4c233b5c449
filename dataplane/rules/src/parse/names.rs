//! Names of flowbits and flowints as numbers that stay the same for the life of the process; the
//! nearest of known names to one that is not.

use std::collections::HashMap;
use std::sync::Arc;

use crate::signature::{BitId, IntId};
use crate::state::{BitTable, Datasets, TagTable};

/// Gives every name one number, counted from 0, and the same number for the same name.
#[derive(Debug, Clone, Default)]
pub struct Interner {
    ids: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
}

impl Interner {
    /// The name's number; a new one where the name is new.
    pub fn intern(&mut self, name: &str) -> u32 {
        if let Some(&id) = self.ids.get(name) {
            return id;
        }
        let name: Arc<str> = name.into();
        let id = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(Arc::clone(&name));
        self.ids.insert(name, id);
        id
    }

    /// The name behind a number.
    pub fn name(&self, id: u32) -> Option<&str> {
        self.names.get(usize::try_from(id).ok()?).map(|name| &**name)
    }

    /// The number of a name that was interned before.
    pub fn id(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    /// How many names there are; numbers are below it.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// Names of what rules remember of flows, as they were when rules were read.
#[derive(Debug, Clone, Default)]
pub struct FlowNames {
    bits: Vec<Arc<str>>,
    ints: Vec<Arc<str>>,
}

impl FlowNames {
    /// The name of a flowbit.
    pub fn bit(&self, bit: BitId) -> Option<&str> {
        self.bits.get(usize::try_from(bit).ok()?).map(|name| &**name)
    }

    /// The name of a flowint.
    pub fn int(&self, int: IntId) -> Option<&str> {
        self.ints.get(usize::try_from(int).ok()?).map(|name| &**name)
    }
}

/// The names of a process: kept over reloads, so that flows keep the meaning of their bits.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Flowbits, numbers are [`BitId`]s.
    pub bits: Interner,
    /// Flowints, numbers are [`IntId`]s.
    pub ints: Interner,
    /// Names of bits of hosts, numbers are [`BitId`]s.
    pub host_bit_names: Interner,
    /// Bits of hosts and pairs of hosts.
    pub host_bits: Arc<BitTable>,
    /// Tags of hosts.
    pub tags: Arc<TagTable>,
    /// Data sets.
    pub datasets: Datasets,
}

impl Names {
    /// Those of flows, to be kept with the rules that were read.
    pub fn of_flows(&self) -> FlowNames {
        FlowNames { bits: self.bits.names.clone(), ints: self.ints.names.clone() }
    }

    /// The number of a flowbit.
    pub fn bit(&mut self, name: &str) -> BitId {
        self.bits.intern(name)
    }

    /// The number of a host's bit.
    pub fn host_bit(&mut self, name: &str) -> BitId {
        self.host_bit_names.intern(name)
    }

    /// The number of a flowint.
    pub fn int(&mut self, name: &str) -> IntId {
        self.ints.intern(name)
    }
}

/// The known name that is meant, if one is nearly the same.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, near) = known.map(|known| (distance(name, known), known)).min()?;
    (distance <= 2 && distance < near.len().div_ceil(2)).then_some(near)
}

/// How many letters have to be changed, added or left out; 99 for names that are far longer.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len().abs_diff(b.len()) > 2 {
        return 99;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, &above) in b.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(x != y)).min(above + 1).min(left + 1);
            diagonal = above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(99)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number() {
        let mut names = Names::default();
        let first = names.bit("a");
        let second = names.bit("b");
        assert_ne!(first, second);
        assert_eq!(names.bit("a"), first);
        assert_eq!(names.bits.name(second), Some("b"));
        assert_eq!(names.bits.id("b"), Some(second));
        assert_eq!(names.bits.len(), 2);
        assert_eq!(names.int("a"), 0);
    }

    #[test]
    fn the_nearest_name_is_one_that_may_be_meant() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "ab"), 2);
        assert_eq!(nearest("contant", ["content", "depth"].into_iter()), Some("content"));
        assert_eq!(nearest("foo", ["flow"].into_iter()), None);
    }
}
