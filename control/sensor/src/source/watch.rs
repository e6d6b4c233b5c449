//! Notices changes of files and directories: told once things are quiet again, however many files
//! changed, and however an editor replaced them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// Quiet for this long, a change is over.
const QUIET: Duration = Duration::from_millis(150);
/// A change that never ends is told of after this.
const LONGEST: Duration = Duration::from_secs(2);

/// A watch on files and directories. Dropped, it ends.
///
/// A file is watched by its directory, so that it may be replaced by renaming, removed and made
/// again. A directory is watched with those in it, and by its own directory for the same reason.
#[derive(Debug)]
pub struct Watch {
    changes: Receiver<()>,
    /// Without it events end, and with them the thread.
    _keeper: Arc<Mutex<Keeper>>,
}

impl Watch {
    /// Watches paths. A path that is not there yet may appear if its directory is there.
    ///
    /// # Errors
    /// The system refuses, for example because it watches too much already.
    pub fn new(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> notify::Result<Self> {
        let targets: Arc<[Target]> =
            paths.into_iter().map(|path| Target::new(path.into())).collect();
        let (events, incoming) = mpsc::channel();
        let watcher = notify::recommended_watcher(move |event| {
            // The other end is gone when the watch is dropped.
            let _ = events.send(event);
        })?;
        let (changed, changes) = mpsc::sync_channel(1);
        let mut keeper = Keeper { watcher, targets: Arc::clone(&targets) };
        keeper.attach()?;
        let keeper = Arc::new(Mutex::new(keeper));
        let weak = Arc::downgrade(&keeper);
        thread::Builder::new()
            .name("pollux-watch".to_owned())
            .spawn(move || run(&targets, &weak, &incoming, &changed))
            .map_err(notify::Error::io)?;
        Ok(Self { changes, _keeper: keeper })
    }

    /// Waits for a change, no longer than this; true if there was one.
    pub fn wait(&self, timeout: Duration) -> bool {
        self.changes.recv_timeout(timeout).is_ok()
    }

    /// Was there a change since the last question?
    pub fn changed(&self) -> bool {
        self.changes.try_recv().is_ok()
    }
}

/// A path, and what of it is watched.
#[derive(Debug)]
struct Target {
    path: PathBuf,
    parent: PathBuf,
    name: Option<OsString>,
}

impl Target {
    fn new(path: PathBuf) -> Self {
        let path = std::path::absolute(&path).unwrap_or(path);
        let parent = path.parent().unwrap_or(&path).to_owned();
        let name = path.file_name().map(OsString::from);
        Self { path, parent, name }
    }

    /// Does a change at this path concern the target?
    fn concerns(&self, changed: &Path) -> bool {
        changed.starts_with(&self.path)
            || changed.strip_prefix(&self.parent).is_ok_and(|rest| {
                let first = rest.components().next().map(|part| part.as_os_str().to_owned());
                // A mounted ConfigMap changes by the hidden link that its files lead through.
                first.is_none() || first == self.name || first.as_deref() == Some("..data".as_ref())
            })
    }
}

#[derive(Debug)]
struct Keeper {
    watcher: RecommendedWatcher,
    targets: Arc<[Target]>,
}

impl Keeper {
    /// Watches all targets, those again that were replaced.
    fn attach(&mut self) -> notify::Result<()> {
        for target in self.targets.iter() {
            self.watcher.watch(&target.parent, RecursiveMode::NonRecursive)?;
            if target.path.is_dir() {
                // Anew, since what bears the name may be another directory by now.
                let _ = self.watcher.unwatch(&target.path);
                self.watcher.watch(&target.path, RecursiveMode::Recursive)?;
            }
        }
        Ok(())
    }
}

/// Turns events into changes until the watch is dropped.
fn run(
    targets: &[Target],
    keeper: &Weak<Mutex<Keeper>>,
    events: &Receiver<notify::Result<notify::Event>>,
    changed: &SyncSender<()>,
) {
    while let Ok(event) = events.recv() {
        if !matters(targets, &event) {
            continue;
        }
        let begin = Instant::now();
        while begin.elapsed() < LONGEST && events.recv_timeout(QUIET).is_ok() {}
        let Some(keeper) = keeper.upgrade() else { return };
        // Before the change is told: what happens while it is dealt with is noticed again.
        if let Err(error) = keeper.lock().unwrap_or_else(PoisonError::into_inner).attach() {
            tracing::warn!("watching for changes: {error}");
        }
        drop(keeper);
        // One that nobody has asked for yet says the same.
        if matches!(changed.try_send(()), Err(TrySendError::Disconnected(()))) {
            return;
        }
    }
}

/// Does an event concern what is watched?
fn matters(targets: &[Target], event: &notify::Result<notify::Event>) -> bool {
    match event {
        // Reading is no change, and answering it by reading would never end.
        Ok(event) if matches!(event.kind, EventKind::Access(_)) => false,
        // The system lost events: any could have mattered.
        Ok(event) if event.need_rescan() || event.paths.is_empty() => true,
        Ok(event) => {
            event.paths.iter().any(|path| targets.iter().any(|target| target.concerns(path)))
        }
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Longer than a change may take to be told on a busy machine.
    const SOON: Duration = Duration::from_secs(10);
    /// Long enough for a change that is wrongly told.
    const STILL: Duration = Duration::from_millis(600);

    #[test]
    fn a_changed_file_is_noticed_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let watch = Watch::new([directory.path()]).expect("watched");
        assert!(!watch.changed());
        for n in 0..5 {
            fs::write(directory.path().join(format!("{n}.yaml")), "x").expect("written");
        }
        assert!(watch.wait(SOON));
        fs::read(directory.path().join("0.yaml")).expect("read");
        assert!(!watch.wait(STILL), "reading is no change");
    }

    #[test]
    fn files_replaced_by_renaming_are_noticed_again_and_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("a.rules");
        fs::write(&file, "1").expect("written");
        fs::write(directory.path().join("other"), "1").expect("written");
        let watch = Watch::new([&file]).expect("watched");
        for n in 0..3 {
            let new = directory.path().join(format!("a.rules~{n}"));
            fs::write(&new, "2").expect("written");
            fs::rename(&new, &file).expect("renamed");
            assert!(watch.wait(SOON), "{n}");
        }
        fs::remove_file(&file).expect("removed");
        assert!(watch.wait(SOON));
        fs::write(directory.path().join("other"), "2").expect("written");
        assert!(!watch.wait(STILL), "another file is none of its business");
    }

    #[test]
    fn a_replaced_directory_is_watched_on() {
        let parent = tempfile::tempdir().expect("a directory");
        let path = parent.path().join("resources");
        fs::create_dir_all(path.join("inner")).expect("made");
        let watch = Watch::new([&path]).expect("watched");
        fs::write(path.join("inner/a.yaml"), "1").expect("written");
        assert!(watch.wait(SOON));
        fs::rename(&path, parent.path().join("old")).expect("renamed");
        fs::create_dir(&path).expect("made");
        assert!(watch.wait(SOON));
        fs::write(path.join("b.yaml"), "1").expect("written");
        assert!(watch.wait(SOON), "the new directory is watched");
        fs::create_dir(path.join("new")).expect("made");
        assert!(watch.wait(SOON));
        fs::write(path.join("new/c.yaml"), "1").expect("written");
        assert!(watch.wait(SOON), "so are directories made later");
    }

    #[test]
    fn a_mounted_configmap_that_is_swapped_is_noticed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("..1")).expect("made");
        fs::write(path("..1/a.rules"), "1").expect("written");
        fs::create_dir(path("..2")).expect("made");
        fs::write(path("..2/a.rules"), "2").expect("written");
        std::os::unix::fs::symlink("..1", path("..data")).expect("linked");
        std::os::unix::fs::symlink("..data/a.rules", path("a.rules")).expect("linked");
        let watch = Watch::new([path("a.rules")]).expect("watched");
        std::os::unix::fs::symlink("..2", path("..data_tmp")).expect("linked");
        fs::rename(path("..data_tmp"), path("..data")).expect("renamed");
        assert!(watch.wait(SOON));
    }
}
