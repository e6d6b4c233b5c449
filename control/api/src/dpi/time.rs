//! A moment in a status: RFC 3339, UTC, whole seconds.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Whole seconds since 1970 UTC, within the years 1970 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// The last second that can be written whatever the offset: 9999-12-30T22:00:00Z.
const LAST: i64 = 253_402_207_200;

impl Time {
    /// From seconds since 1970 UTC; what lies outside the representable years is moved to their
    /// nearest end.
    pub fn from_second(second: i64) -> Time {
        Time(second.clamp(0, LAST))
    }

    /// Seconds since 1970 UTC.
    pub fn as_second(self) -> i64 {
        self.0
    }
}

/// Drops the fraction of the second.
impl From<jiff::Timestamp> for Time {
    fn from(timestamp: jiff::Timestamp) -> Time {
        Time::from_second(timestamp.as_second())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp = jiff::Timestamp::from_second(self.0).map_err(|_| fmt::Error)?;
        timestamp.fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse::<jiff::Timestamp>() {
            Ok(timestamp) => Ok(Time::from(timestamp)),
            Err(_) => {
                Err(de::Error::invalid_value(de::Unexpected::Str(&text), &"an RFC 3339 time"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_without_a_fraction() {
        assert_eq!(Time::from_second(1_795_000_000).to_string(), "2026-11-18T11:06:40Z");
        assert_eq!(Time::from_second(-5).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Time::from_second(i64::MAX).to_string(), "9999-12-30T22:00:00Z");
    }

    #[test]
    fn times_are_read_with_fraction_and_offset() {
        let time: Time = serde_json::from_str("\"2026-11-18T13:06:40.999+02:00\"").unwrap();
        assert_eq!(time, Time::from_second(1_795_000_000));
        assert!(serde_json::from_str::<Time>("\"yesterday\"").is_err());
    }
}
