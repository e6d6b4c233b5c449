//! Lines out of chunks: what arrived without its line feed waits here, up to a limit.

use std::ops::Deref;

use memchr::{memchr, memchr2};

use crate::waiting::Waiting;

/// The unfinished line of one direction.
#[derive(Debug, Default)]
pub(crate) struct LineBuf {
    pending: Waiting,
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
        self.cut(rest, end, limit)
    }

    /// Takes the next line of a response's header off `rest`: it ends in a line feed, or in a
    /// carriage return that neither another nor a line feed follows. What the last byte leads to
    /// may depend on the next one, unless there is none (`closed`).
    pub(crate) fn next_lenient<'a>(
        &mut self,
        rest: &mut &'a [u8],
        limit: usize,
        closed: bool,
    ) -> Result<Option<Line<'a>>, TooLong> {
        let mut from = 0;
        let last_was_cr = self.pending.get().last() == Some(&b'\r');
        let end = loop {
            if from == 0 && last_was_cr && self.pending.len() > 1 {
                // the return that waited is the line's end if it stands alone
                match rest.first() {
                    Some(b'\r' | b'\n') => {}
                    Some(_) => break Some(0),
                    None => break closed.then_some(0),
                }
            }
            let Some(at) = memchr2(b'\r', b'\n', &rest[from..]).map(|at| from + at) else {
                break (closed && (self.pending.is_some() || !rest.is_empty()))
                    .then_some(rest.len());
            };
            if rest[at] == b'\n' {
                break Some(at + 1);
            }
            match rest.get(at + 1) {
                Some(b'\r' | b'\n') => from = at + 1,
                // a return by itself is no line
                Some(_) if self.pending.len() + at == 0 => from = at + 1,
                Some(_) => break Some(at + 1),
                None => break closed.then_some(at + 1),
            }
        };
        self.cut(rest, end, limit)
    }

    /// Takes a line that ends at `end` off `rest`, with what waits before it; without an end all of `rest` waits.
    #[inline]
    fn cut<'a>(
        &mut self,
        rest: &mut &'a [u8],
        end: Option<usize>,
        limit: usize,
    ) -> Result<Option<Line<'a>>, TooLong> {
        let (head, tail) = rest.split_at(end.unwrap_or(rest.len()));
        if self.pending.len() + head.len() > limit {
            return Err(TooLong);
        }
        *rest = tail;
        if end.is_none() {
            if !head.is_empty() {
                self.pending.get_mut().extend_from_slice(head);
            }
            return Ok(None);
        }
        if !self.pending.is_some() {
            return Ok(Some(Line::Whole(head)));
        }
        let mut joined = self.take();
        joined.extend_from_slice(head);
        Ok(Some(Line::Joined(joined)))
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        !self.pending.is_some()
    }

    /// What waits.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.pending.take().unwrap_or_default()
    }

    /// What waits, to look at.
    pub(crate) fn pending(&self) -> &[u8] {
        self.pending.get()
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

    fn lenient(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut b = LineBuf::default();
        let mut lines = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            let mut rest = *piece;
            let closed = at + 1 == pieces.len();
            while let Some(line) = b.next_lenient(&mut rest, 100, closed).unwrap() {
                lines.push(line.to_vec());
            }
        }
        lines
    }

    #[test]
    fn a_return_ends_a_line_of_a_response_if_it_stands_alone() {
        let whole: &[u8] = b"one\rtwo\r\nthree\r\r\n\rx\nend\r";
        let want: [&[u8]; 5] = [b"one\r", b"two\r\n", b"three\r\r\n", b"\rx\n", b"end\r"];
        assert_eq!(lenient(&[whole, b""]), want);
        let single: Vec<&[u8]> = whole.chunks(1).chain([&b""[..]]).collect();
        assert_eq!(lenient(&single), want);
    }

    #[test]
    fn chomp_takes_every_line_end_off() {
        assert_eq!(chomp(b"a\r\n"), b"a");
        assert_eq!(chomp(b"a\n"), b"a");
        assert_eq!(chomp(b"a\r\r\n"), b"a");
        assert_eq!(chomp(b"\r\n"), b"");
    }
}
