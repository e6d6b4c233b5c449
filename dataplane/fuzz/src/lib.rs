//! What the fuzz targets share: bytes as a source of choices, and the driver of application parsers.
#![forbid(unsafe_code)]

mod choices;
mod session;

pub use choices::Choices;
pub use session::drive_session;
