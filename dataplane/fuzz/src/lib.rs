//! What the fuzz targets share: bytes as a source of choices, and a conversation over a connection.
#![forbid(unsafe_code)]

mod choices;
mod session;
mod talk;

pub use choices::Choices;
pub use session::drive_session;
pub use talk::Talk;
