//! How much of a stream was never seen: an estimate of what the mirror lost, whether or not bytes are
//! stored. Zeek's `missed_bytes` is the same measure.

/// What was seen of a stream, by offset.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The highest end of any bytes.
    end: u64,
    /// Bytes before it that were not there when later ones came.
    missing: u64,
}

impl Seen {
    /// Bytes from one offset to another have come. Answers how many of them are behind what was
    /// known: they may have come before, or fill a hole.
    #[inline]
    pub(crate) fn note(&mut self, start: i64, end: i64) -> u64 {
        let (start, end) = (start.max(0) as u64, end.max(0) as u64);
        let known = self.end;
        if start > known {
            self.missing += start - known;
        }
        self.end = known.max(end);
        end.min(known).saturating_sub(start)
    }

    /// The highest end of any bytes.
    #[inline]
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Whether anything is missing.
    #[inline]
    pub(crate) fn has_holes(&self) -> bool {
        self.missing > 0
    }

    /// So many bytes of holes have come after all.
    pub(crate) fn fill(&mut self, bytes: u64) {
        self.missing = self.missing.saturating_sub(bytes);
    }

    /// Bytes before the highest end that were acknowledged and not seen.
    pub(crate) fn holes(&self, acked: u64) -> u64 {
        self.missing.min(acked)
    }

    /// Bytes that were acknowledged and not seen. `acked` is the highest offset that the other side
    /// has acknowledged, `fin` that of the end, if it was announced.
    pub(crate) fn missed(&self, acked: u64, fin: Option<u64>) -> u64 {
        let acked = acked.min(fin.unwrap_or(u64::MAX));
        let mut tail = acked.saturating_sub(self.end);
        if tail == 1 && fin.is_none() {
            // A FIN takes a number, too.
            tail = 0;
        }
        self.holes(acked) + tail
    }

    /// Bytes that were carried, seen or not.
    pub(crate) fn carried(&self, acked: u64, fin: Option<u64>) -> u64 {
        self.end.max(acked.min(fin.unwrap_or(acked)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_count_once_they_are_acknowledged_and_no_more_once_they_are_filled() {
        let mut seen = Seen::default();
        assert_eq!(seen.note(0, 100), 0);
        assert_eq!(seen.note(300, 400), 0);
        assert_eq!((seen.missed(0, None), seen.missed(400, None)), (0, 200));
        // 50 of the 200 come late, with 20 that were known.
        assert_eq!(seen.note(80, 150), 70);
        seen.fill(50);
        assert_eq!(seen.missed(400, None), 150);
        // The last packets never came: 500 acknowledged, of which the last number is the FIN's.
        assert_eq!(seen.missed(501, Some(500)), 250);
        assert_eq!(seen.missed(401, None), 150, "a FIN that was not seen");
        assert_eq!((seen.carried(501, Some(500)), seen.carried(0, None)), (500, 400));
    }
}
