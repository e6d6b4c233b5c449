//! Heartbeats (RFC 6520): those that lie about their length, and answers that hold more than was sent
//! (CVE-2014-0160).

use wire::Direction;

use crate::event::TlsEvent;

/// Padding that must follow a heartbeat's payload.
const PADDING: u32 = 16;

/// The heartbeat that waits for its answer.
#[derive(Debug, Default)]
pub(super) struct Heartbeats {
    /// Who sent it, and the length of its record where that was encrypted.
    open: Option<(Direction, Option<u16>)>,
}

impl Heartbeats {
    /// Takes type and length of a heartbeat (None: not readable) in a record of `record` bytes.
    pub(super) fn take(
        &mut self,
        dir: Direction,
        heart: Option<(u8, u16)>,
        record: u16,
        encrypted: bool,
    ) -> Result<(), TlsEvent> {
        if !encrypted && !matches!(heart, Some((1 | 2, _))) {
            return Err(TlsEvent::InvalidHeartbeatMessage);
        }
        match self.open {
            None => {
                self.open = Some((dir, encrypted.then_some(record)));
                if encrypted {
                    return Ok(());
                }
                let payload = u32::from(heart.map_or(0, |(_, length)| length)) + 3;
                let record = u32::from(record);
                if payload > record {
                    return Err(TlsEvent::OverflowHeartbeatMessage);
                }
                if record - payload < PADDING {
                    return Err(TlsEvent::InvalidHeartbeatMessage);
                }
            }
            Some((sender, length)) if sender != dir => {
                self.open = None;
                if encrypted && length.is_some_and(|length| length < record) {
                    return Err(TlsEvent::DataleakHeartbeatMismatch);
                }
            }
            Some(_) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{ToClient, ToServer};

    #[test]
    fn a_request_must_fit_its_record_with_padding() {
        let first = |heart, record| Heartbeats::default().take(ToServer, heart, record, false);
        assert_eq!(first(Some((1, 5)), 24), Ok(()));
        assert_eq!(first(Some((1, 5)), 23), Err(TlsEvent::InvalidHeartbeatMessage));
        assert_eq!(first(Some((1, 0x4000)), 3), Err(TlsEvent::OverflowHeartbeatMessage));
        assert_eq!(first(Some((9, 5)), 24), Err(TlsEvent::InvalidHeartbeatMessage));
        assert_eq!(first(None, 2), Err(TlsEvent::InvalidHeartbeatMessage));
    }

    #[test]
    fn an_encrypted_answer_longer_than_its_request_leaks() {
        let mut h = Heartbeats::default();
        assert_eq!(h.take(ToServer, None, 40, true), Ok(()));
        assert_eq!(h.take(ToServer, None, 90, true), Ok(()));
        assert_eq!(h.take(ToClient, None, 41, true), Err(TlsEvent::DataleakHeartbeatMismatch));
        assert_eq!(h.take(ToServer, None, 40, true), Ok(()));
        assert_eq!(h.take(ToClient, None, 40, true), Ok(()));
    }
}
