//! Compiles a [`PatternStore`](super::prefilter::PatternStore)'s sets on several threads, or
//! takes them from the cache.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use hyperscan::{CompileError, Database, Pattern};

use super::cache::{Cache, Key};
use super::prefilter::Literal;
use super::report::Progress;

/// The databases of the sets, in their order.
pub(crate) struct Compiled {
    pub(crate) databases: Vec<Arc<Database>>,
    /// How many came from the cache.
    pub(crate) cached: usize,
    pub(crate) warnings: Vec<String>,
}

/// Why there are no databases.
pub(crate) enum Failure {
    /// Hyperscan's error about the set of this number.
    Compile(usize, CompileError),
    /// A thread ended without a result.
    Lost,
}

/// One set's database, where it came from and what went wrong meanwhile.
struct Made {
    database: Database,
    cached: bool,
    warning: Option<String>,
}

/// Makes every set's database, largest first so that no thread is left alone with the largest at
/// the end.
pub(crate) fn compile(
    sets: &[Arc<[Literal]>],
    cache: Option<&Cache>,
    threads: usize,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Compiled, Failure> {
    let mut warnings = Vec::new();
    let cache = cache.filter(|cache| match cache.prepare() {
        Ok(()) => true,
        Err(error) => {
            let directory = cache.directory().display();
            warnings.push(format!("the rule cache {directory} is not used: {error}"));
            false
        }
    });

    let total = sets.len();
    let mut order: Vec<usize> = (0..total).collect();
    order.sort_by_key(|&set| std::cmp::Reverse(sets.get(set).map_or(0, |s| s.len())));
    let next = AtomicUsize::new(0);
    let mut slots: Vec<Option<Database>> = (0..total).map(|_| None).collect();
    let mut failure = None;
    let mut cached = 0;
    progress(Progress { done: 0, total });

    thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        let work = |sender: mpsc::Sender<_>| {
            while let Some(&set) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                let Some(literals) = sets.get(set) else { break };
                let made = catch_unwind(AssertUnwindSafe(|| make(literals, cache)));
                if sender.send((set, made)).is_err() {
                    break;
                }
            }
        };
        let mut working = 0;
        for _ in 0..threads.clamp(1, total.max(1)) {
            let sender = sender.clone();
            let thread = thread::Builder::new().name("rules-build".into());
            working += usize::from(thread.spawn_scoped(scope, move || work(sender)).is_ok());
        }
        if working == 0 {
            // Out of threads: slowly, then.
            work(sender.clone());
        }
        drop(sender);
        // Ends when the last thread has dropped its sender. After a failure the receiver goes,
        // and each thread with its next result.
        let mut done = 0;
        for (set, made) in results {
            match made {
                Ok(Ok(made)) => {
                    cached += usize::from(made.cached);
                    // One is enough: a full disk would say so for every database.
                    if warnings.is_empty() {
                        warnings.extend(made.warning);
                    }
                    if let Some(slot) = slots.get_mut(set) {
                        *slot = Some(made.database);
                    }
                    done += 1;
                    progress(Progress { done, total });
                }
                Ok(Err(error)) => {
                    failure = Some(Failure::Compile(set, error));
                    break;
                }
                Err(_) => {
                    failure = Some(Failure::Lost);
                    break;
                }
            }
        }
    });

    if let Some(failure) = failure {
        return Err(failure);
    }
    let databases: Option<Vec<_>> = slots.into_iter().map(|slot| slot.map(Arc::new)).collect();
    let databases = databases.ok_or(Failure::Lost)?;
    if let Some(cache) = cache
        && let Err(error) = cache.prune()
    {
        let directory = cache.directory().display();
        warnings.push(format!("the rule cache {directory} cannot be tidied: {error}"));
    }
    Ok(Compiled { databases, cached, warnings })
}

fn make(literals: &[Literal], cache: Option<&Cache>) -> Result<Made, CompileError> {
    let keyed = cache.map(|cache| (cache, Key::of(literals)));
    if let Some((cache, key)) = &keyed
        && let Some(database) = cache.load(key)
        && database.pattern_count() == literals.len()
    {
        return Ok(Made { database, cached: true, warning: None });
    }
    let patterns: Vec<Pattern> = (0..)
        .zip(literals)
        .map(|(id, literal)| Pattern::literal(id, &*literal.bytes).nocase(literal.nocase))
        .collect();
    let database = Database::compile(&patterns)?;
    let warning = keyed.and_then(|(cache, key)| {
        let error = cache.store(&key, &database).err()?;
        let directory = cache.directory().display();
        Some(format!("the rule cache {directory} cannot be written: {error}"))
    });
    Ok(Made { database, cached: false, warning })
}
