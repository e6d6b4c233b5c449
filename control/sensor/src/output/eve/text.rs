//! How EVE writes times, addresses and bytes, straight into the output buffer.

use std::fmt::{self, Write};
use std::net::IpAddr;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use wire::Nanos;

/// Implements `Serialize` by way of `Display`, without a `String` in between.
macro_rules! serialize_as_text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

serialize_as_text!(Time, Address, Base64<'_>, Printable<'_>, Hex<16>, Hex<20>, Hex<32>);

/// Nanoseconds since 1970 as `2023-11-14T22:13:24.650161+0000`: microseconds, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Nanos);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0 / 1_000;
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}+0000"
        )
    }
}

/// Year, month and day of the Gregorian calendar, from days since 1970-01-01. Counted from a
/// 1 March, so that the leap day is a year's last.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    const FROM_MARCH_OF_YEAR_0: u64 = 719_468;
    let days = days + FROM_MARCH_OF_YEAR_0;
    let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day_of_month)
}

/// Bytes as hexadecimal digits in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hex<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An address as EVE has it: IPv6 with all its digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address(pub(crate) IpAddr);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IpAddr::V6(address) = self.0 else { return self.0.fmt(f) };
        // One write: the text of an address is the commonest in a line.
        let mut text = [b':'; 39];
        for (group, place) in address.segments().iter().zip(text.chunks_mut(5)) {
            for (i, digit) in place.iter_mut().take(4).enumerate() {
                let nibble = group >> (12 - 4 * i) & 0xf;
                *digit = b"0123456789abcdef".get(usize::from(nibble)).copied().unwrap_or(b'0');
            }
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Bytes in base64, padded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Base64<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Base64<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Base64Display::new(self.0, &STANDARD).fmt(f)
    }
}

/// Bytes as text: printable ASCII and line ends as they are, a dot for any other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printable<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |byte: u8| matches!(byte, b' '..=b'~' | b'\r' | b'\n');
        for chunk in self.0.chunk_by(|&a, &b| plain(a) == plain(b)) {
            match std::str::from_utf8(chunk) {
                Ok(text) if chunk.first().is_some_and(|&byte| plain(byte)) => f.write_str(text)?,
                _ => chunk.iter().try_for_each(|_| f.write_char('.'))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_written_with_microseconds_and_offset() {
        let time = Time(1_700_000_004_650_161_999);
        assert_eq!(time.to_string(), "2023-11-14T22:13:24.650161+0000");
        assert_eq!(Time(0).to_string(), "1970-01-01T00:00:00.000000+0000");
        assert_eq!(Time(951_782_400_000_000_000).to_string(), "2000-02-29T00:00:00.000000+0000");
        assert_eq!(Time(u64::MAX).to_string(), "2554-07-21T23:34:33.709551+0000");
    }

    #[test]
    fn addresses_of_ipv6_have_all_their_digits() {
        let text = |address: &str| Address(address.parse().expect("an address")).to_string();
        assert_eq!(text("fe80::2e7e:81ff"), "fe80:0000:0000:0000:0000:0000:2e7e:81ff");
        assert_eq!(text("10.0.0.1"), "10.0.0.1");
    }

    #[test]
    fn bytes_become_base64_and_printable_text() {
        let bytes = b"GET /\r\n\t\0\xff\"\\~\x7f";
        let json = |value: serde_json::Value| value;
        assert_eq!(
            json(serde_json::to_value(Printable(bytes)).expect("text")),
            "GET /\r\n...\"\\~."
        );
        assert_eq!(serde_json::to_value(Base64(b"GET ")).expect("text"), "R0VUIA==");
        assert_eq!(serde_json::to_value(Printable(b"")).expect("text"), "");
    }

    proptest! {
        #[test]
        fn times_agree_with_a_calendar(seconds in 0u64..18_446_744_073, nanos in 0u64..1_000_000_000) {
            let time = Time(seconds * 1_000_000_000 + nanos).to_string();
            let stamp = jiff::Timestamp::from_second(seconds as i64).expect("in range");
            let date = jiff::tz::Offset::UTC.to_datetime(stamp);
            prop_assert_eq!(time, format!("{date}.{:06}+0000", nanos / 1_000));
        }

        #[test]
        fn every_byte_becomes_one_character(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = Printable(&bytes).to_string();
            prop_assert_eq!(text.len(), bytes.len());
            for (byte, shown) in bytes.iter().zip(text.bytes()) {
                prop_assert!(shown == *byte || shown == b'.');
            }
        }
    }
}
