//! The local socket of a running sensor: whoever connects is told a [`Sample`](super::Sample) a second, each a
//! line of JSON. A client that is slow misses samples, one that stands still is let go; the sensor waits for none.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Health;

/// Clients at a time.
pub const CLIENTS: usize = 8;

/// How long a client may take to take a sample.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the socket is; it is gone when this is dropped.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    inode: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        // Another sensor may have taken the place.
        if fs::symlink_metadata(&self.path).is_ok_and(|it| it.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes the socket, for its owner alone. One that a sensor left behind is replaced.
///
/// # Errors
/// Another sensor answers there, something else is there, or the system's.
pub fn bind(path: &Path) -> io::Result<(UnixListener, Place)> {
    let explain =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(explain)?;
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(explain(io::Error::other("something that is no socket is there")));
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            return Err(explain(io::Error::other("another sensor answers there")));
        }
        _ => {}
    }
    // Nobody can connect before its mode is right.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let making = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let _ = fs::remove_file(&making);
    let listener = UnixListener::bind(&making).map_err(explain)?;
    let made = fs::set_permissions(&making, Permissions::from_mode(0o600))
        .and_then(|()| fs::symlink_metadata(&making))
        .and_then(|metadata| fs::rename(&making, path).map(|()| metadata.ino()))
        .and_then(|inode| listener.set_nonblocking(true).map(|()| inode));
    match made {
        Ok(inode) => Ok((listener, Place { path: path.to_owned(), inode })),
        Err(error) => {
            let _ = fs::remove_file(&making);
            Err(explain(error))
        }
    }
}

/// Answers in the background. Must be called on the runtime.
///
/// # Errors
/// The runtime's.
pub fn serve(listener: UnixListener, health: Arc<Health>) -> io::Result<()> {
    let listener = tokio::net::UnixListener::from_std(listener)?;
    let room = Arc::new(Semaphore::new(CLIENTS));
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else {
                // Too many open files, say: that passes.
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            };
            let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                let text = format!("{{\"error\":\"{CLIENTS} clients are connected already\"}}\n");
                // There is room for it in the socket, unless the client has gone.
                let _ =
                    timeout(Duration::from_millis(100), stream.write_all(text.as_bytes())).await;
                continue;
            };
            let health = Arc::clone(&health);
            tokio::spawn(async move {
                tell(stream, &health).await;
                drop(place);
            });
        }
    });
    Ok(())
}

/// Tells a client every sample, until it has gone or stands still.
async fn tell(mut stream: tokio::net::UnixStream, health: &Health) {
    let mut news = health.news.subscribe();
    news.mark_changed();
    while news.changed().await.is_ok() {
        news.mark_unchanged();
        let line = health.with_sample(serde_json::to_vec);
        let Some(Ok(mut line)) = line else { continue };
        line.push(b'\n');
        if !matches!(timeout(PATIENCE, stream.write_all(&line)).await, Ok(Ok(()))) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::time::Instant;

    use super::*;
    use crate::background::Runtime;
    use crate::health::Sample;

    struct Site {
        path: PathBuf,
        health: Arc<Health>,
        _place: Place,
        _runtime: Runtime,
        _folder: tempfile::TempDir,
    }

    fn site() -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("below/x.sock");
        let (listener, place) = bind(&path).expect("bound");
        let health = Arc::<Health>::default();
        let runtime = Runtime::start().expect("a runtime");
        let theirs = Arc::clone(&health);
        runtime.handle.block_on(async { serve(listener, theirs) }).expect("served");
        Site { path, health, _place: place, _runtime: runtime, _folder: folder }
    }

    fn sample(generation: u64) -> Sample {
        Sample { generation, ..Sample::default() }
    }

    fn connect(site: &Site) -> BufReader<UnixStream> {
        let stream = UnixStream::connect(&site.path).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        BufReader::new(stream)
    }

    fn generation(client: &mut BufReader<UnixStream>) -> u64 {
        let mut line = String::new();
        client.read_line(&mut line).expect("a line");
        serde_json::from_str::<Sample>(&line).expect("a sample").generation
    }

    #[test]
    fn a_client_is_told_the_latest_sample_at_once_and_then_every_other() {
        let site = site();
        let mode = fs::metadata(&site.path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        site.health.tell(sample(1));
        let mut client = connect(&site);
        assert_eq!(generation(&mut client), 1);
        for number in 2..5 {
            site.health.tell(sample(number));
            assert_eq!(generation(&mut client), number);
        }
    }

    #[test]
    fn a_client_that_does_not_read_holds_up_nobody_and_more_than_so_many_are_refused() {
        let site = site();
        let big = Sample { node: "x".repeat(1 << 20), ..sample(7) };
        site.health.tell(big.clone());
        let lazy: Vec<_> = (1..CLIENTS).map(|_| connect(&site)).collect();
        let mut busy = connect(&site);
        assert_eq!(generation(&mut busy), 7);
        let begin = Instant::now();
        for number in 8..11 {
            site.health.tell(Sample { generation: number, ..big.clone() });
            assert_eq!(generation(&mut busy), number);
        }
        // One after the other, the lazy ones would have taken seven times as long as one may.
        assert!(begin.elapsed() < 4 * PATIENCE, "{:?}", begin.elapsed());
        let mut refused = String::new();
        connect(&site).read_to_string(&mut refused).expect("an answer");
        assert!(refused.contains("clients are connected already"), "{refused}");
        // Those who stand still are let go, and make room.
        let deadline = Instant::now() + 4 * PATIENCE;
        loop {
            site.health.tell(sample(8));
            let mut line = String::new();
            connect(&site).read_line(&mut line).expect("a line");
            if !line.starts_with("{\"error\"") {
                break;
            }
            assert!(Instant::now() < deadline, "no room: {line}");
            std::thread::sleep(Duration::from_millis(100));
        }
        drop(lazy);
    }

    #[test]
    fn what_a_sensor_left_is_replaced_and_what_another_holds_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.sock");
        let (listener, place) = bind(&path).expect("bound");
        let other = bind(&path).map(drop).expect_err("taken").to_string();
        assert!(other.contains("another sensor"), "{other}");
        std::mem::forget(place);
        drop(listener);
        assert!(path.exists());
        let (_listener, place) = bind(&path).expect("a leftover is replaced");
        drop(place);
        assert!(!path.exists());
        fs::write(&path, "mine").expect("written");
        let taken = bind(&path).map(drop).expect_err("no socket").to_string();
        assert!(taken.contains("no socket"), "{taken}");
        assert_eq!(fs::read_to_string(&path).expect("there"), "mine");
    }
}
