//! Where on the disk a rule may have something read or written: beside its own file, and in the one
//! folder that is configured for data.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// The folders that rules may name files in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataPaths {
    /// The configured folder for data; only in here rules write.
    pub data: Option<PathBuf>,
}

/// A path that does not lead upwards.
fn is_plain(path: &Path) -> bool {
    path.components().all(|part| !matches!(part, Component::ParentDir))
}

impl DataPaths {
    /// The file that a rule of `rule_file` names for reading: beside the rule file, or in the data
    /// folder. What leaves these folders, by `..`, an absolute path or a symbolic link, is refused.
    ///
    /// # Errors
    /// The reason.
    pub fn read(&self, rule_file: &Path, name: &str) -> Result<PathBuf, String> {
        let name = Path::new(name);
        let beside = match rule_file.parent() {
            Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
            Some(folder) => folder,
            None => Path::new("."),
        };
        let bases: Vec<PathBuf> = [Some(beside), self.data.as_deref()]
            .into_iter()
            .flatten()
            .filter_map(|base| fs::canonicalize(base).ok())
            .collect();
        let mut outside = false;
        for base in &bases {
            // An absolute path takes the base's place.
            let Ok(file) = fs::canonicalize(base.join(name)) else { continue };
            if !bases.iter().any(|base| file.starts_with(base)) {
                outside = true;
                continue;
            }
            if !file.is_file() {
                return Err(format!("{} is not a file", name.display()));
            }
            return Ok(file);
        }
        Err(if outside || !is_plain(name) {
            format!("{} leads out of the folders that rules may read", name.display())
        } else {
            format!("{} is neither beside the rule file nor in the data folder", name.display())
        })
    }

    /// The file that a rule names for writing, in the data folder. It need not exist.
    ///
    /// # Errors
    /// The reason.
    pub fn write(&self, name: &str) -> Result<PathBuf, String> {
        let Some(data) = &self.data else {
            return Err(
                "rules write only in the folder rules.data-directory, which is not set".to_owned()
            );
        };
        let base = fs::canonicalize(data)
            .map_err(|e| format!("the data folder {}: {e}", data.display()))?;
        let path = base.join(name);
        let out = || format!("{name} leads out of the data folder");
        let Some((folder, file)) = path.parent().zip(path.file_name()) else { return Err(out()) };
        let folder = fs::canonicalize(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        if !folder.starts_with(&base) {
            return Err(out());
        }
        let path = folder.join(file);
        match fs::symlink_metadata(&path) {
            Ok(meta) if !meta.is_file() => Err(format!("{name} is not a plain file")),
            _ => Ok(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Place {
        _folder: tempfile::TempDir,
        rules: PathBuf,
        secret: PathBuf,
        paths: DataPaths,
    }

    fn place() -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        for name in ["rules", "data", "other", "data/sub"] {
            fs::create_dir(root.join(name)).expect("made");
        }
        let secret = root.join("other/secret");
        for file in ["rules/near", "data/stored", "other/secret"] {
            fs::write(root.join(file), "x").expect("written");
        }
        symlink(&secret, root.join("rules/link")).expect("linked");
        symlink(&secret, root.join("data/link")).expect("linked");
        symlink(root.join("other"), root.join("data/away")).expect("linked");
        let (rules, data) = (root.join("rules/a.rules"), Some(root.join("data")));
        Place { _folder: folder, rules, secret, paths: DataPaths { data } }
    }

    #[test]
    fn files_beside_the_rules_and_in_the_data_folder_are_read() {
        let place = place();
        let read = |name: &str| place.paths.read(&place.rules, name);
        assert!(read("near").is_ok_and(|path| path.ends_with("rules/near")));
        assert!(read("stored").is_ok_and(|path| path.ends_with("data/stored")));
        assert!(read("../data/stored").is_ok(), "the way does not matter, the end does");
        assert!(read("none").is_err());
        assert!(read("sub").is_err(), "a folder");
    }

    #[test]
    fn nothing_outside_is_read() {
        let place = place();
        for name in
            ["../other/secret", "link", "away/secret", "/etc/passwd", "../../../../etc/passwd"]
        {
            let refused = place.paths.read(&place.rules, name).expect_err(name);
            assert!(refused.contains("leads out"), "{name}: {refused}");
        }
        let secret = place.secret.to_string_lossy().into_owned();
        assert!(place.paths.read(&place.rules, &secret).is_err());
    }

    #[test]
    fn only_plain_files_in_the_data_folder_are_written() {
        let place = place();
        let write = |name: &str| place.paths.write(name);
        assert!(write("new").is_ok() && write("stored").is_ok() && write("sub/new").is_ok());
        for name in [
            "../new",
            "link",
            "away/new",
            "/tmp/new",
            "sub",
            "none/new",
            "..",
            "",
            "sub/../../rules/x",
        ] {
            assert!(write(name).is_err(), "{name}");
        }
        assert!(DataPaths::default().write("new").is_err());
    }
}
