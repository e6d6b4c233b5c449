//! Names of flowbits and flowints as numbers that stay the same for the life of the process.

use std::collections::HashMap;
use std::sync::Arc;

use crate::signature::{BitId, IntId};

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

/// The names of a process: kept over reloads, so that flows keep the meaning of their bits.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Flowbits, numbers are [`BitId`]s.
    pub bits: Interner,
    /// Flowints, numbers are [`IntId`]s.
    pub ints: Interner,
}

impl Names {
    /// The number of a flowbit.
    pub fn bit(&mut self, name: &str) -> BitId {
        self.bits.intern(name)
    }

    /// The number of a flowint.
    pub fn int(&mut self, name: &str) -> IntId {
        self.ints.intern(name)
    }
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
}
