//! The other end of a running sensor's local socket: its samples, one after the other.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

use crate::health::Sample;

/// The longest line that is read.
const LONGEST: u64 = 64 << 20;

/// A sensor tells something every second; its rules may still be loading.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no sample.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nothing is there, or nobody listens.
    #[error(
        "no sensor runs at {path}{why}; start `pollux run`, or say where its socket is with --socket or \
         metrics.socket"
    )]
    Absent {
        /// The socket.
        path: String,
        /// What is known beyond that.
        why: &'static str,
    },
    /// It is someone else's.
    #[error(
        "{0}: permission denied; the socket is its sensor's user's alone: run as that user, or as root"
    )]
    Denied(String),
    /// The sensor has gone, or says nothing.
    #[error("the sensor at {path} {what}")]
    Gone {
        /// The socket.
        path: String,
        /// What has become of it.
        what: String,
    },
    /// The sensor refuses.
    #[error("the sensor at {path} refuses: {error}")]
    Refused {
        /// The socket.
        path: String,
        /// Why.
        error: String,
    },
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    path: String,
    stream: BufReader<UnixStream>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Nobody is there, or not for this user.
    pub fn connect(socket: &Path) -> Result<Self, ClientError> {
        let path = socket.display().to_string();
        let connected = UnixStream::connect(socket)
            .and_then(|stream| stream.set_read_timeout(Some(PATIENCE)).map(|()| stream));
        match connected {
            Ok(stream) => Ok(Self { path, stream: BufReader::new(stream) }),
            Err(error) => Err(match error.kind() {
                io::ErrorKind::PermissionDenied => ClientError::Denied(path),
                io::ErrorKind::NotFound => ClientError::Absent { path, why: "" },
                io::ErrorKind::ConnectionRefused => {
                    ClientError::Absent { path, why: " (one that was killed has left its socket)" }
                }
                _ => ClientError::Gone { path, what: format!("cannot be asked: {error}") },
            }),
        }
    }

    /// Waits for the next sample.
    ///
    /// # Errors
    /// There is none any more.
    pub fn sample(&mut self) -> Result<Sample, ClientError> {
        let gone = |what: String| ClientError::Gone { path: self.path.clone(), what };
        let mut line = Vec::new();
        match (&mut self.stream).take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) => return Err(gone("has gone".to_owned())),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(gone(format!(
                    "has said nothing for {} s: it is starting, or hangs",
                    PATIENCE.as_secs()
                )));
            }
            Err(error) => return Err(gone(format!("cannot be read: {error}"))),
        }
        if let Ok(Refusal { error }) = serde_json::from_slice(&line) {
            return Err(ClientError::Refused { path: self.path.clone(), error });
        }
        serde_json::from_slice(&line)
            .map_err(|error| gone(format!("is of another version, or no sensor: {error}")))
    }
}
