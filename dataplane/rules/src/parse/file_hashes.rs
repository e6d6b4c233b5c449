//! `filemd5`, `filesha1`, `filesha256`: digests of files in lists beside the rules (docs.suricata.io,
//! "File Keywords").

use std::path::Path;
use std::sync::Arc;

use super::buffers;
use super::draft::Draft;
use super::options::Value;
use super::text::text;
use crate::signature::{Buffer, HashTest, Test};
use crate::state::{HashKind, HashList};

/// `filemd5`
pub(crate) fn md5(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    hash(draft, value, HashKind::Md5)
}

/// `filesha1`
pub(crate) fn sha1(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    hash(draft, value, HashKind::Sha1)
}

/// `filesha256`
pub(crate) fn sha256(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    hash(draft, value, HashKind::Sha256)
}

fn hash(draft: &mut Draft<'_, '_>, value: &Value<'_>, kind: HashKind) -> Result<(), String> {
    let session = &mut *draft.session;
    let name = text(value.bytes);
    let path = session.context.data.read(Path::new(session.file), name.trim())?;
    let list = session.memo.hash_list(&path, kind, || HashList::read(kind, &path))?;
    let test = HashTest { list: Arc::clone(&list), negated: value.negated };
    buffers::of_file(draft, Buffer::FileHash, Test::FileHash(test))
}
