//! How far whoever inspects transactions has come with one: kept with it, as it lives and goes with it.

use crate::event::EventSet;

/// What is remembered of looks at a transaction, by direction. Nothing here is written by parsers.
#[derive(Debug, Default)]
pub struct Looked {
    /// Progress up to which the direction was inspected, plus one; 0: not at all.
    pub inspected: [u8; 2],
    /// The direction is complete and was inspected to its end.
    pub done: [bool; 2],
    /// The generation of rules that all of this, but for what has matched, is about.
    generation: u32,
    found: Option<Box<Found>>,
}

/// What few transactions have.
#[derive(Debug, Default)]
pub struct Found {
    /// Events that were looked at.
    pub events: [EventSet; 2],
    /// Candidates that wait for buffers to come, and which of their signature's buffers held, bit by
    /// bit: a body's window does not come again.
    pub pending: [Vec<(u32, u64)>; 2],
    /// Candidates wait for what no buffer tells: they are looked at whenever anything moves on.
    pub again: [bool; 2],
    /// Signatures that have matched this transaction, by their id.
    pub matched: [Vec<u32>; 2],
}

impl Looked {
    /// What was found, if anything was.
    pub fn found(&self) -> Option<&Found> {
        self.found.as_deref()
    }

    /// What is found, to add to it.
    pub fn found_mut(&mut self) -> &mut Found {
        self.found.get_or_insert_default()
    }

    /// Makes it be about this generation. Candidates are numbers of one generation: under another the
    /// transaction is looked at anew. What has matched is remembered, so as not to be told twice.
    pub fn align(&mut self, generation: u64) {
        let generation = generation as u32;
        if self.generation == generation {
            return;
        }
        let matched = self.found.take().map(|found| found.matched);
        let matched = matched.filter(|matched| matched.iter().any(|sids| !sids.is_empty()));
        let found = matched.map(|matched| Box::new(Found { matched, ..Found::default() }));
        *self = Self { generation, found, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_generation_looks_anew_but_remembers_what_has_matched() {
        let mut looked = Looked::default();
        looked.align(1);
        looked.inspected = [2, 1];
        looked.done = [true, false];
        looked.found_mut().pending[0].push((7, 0));
        looked.align(1);
        assert_eq!((looked.inspected, looked.done), ([2, 1], [true, false]));
        looked.align(2);
        assert_eq!((looked.inspected, looked.done), ([0; 2], [false; 2]));
        assert!(looked.found().is_none());
        looked.found_mut().matched[1].push(2_000_001);
        looked.found_mut().pending[0].push((7, 0));
        looked.align(3);
        let found = looked.found().unwrap();
        assert_eq!(found.matched[1], [2_000_001]);
        assert!(found.pending[0].is_empty());
    }

    #[test]
    fn it_takes_little() {
        assert!(size_of::<Looked>() <= 16);
    }
}
