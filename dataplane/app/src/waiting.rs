//! Bytes that wait for more of them, where mostly there are none: one word while nothing waits.

/// Bytes that wait.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Option<Box<Bytes>>);

#[derive(Debug, Default)]
struct Bytes(Vec<u8>);

impl Waiting {
    /// Whether any wait; they may be none of length 0.
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// What waits.
    pub(crate) fn get(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |bytes| &bytes.0)
    }

    /// What waits, to add to it.
    pub(crate) fn get_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0.get_or_insert_default().0
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.get().len()
    }

    /// What waits, no longer.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        self.0.take().map(|bytes| bytes.0)
    }
}
