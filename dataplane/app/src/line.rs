//! Lines out of chunks: what arrived without its line feed waits here, up to a limit.

use std::ops::Deref;

use memchr::memchr;

/// The unfinished line of one direction.
#[derive(Debug, Default)]
pub(crate) struct LineBuf {
    pending: Vec<u8>,
}

/// A line with its line feed, borrowed from the input where it lies there in one piece.
pub(crate) enum Line<'a> {
    Whole(&'a [u8]),
    Joined(Vec<u8>),
}

impl Deref for Line<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Line::Whole(b) => b,
            Line::Joined(b) => b,
        }
    }
}

/// The line is longer than allowed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl LineBuf {
    /// Takes the next line, line feed included, off `rest`; without a line feed all of `rest` is
    /// kept for later and there is none.
    pub(crate) fn next<'a>(
        &mut self,
        rest: &mut &'a [u8],
        limit: usize,
    ) -> Result<Option<Line<'a>>, TooLong> {
        let end = memchr(b'\n', rest).map(|i| i + 1);
        let (head, tail) = rest.split_at(end.unwrap_or(rest.len()));
        if self.pending.len() + head.len() > limit {
            return Err(TooLong);
        }
        *rest = tail;
        if end.is_none() {
            self.pending.extend_from_slice(head);
            return Ok(None);
        }
        if self.pending.is_empty() {
            return Ok(Some(Line::Whole(head)));
        }
        let mut joined = self.take();
        joined.extend_from_slice(head);
        Ok(Some(Line::Joined(joined)))
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// What waits.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }

    /// What waits, to look at.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.pending
    }
}

/// The line without the line feeds and carriage returns that end it.
pub(crate) fn chomp(mut line: &[u8]) -> &[u8] {
    while let [head @ .., b'\r' | b'\n'] = line {
        line = head;
    }
    line
}

/// Whether the line is only its end.
pub(crate) fn is_empty_line(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_in_pieces_comes_out_whole() {
        let mut b = LineBuf::default();
        let mut a: &[u8] = b"GET / HT";
        assert!(b.next(&mut a, 100).unwrap().is_none());
        assert!(a.is_empty());
        let mut c: &[u8] = b"TP/1.1\r\nHost";
        assert_eq!(&*b.next(&mut c, 100).unwrap().unwrap(), b"GET / HTTP/1.1\r\n");
        assert_eq!(c, b"Host");
        assert!(b.is_empty());
    }

    #[test]
    fn a_line_over_the_limit_is_refused() {
        let mut b = LineBuf::default();
        let mut a: &[u8] = b"12345";
        assert!(b.next(&mut a, 8).unwrap().is_none());
        let mut c: &[u8] = b"6789";
        assert!(b.next(&mut c, 8).is_err());
    }

    #[test]
    fn chomp_takes_every_line_end_off() {
        assert_eq!(chomp(b"a\r\n"), b"a");
        assert_eq!(chomp(b"a\n"), b"a");
        assert_eq!(chomp(b"a\r\r\n"), b"a");
        assert_eq!(chomp(b"\r\n"), b"");
    }
}
