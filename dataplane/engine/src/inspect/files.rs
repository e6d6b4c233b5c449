//! What rules ask of files beside their bytes: names, sizes, digests. All that one rule asks for must
//! be true of the same file.

use app::{Digests, File, FileState, Tx, buffer_spec, http_progress};
use rules::signature::{Buffer, BufferTests, HashTest, Signature, Test};
use rules::state::HashKind;
use wire::Direction;

use super::Tools;
use super::content::View;
use super::transaction::Answer;
use crate::snapshot::app_buffer;

/// Files of a transaction that are looked at, a bit for each.
const MOST_FILES: usize = 64;

/// The numbers of the bits that are set.
pub(super) fn each(files: u64) -> impl Iterator<Item = u8> {
    (0..64).filter(move |at| files >> at & 1 == 1)
}

impl Tools {
    /// Are there files of which all is true that the rule asks for? Which are is told in `found`, bit by
    /// bit; none where it asks for none.
    pub(super) fn files(
        &mut self,
        signature: &Signature,
        tx: &Tx,
        direction: Direction,
        found: &mut u64,
    ) -> Answer {
        let of_files = || signature.buffers.iter().filter(|tests| tests.buffer.is_of_file());
        if of_files().next().is_none() {
            return Answer::Yes;
        }
        let progress = tx.progress(direction);
        let is_there = |tests: &BufferTests| match tests.buffer {
            Buffer::FileName => app_buffer(tests.buffer, direction)
                .is_some_and(|buffer| buffer_spec(buffer).min_progress <= progress),
            _ => progress > http_progress::BODY,
        };
        let all_there = of_files().all(is_there);
        let mut holding = 0;
        for at in 0..MOST_FILES {
            let Some(file) = tx.file(direction, at) else { break };
            let mut known = of_files().filter(|tests| is_there(tests));
            let holds = known.all(|tests| self.file_holds(tests, &file));
            holding |= u64::from(holds) << at;
        }
        match (holding, all_there) {
            // The header is all there, and there is no file, or none of this name.
            (0, true) => Answer::No,
            (0, false) if of_files().any(is_there) => Answer::No,
            (_, false) => Answer::Later,
            (_, true) => {
                *found = holding;
                Answer::Yes
            }
        }
    }

    fn file_holds(&mut self, tests: &BufferTests, file: &File<'_>) -> bool {
        match tests.buffer {
            Buffer::FileSize => tests
                .tests
                .iter()
                .all(|test| matches!(test, Test::Size(wanted) if wanted.holds(file.size))),
            Buffer::FileHash => tests
                .tests
                .iter()
                .all(|test| matches!(test, Test::FileHash(test) if hash_holds(test, file))),
            _ => {
                let Some(name) = file.name else { return false };
                if tests.transforms.is_empty() {
                    return self.verifier.holds(&tests.tests, View::whole(name));
                }
                self.transformer.apply(name, &tests.transforms, &mut self.spare);
                self.verifier.holds(&tests.tests, View::whole(self.spare.as_bytes()))
            }
        }
    }
}

/// Is the file's digest in the list, or in none of it? One that is not all there has no digest.
fn hash_holds(test: &HashTest, file: &File<'_>) -> bool {
    let Digests { md5, sha1, sha256 } = &file.digests;
    let digest = match test.list.kind() {
        HashKind::Md5 => md5.as_ref().map(<[u8; 16]>::as_slice),
        HashKind::Sha1 => sha1.as_ref().map(<[u8; 20]>::as_slice),
        HashKind::Sha256 => sha256.as_ref().map(<[u8; 32]>::as_slice),
    };
    file.state == FileState::Closed
        && digest.is_some_and(|digest| test.list.contains(digest) != test.negated)
}
