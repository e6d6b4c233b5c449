//! A worker's own feeder: it reads the next frames whenever the worker's ring is empty, so that they lie in its core's
//! cache when their turn comes, and no threads change places.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use engine::worker::Supply;

use super::{Course, Fed, Feeder};
use crate::capture::CaptureError;

/// Frames that are read at a time: few enough for a core's cache, and for any ring.
pub const MOST: u64 = 128;

/// How often whoever waits looks how far it is.
const LOOK: Duration = Duration::from_millis(50);

type Result = (Fed, std::result::Result<(), CaptureError>);

/// The feeder, for the worker's thread.
#[derive(Debug)]
pub struct OwnFeeder {
    /// None when all was fed.
    course: Option<Course>,
    bytes: Arc<AtomicU64>,
    result: SyncSender<Result>,
}

/// What is to come of it, for the thread that waits for that.
#[derive(Debug)]
pub struct Awaited {
    bytes: Arc<AtomicU64>,
    result: Receiver<Result>,
}

impl Feeder {
    /// Makes it the own feeder of the worker at the other end of its only ring, which must hold [`MOST`] packets.
    pub fn into_own(mut self, captures: &[PathBuf]) -> (OwnFeeder, Awaited) {
        self.shared = None;
        let bytes = Arc::new(AtomicU64::new(0));
        let (sender, receiver) = sync_channel(1);
        let course = Some(Course::new(self, captures.to_vec()));
        let own = OwnFeeder { course, bytes: Arc::clone(&bytes), result: sender };
        (own, Awaited { bytes, result: receiver })
    }
}

impl OwnFeeder {
    /// Tells what was fed in all.
    fn end(&mut self, result: std::result::Result<(), CaptureError>) {
        if let Some(course) = self.course.take() {
            // Whoever waited may have given up.
            let _ = self.result.try_send((course.pass.fed, result));
        }
    }
}

impl Supply for OwnFeeder {
    fn more(&mut self) -> bool {
        let Some(course) = &mut self.course else { return false };
        let more = course.go_on(MOST);
        self.bytes.store(course.pass.fed.bytes, Ordering::Relaxed);
        match more {
            Ok(true) => return true,
            Ok(false) => self.end(Ok(())),
            Err(error) => self.end(Err(error)),
        }
        // What came last is still to be taken.
        true
    }
}

impl Drop for OwnFeeder {
    fn drop(&mut self) {
        if let Some(course) = &mut self.course {
            course.pass.fed.aborted = true;
        }
        self.end(Ok(()));
    }
}

impl Awaited {
    /// Waits until all was fed, or the worker has left. `progress` is told the bytes fed so far, now and then.
    pub fn wait(self, progress: &dyn Fn(u64)) -> Result {
        loop {
            match self.result.recv_timeout(LOOK) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Timeout) => progress(self.bytes.load(Ordering::Relaxed)),
                Err(RecvTimeoutError::Disconnected) => {
                    return (Fed { aborted: true, ..Fed::default() }, Ok(()));
                }
            }
        }
    }
}
