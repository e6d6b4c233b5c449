//! One DNS message: header and questions kept, resource records only walked over, authorities read when
//! asked for.

use super::name::{self, Odd, Stop};
use super::record::{self, Record};

/// The header's length in bytes.
pub(super) const HEADER: usize = 12;

/// Bit of the flags word that marks a response.
const QR: u16 = 0x8000;

/// Bit of the flags word that must be zero.
pub(super) const Z: u16 = 0x0040;

/// The header of a message (RFC 1035, 4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Header {
    pub(super) id: u16,
    pub(super) flags: u16,
    /// Questions, answers, authorities, additional records.
    pub(super) counts: [u16; 4],
}

impl Header {
    pub(super) fn parse(message: &[u8]) -> Option<Self> {
        let mut words = message.get(..HEADER)?.chunks_exact(2).map(be16);
        let mut word = || words.next().unwrap_or_default();
        Some(Self { id: word(), flags: word(), counts: [word(), word(), word(), word()] })
    }

    pub(super) fn is_response(&self) -> bool {
        self.flags & QR != 0
    }

    /// Whether a message of `len` bytes can hold as many records as the header says.
    pub(super) fn fits(&self, len: usize) -> bool {
        2 * self.counts.iter().map(|&n| usize::from(n)).sum::<usize>() <= len
    }
}

/// A parsed message. The questions' names lie in one arena.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) header: Header,
    names: Vec<u8>,
    questions: Vec<Question>,
    pub(super) odd: Odd,
    /// A response that has authorities: all of it, and where they begin.
    authorities: Option<(Box<[u8]>, u32)>,
}

#[derive(Debug, Clone, Copy)]
struct Question {
    start: u32,
    end: u32,
    rrtype: u16,
}

impl Message {
    /// Parses a message. Questions must be whole, and a response's answers and authorities; what
    /// else there is, is not looked at.
    pub(super) fn parse(message: &[u8], max_names: usize) -> Result<Self, Stop> {
        let header = Header::parse(message).ok_or(Stop::Incomplete)?;
        let mut parsed = Self { header, ..Self::default() };
        // names may be reached by pointers again and again: no more work than for an honest message
        let mut budget = 1024 + message.len() * 2;
        let mut at = HEADER;
        for _ in 0..header.counts[0] {
            let start = parsed.names.len();
            at = name::read(message, at, &mut parsed.names, &mut budget, &mut parsed.odd)?;
            let fixed = message.get(at..at + 4).ok_or(Stop::Incomplete)?;
            at += 4;
            if parsed.names.len() > max_names {
                parsed.names.truncate(start);
                return Ok(parsed);
            }
            parsed.questions.push(Question {
                start: start as u32,
                end: parsed.names.len() as u32,
                rrtype: be16(fixed),
            });
        }
        if header.is_response() {
            let authorities = parsed.records(message, at, &mut budget)?;
            parsed.authorities = authorities
                .filter(|_| header.counts[2] > 0)
                .map(|at| (message.into(), u32::try_from(at).unwrap_or(u32::MAX)));
        }
        Ok(parsed)
    }

    /// Walks over a response's answers and authorities; says where the latter begin.
    fn records(
        &mut self,
        message: &[u8],
        mut at: usize,
        budget: &mut usize,
    ) -> Result<Option<usize>, Stop> {
        let mut scratch = Vec::new();
        let [_, answers, authorities, _] = self.header.counts;
        for _ in 0..answers {
            match record::walk(message, at, &mut scratch, budget, &mut self.odd) {
                Ok(next) => at = next,
                Err(_) if *budget == 0 => return Ok(None),
                Err(stop) => return Err(stop),
            }
        }
        let start = at;
        for _ in 0..authorities {
            match record::walk(message, at, &mut scratch, budget, &mut self.odd) {
                Ok(next) => at = next,
                Err(_) if *budget == 0 => break,
                Err(stop) => return Err(stop),
            }
        }
        Ok(Some(start))
    }

    /// Bytes held beside itself: of questions, and of names and the message.
    pub(super) fn held(&self) -> (usize, usize) {
        let message = self.authorities.as_ref().map_or(0, |(message, _)| message.len());
        (self.questions.capacity() * size_of::<Question>(), self.names.capacity() + message)
    }

    /// A response's authorities.
    pub(super) fn authorities(&self) -> Vec<Record> {
        let Some((message, at)) = &self.authorities else { return Vec::new() };
        record::read(message, *at as usize, self.header.counts[2])
    }

    /// Name and type of a question.
    pub(super) fn question(&self, index: usize) -> Option<(&[u8], u16)> {
        let q = self.questions.get(index)?;
        Some((self.names.get(q.start as usize..q.end as usize)?, q.rrtype))
    }
}

pub(super) fn be16(bytes: &[u8]) -> u16 {
    match bytes {
        [a, b, ..] => u16::from_be_bytes([*a, *b]),
        _ => 0,
    }
}

/// Whether `message`, the part that is there of one of `len` bytes, looks like DNS. With all of it
/// there, the records must make sense; with less, the header alone decides.
pub(crate) fn looks_like_dns(message: &[u8], len: usize) -> Option<IsResponse> {
    let message = message.get(..len).unwrap_or(message);
    let header = Header::parse(message)?;
    if message.len() == len && matches!(Message::parse(message, usize::MAX), Err(Stop::Invalid)) {
        return None;
    }
    header.fits(len).then_some(IsResponse(header.is_response()))
}

/// Whether a message is a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IsResponse(pub(crate) bool);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::dns_query as query;

    #[test]
    fn every_question_is_kept() {
        let mut m = query(7, b"\x03Www\x02ex\0");
        m.extend_from_slice(b"\x01b\xc0\x10\0\x1c\0\x01");
        m[5] = 2;
        let m = Message::parse(&m, 1000).unwrap();
        assert_eq!(m.header.id, 7);
        assert_eq!(m.question(0), Some((&b"Www.ex"[..], 1)));
        assert_eq!(m.question(1), Some((&b"b.ex"[..], 28)));
        assert_eq!(m.question(2), None);
    }

    #[test]
    fn questions_must_be_whole_and_the_records_of_responses() {
        let m = query(1, b"\x03www\0");
        assert_eq!(Message::parse(&m[..m.len() - 1], 1000).unwrap_err(), Stop::Incomplete);
        let mut cut = m.clone();
        cut[11] = 1;
        cut.extend_from_slice(b"\0\0\x29\x10");
        assert!(Message::parse(&cut, 1000).is_ok());
        cut[2] |= 0x80;
        assert!(Message::parse(&cut, 1000).is_ok());
        cut.swap(7, 11);
        assert_eq!(Message::parse(&cut, 1000).unwrap_err(), Stop::Incomplete);
    }

    #[test]
    fn names_kept_are_bounded() {
        // 2,000 questions that point at one long name
        let mut m = query(1, &[&[63u8; 64][..], &[63u8; 64], b"\0"].concat());
        for _ in 0..2000 {
            m.extend_from_slice(b"\xc0\x0c\0\x01\0\x01");
        }
        m[4..6].copy_from_slice(&2001u16.to_be_bytes());
        let m = Message::parse(&m, 4096).unwrap();
        assert!(m.names.len() <= 4096 && m.questions.len() < 40);
    }

    #[test]
    fn probing_wants_sense_and_room_for_the_records() {
        let m = query(1, b"\x03www\0");
        assert_eq!(looks_like_dns(&m, m.len()), Some(IsResponse(false)));
        assert_eq!(looks_like_dns(&m[..HEADER], m.len()), Some(IsResponse(false)));
        assert_eq!(looks_like_dns(&m[..4], m.len()), None);
        let mut many = m.clone();
        many[6] = 0xea;
        assert_eq!(looks_like_dns(&many, many.len()), None);
        assert_eq!(looks_like_dns(b"GET / HTTP/1.1\r\n\r\n", 18), None);
    }
}
