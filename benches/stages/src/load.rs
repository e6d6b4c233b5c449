//! The rules that everything is measured with: read, compiled, and kept as text and as patterns for
//! those that are measured beside Pollux.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use rules::parse::{Classifications, Context, Names};
use rules::ruleset::{Cache, Ruleset};
use rules::signature::{Buffer, Signature, Test};

/// What to load.
#[derive(Debug, Clone)]
pub struct RuleSource {
    /// Files, folders and patterns.
    pub paths: Vec<PathBuf>,
    /// `HOME_NET`; None: the private ranges.
    pub home_net: Option<String>,
    /// Where compiled databases are kept.
    pub cache: PathBuf,
}

/// Rules, loaded.
#[derive(Debug)]
pub struct Rules {
    /// Compiled.
    pub ruleset: Arc<Ruleset>,
    /// What `$HOME_NET` and its like stand for.
    pub context: Context,
    /// How many rules were refused.
    pub rejected: usize,
    /// A `classification.config` beside the rules.
    pub classification: Option<PathBuf>,
    /// Megabytes of all databases.
    pub database_mb: f64,
}

impl RuleSource {
    /// Reads and compiles.
    ///
    /// # Errors
    /// A path cannot be read, no rule is left, or the rules do not compile.
    pub fn load(&self) -> anyhow::Result<Rules> {
        let mut context = Context::default();
        if let Some(home) = &self.home_net {
            context.variables.set("HOME_NET", home)?;
        }
        let classification = self.paths.iter().find_map(|path| beside(path));
        if let Some(path) = &classification {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            context.classes = Classifications::parse(&text).0;
        }
        let mut loaded = rules::parse::load(&self.paths, &context, &mut Names::default());
        if let Some(error) = loaded.errors.pop() {
            return Err(error.into());
        }
        let rejected = loaded.parsed.rejections.len();
        if loaded.parsed.signatures.is_empty() {
            bail!("no rule is left to measure with ({rejected} were refused)");
        }
        let cache = Cache::new(&self.cache);
        let (ruleset, report) =
            Ruleset::compile(loaded.parsed.signatures, Some(&cache), 2, &|_| ())?;
        let database_mb = report.database_bytes as f64 / 1e6;
        Ok(Rules { ruleset: Arc::new(ruleset), context, rejected, classification, database_mb })
    }
}

fn beside(path: &Path) -> Option<PathBuf> {
    let folder = if path.is_dir() { path } else { path.parent()? };
    Some(folder.join("classification.config")).filter(|path| path.is_file())
}

impl Rules {
    /// The loaded rules' text, one a line.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for signature in &self.ruleset.signatures {
            out.extend(signature.text.chars().filter(|c| !matches!(c, '\n' | '\r')));
            out.push('\n');
        }
        out
    }

    /// The fast patterns in raw payload, each once, with whether letters match in either case.
    pub fn raw_patterns(&self) -> BTreeSet<(Vec<u8>, bool)> {
        self.ruleset.signatures.iter().filter_map(raw_pattern).collect()
    }
}

fn raw_pattern(signature: &Signature) -> Option<(Vec<u8>, bool)> {
    let fast = signature.fast_pattern?;
    let tests = signature.buffers.get(fast.buffer)?;
    if tests.buffer != Buffer::Payload {
        return None;
    }
    let Test::Content(content) = tests.tests.get(fast.test)? else { return None };
    let bytes = content.pattern.get(fast.start..fast.start.checked_add(fast.len)?)?;
    (!bytes.is_empty()).then(|| (bytes.to_vec(), content.nocase))
}
