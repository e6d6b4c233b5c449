//! What the fuzz targets share: bytes as a source of choices, the driver of application parsers, and cores.
#![forbid(unsafe_code)]

mod choices;
mod session;
mod shop;

pub use choices::Choices;
pub use session::drive_session;
pub use shop::Shop;
