//! A directory of Kubernetes documents: every YAML and JSON file in it and in its directories,
//! one level deep. What can't be read is a problem; the rest goes on.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use api::documents::{Problem, ProblemKind};
use api::{Documents, Inventory, Parsed};

/// The most files that are read.
const MAX_FILES: usize = 100_000;
/// The largest file that is read: a hundred thousand pods fit.
const MAX_FILE: u64 = 512 << 20;

/// Why a directory can't be read at all.
#[derive(Debug, thiserror::Error)]
#[error("the resources directory {}: {error}", path.display())]
pub struct DirectoryError {
    /// The directory.
    pub path: PathBuf,
    /// What the system says.
    pub error: io::Error,
}

/// Reads the documents of a directory. Files come in the order of their names, those of the
/// directory itself first, so that of two documents of one name always the same one counts.
///
/// # Errors
/// The directory can't be listed. Everything else becomes a problem of the inventory.
pub fn read(directory: &Path) -> Result<Inventory, DirectoryError> {
    let failed = |error| DirectoryError { path: directory.to_owned(), error };
    let (mut files, directories) = list(directory).map_err(failed)?;
    let mut problems = Vec::new();
    for inner in directories {
        match list(&inner) {
            Ok((inner, _)) => files.extend(inner),
            Err(error) => problems.push(problem(&inner, &error.to_string())),
        }
    }
    if files.len() > MAX_FILES {
        let left_out = files.len() - MAX_FILES;
        problems.push(problem(directory, &format!("{left_out} files are too many and not read")));
        files.truncate(MAX_FILES);
    }
    let texts = files.iter().map(|file| {
        let source = file.display().to_string();
        match read_text(file) {
            Ok(text) => Documents::parse(&source, &text),
            Err(error) => {
                Parsed { problems: vec![problem(file, &error.to_string())], ..Parsed::default() }
            }
        }
    });
    let mut inventory = Inventory::from_parsed(texts);
    inventory.problems.extend(problems);
    Ok(inventory)
}

/// The files with documents and the directories of a directory, each sorted. Names that begin with
/// a dot are left out: editors' files, and the hidden copies that a mounted ConfigMap is made of.
fn list(directory: &Path) -> io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut files, mut directories) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if is_hidden(&path) {
            continue;
        }
        // Not the entry's own type: a mounted ConfigMap's files are links.
        if path.is_dir() {
            directories.push(path);
        } else if is_document(&path) {
            files.push(path);
        }
    }
    files.sort();
    directories.sort();
    Ok((files, directories))
}

/// Does the file's name begin with a dot?
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Is it a file that holds documents, by its name?
pub fn is_document(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

fn read_text(file: &Path) -> io::Result<String> {
    let opened = fs::File::open(file)?;
    // A FIFO or a device would never end, or never begin.
    let meta = opened.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    opened.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::other("the file is too large"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count();
        io::Error::other(format!("line {} is not UTF-8", line + 1))
    })
}

fn problem(path: &Path, message: &str) -> Problem {
    Problem {
        kind: ProblemKind::Syntax,
        place: None,
        resource: String::new(),
        message: format!("{}: {message}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DPI: &str = "apiVersion: projectcalico.org/v3\nkind: DeepPacketInspection\n\
        metadata: {name: all, namespace: shop}\nspec: {selector: \"all()\"}\n";
    const POD: &str = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\",\
        \"namespace\":\"shop\"},\"spec\":{\"nodeName\":\"n\"},\"status\":{\"podIP\":\"10.0.0.1\"}}";

    fn write(directory: &Path, name: &str, text: impl AsRef<[u8]>) {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }

    #[test]
    fn documents_are_read_one_level_deep() {
        let directory = tempfile::tempdir().expect("a directory");
        write(directory.path(), "dpi.yaml", DPI);
        write(directory.path(), "pods/web.json", POD);
        write(directory.path(), "pods/deeper/other.json", POD.replace("web", "other"));
        write(directory.path(), "README.md", "no document");
        write(directory.path(), ".dpi.yaml.swp", "no document");
        let inventory = read(directory.path()).expect("read");
        assert_eq!(inventory.problems, []);
        assert_eq!((inventory.len(), inventory.resources().len()), (2, 1));
    }

    #[test]
    fn what_is_broken_does_not_spoil_the_rest() {
        let directory = tempfile::tempdir().expect("a directory");
        write(directory.path(), "a.yaml", format!("a: [\n---\n{DPI}"));
        write(directory.path(), "b.yaml", DPI);
        write(directory.path(), "c.json", POD);
        write(directory.path(), "d.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n");
        write(directory.path(), "e.yaml", b"x: 1\n\xff\xfe\n");
        fs::create_dir(directory.path().join("f.yaml")).expect("made");
        let inventory = read(directory.path()).expect("read");
        assert_eq!(inventory.len(), 2);
        let kinds: Vec<_> = inventory.problems.iter().map(|problem| problem.kind).collect();
        assert!(kinds.contains(&ProblemKind::Kind) && kinds.contains(&ProblemKind::Duplicate));
        let texts: Vec<String> = inventory.problems.iter().map(ToString::to_string).collect();
        assert!(texts.iter().any(|text| text.contains("a.yaml:1")), "{texts:?}");
        assert!(texts.iter().any(|text| text.contains("e.yaml: line 2 is not UTF-8")), "{texts:?}");
        let place = inventory.place_of("shop", "all").expect("a place");
        assert!(place.source.ends_with("a.yaml"), "the first file in order counts");
    }

    #[test]
    fn a_mounted_configmap_is_read_once() {
        let directory = tempfile::tempdir().expect("a directory");
        write(directory.path(), "..2026_11_22/dpi.yaml", DPI);
        let link = |from: &str, to: &str| {
            std::os::unix::fs::symlink(from, directory.path().join(to)).expect("linked");
        };
        link("..2026_11_22", "..data");
        link("..data/dpi.yaml", "dpi.yaml");
        let inventory = read(directory.path()).expect("read");
        assert_eq!((inventory.len(), inventory.problems.len()), (1, 0));
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let error = read(Path::new("/nowhere/resources")).map(drop).expect_err("an error");
        assert!(error.to_string().contains("/nowhere/resources"), "{error}");
    }
}
