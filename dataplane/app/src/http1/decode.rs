//! Content codings of a body, undone layer by layer, and leniently: what is announced as one coding
//! and is another, or none, still comes out, as browsers show it (behaviour of libhtp).

use flate2::{Decompress, FlushDecompress, Status};

/// Most times that another way to read a layer is tried.
const MAX_RESTARTS: u8 = 3;
/// A gzip header longer than this is none.
const MAX_HEADER: usize = 4096;
/// Bytes that come out of a layer at once.
const STEP: usize = 16 * 1024;

/// A coding that is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
}

/// What a Content-Encoding field announces.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Codings {
    pub(super) layers: Vec<Coding>,
    /// A value is not quite the name of its coding.
    pub(super) abnormal: bool,
    /// There are more layers than are undone.
    pub(super) too_many: bool,
}

impl Codings {
    /// Reads the field. At most `limit` layers are undone; 0: all.
    pub(super) fn of(value: &[u8], limit: usize) -> Self {
        let mut codings = Self::default();
        let tokens = value.split(|b| matches!(b, b',' | b' ')).filter(|token| !token.is_empty());
        for (at, token) in tokens.enumerate() {
            if limit != 0 && at >= limit {
                codings.too_many = true;
                break;
            }
            // NULs between the letters are not seen
            let lower: Vec<u8> =
                token.iter().filter(|b| **b != 0).map(u8::to_ascii_lowercase).collect();
            let has = |name: &[u8]| memchr::memmem::find(&lower, name).is_some();
            let (coding, names): (_, [&[u8]; 2]) = if has(b"gzip") {
                (Coding::Gzip, [b"gzip", b"x-gzip"])
            } else if has(b"deflate") {
                (Coding::Deflate, [b"deflate", b"x-deflate"])
            } else {
                codings.abnormal |= lower != b"inflate" && lower != b"lzma";
                continue;
            };
            codings.abnormal |= !names.contains(&&lower[..]);
            codings.layers.push(coding);
        }
        codings
    }
}

/// Undoes the codings of one body.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    layers: Vec<Layer>,
    /// A layer was not what it was announced as.
    pub(super) failed: bool,
}

impl Decoder {
    pub(super) fn new(codings: &[Coding]) -> Self {
        Self { layers: codings.iter().map(|&coding| Layer::new(coding)).collect(), failed: false }
    }

    /// Whether bytes come out as they go in.
    pub(super) fn is_plain(&self) -> bool {
        self.layers.is_empty()
    }

    /// Decodes the next bytes into `sink`, which says whether it takes more.
    pub(super) fn decode(&mut self, input: &[u8], sink: &mut dyn FnMut(&[u8]) -> bool) {
        run(&mut self.layers, input, sink);
        self.failed |= self.layers.iter().any(|layer| layer.restarts > 0);
    }
}

fn run(layers: &mut [Layer], input: &[u8], sink: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    match layers.split_first_mut() {
        None => sink(input),
        Some((first, rest)) => first.feed(input, &mut |bytes| run(rest, bytes, sink)),
    }
}

/// One coding being undone.
#[derive(Debug)]
struct Layer {
    coding: Coding,
    state: State,
    restarts: u8,
    /// Something has come out.
    produced: bool,
}

enum State {
    /// The head of a gzip or zlib stream is being read.
    Head(Vec<u8>),
    Data(Box<Decompress>),
    /// The stream is over; what follows is not looked at.
    Ended,
    /// It is not compressed at all.
    Plain,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Head(_) => "Head",
            Self::Data(_) => "Data",
            Self::Ended => "Ended",
            Self::Plain => "Plain",
        })
    }
}

/// The input is not what the layer takes it for.
struct Bad;

impl Layer {
    fn new(coding: Coding) -> Self {
        Self { coding, state: State::fresh(coding), restarts: 0, produced: false }
    }

    /// Decodes `input`; false: the sink takes no more.
    fn feed(&mut self, input: &[u8], sink: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let mut from = 0;
        loop {
            match self.step(input.get(from..).unwrap_or_default(), sink) {
                Ok(more) => return more,
                // what came out of a broken stream counts
                Err(Bad) if self.produced => {
                    self.restarts = MAX_RESTARTS;
                    self.state = State::Ended;
                    return true;
                }
                Err(Bad) if self.restarts < MAX_RESTARTS => {
                    if self.restarts > 0 {
                        self.coding = match self.coding {
                            Coding::Gzip => Coding::Deflate,
                            Coding::Deflate => Coding::Gzip,
                        };
                    }
                    self.restarts += 1;
                    self.state = State::fresh(self.coding);
                    from = presumed_head(input);
                }
                Err(Bad) => {
                    self.state = State::Plain;
                    return sink(input);
                }
            }
        }
    }

    fn step(&mut self, mut input: &[u8], sink: &mut dyn FnMut(&[u8]) -> bool) -> Result<bool, Bad> {
        if let State::Head(head) = &mut self.state {
            let before = head.len();
            head.extend_from_slice(&input[..input.len().min(MAX_HEADER - before)]);
            match head_len(head)? {
                None if head.len() < MAX_HEADER => return Ok(true),
                None => return Err(Bad),
                Some(len) => {
                    // the head is complete for the first time, so it ends in this input
                    input = input.get(len.saturating_sub(before)..).unwrap_or_default();
                    self.state = State::data();
                }
            }
        }
        match &mut self.state {
            State::Plain => Ok(sink(input)),
            State::Ended | State::Head(_) => Ok(true),
            State::Data(inflate) => {
                let mut out = Vec::with_capacity(STEP.min(input.len() * 4 + 64));
                loop {
                    out.clear();
                    let before = inflate.total_in();
                    let status = inflate.decompress_vec(input, &mut out, FlushDecompress::None);
                    let taken = usize::try_from(inflate.total_in() - before).unwrap_or(usize::MAX);
                    input = input.get(taken..).unwrap_or_default();
                    self.produced |= !out.is_empty();
                    let more = out.is_empty() || sink(&out);
                    match status {
                        Ok(Status::StreamEnd) => {
                            self.state = State::Ended;
                            return Ok(more);
                        }
                        Ok(_) if !more => return Ok(false),
                        Ok(_) if out.len() < out.capacity() && (input.is_empty() || taken == 0) => {
                            return Ok(true);
                        }
                        Ok(_) => {
                            if out.capacity() < STEP {
                                out = Vec::with_capacity(STEP);
                            }
                        }
                        Err(_) => return Err(Bad),
                    }
                }
            }
        }
    }
}

impl State {
    fn fresh(coding: Coding) -> Self {
        match coding {
            Coding::Gzip => Self::Head(Vec::new()),
            Coding::Deflate => Self::data(),
        }
    }

    fn data() -> Self {
        Self::Data(Box::new(Decompress::new(false)))
    }
}

/// Where a gzip header (RFC 1952, 2.3) would end by its flags alone, however broken it is; 0 where
/// there is none or it has no flags.
fn presumed_head(data: &[u8]) -> usize {
    let &[0x1f, 0x8b, _, flags, ..] = data else { return 0 };
    if flags == 0 {
        return 0;
    }
    let len = if flags & (NAME | COMMENT) != 0 {
        let text = data.get(10..).unwrap_or_default();
        10 + memchr::memchr(0, text).unwrap_or(text.len()) + 1
    } else if flags & HEAD_CRC != 0 {
        12
    } else {
        10
    };
    if len > data.len() { 0 } else { len }
}

const HEAD_CRC: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;
const DEFLATED: u8 = 8;

/// Length of the header of a gzip (RFC 1952) or zlib stream (RFC 1950). None: it goes on.
fn head_len(head: &[u8]) -> Result<Option<usize>, Bad> {
    let &[first, second, ..] = head else { return Ok(None) };
    if (first, second) != (0x1f, 0x8b) {
        let checks = (u16::from(first) << 8 | u16::from(second)) % 31 == 0;
        let fits = first & 0xf == DEFLATED && first >> 4 <= 7 && second & 0x20 == 0;
        return if checks && fits { Ok(Some(2)) } else { Err(Bad) };
    }
    if head.get(2).is_some_and(|&method| method != DEFLATED) {
        return Err(Bad);
    }
    let Some(&flags) = head.get(3) else { return Ok(None) };
    if flags & RESERVED != 0 {
        return Err(Bad);
    }
    let mut len = 10;
    if flags & EXTRA != 0 {
        let Some(&[low, high]) = head.get(len..len + 2) else { return Ok(None) };
        len += 2 + usize::from(u16::from_le_bytes([low, high]));
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let Some(end) = head.get(len..).and_then(|rest| memchr::memchr(0, rest)) else {
                return Ok(None);
            };
            len += end + 1;
        }
    }
    if flags & HEAD_CRC != 0 {
        len += 2;
    }
    Ok((len <= head.len()).then_some(len))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut to = GzEncoder::new(Vec::new(), Compression::best());
        to.write_all(text).unwrap();
        to.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut to = ZlibEncoder::new(Vec::new(), Compression::best());
        to.write_all(text).unwrap();
        to.finish().unwrap()
    }

    fn deflate(text: &[u8]) -> Vec<u8> {
        let mut to = DeflateEncoder::new(Vec::new(), Compression::best());
        to.write_all(text).unwrap();
        to.finish().unwrap()
    }

    fn decode(codings: &[Coding], pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut decoder = Decoder::new(codings);
        let mut out = Vec::new();
        for piece in pieces {
            decoder.decode(piece, &mut |bytes| {
                out.extend_from_slice(bytes);
                true
            });
        }
        (out, decoder.failed)
    }

    const TEXT: &[u8] = b"a body of some length, a body of some length";

    #[test]
    fn what_a_field_announces_is_read_leniently() {
        let of = |value: &[u8]| Codings::of(value, 2);
        let layers = |value: &[u8]| of(value).layers;
        assert_eq!(layers(b"gzip"), [Coding::Gzip]);
        assert_eq!(layers(b"X-GZIP"), [Coding::Gzip]);
        assert_eq!(layers(b"deflate, gzip"), [Coding::Deflate, Coding::Gzip]);
        assert_eq!(layers(b"xgzipx"), [Coding::Gzip]);
        assert!(of(b"xgzipx").abnormal && of(b"br").abnormal && !of(b"gzip").abnormal);
        assert!(of(b"gzip gzip gzip").too_many);
        assert_eq!(layers(b"gzip gzip gzip").len(), 2);
        assert_eq!(layers(b"br"), []);
    }

    #[test]
    fn each_coding_is_undone_under_either_name() {
        for body in [gzip(TEXT), zlib(TEXT), deflate(TEXT)] {
            for coding in [Coding::Gzip, Coding::Deflate] {
                assert_eq!(decode(&[coding], &[&body]).0, TEXT, "{coding:?}");
            }
        }
        assert!(!decode(&[Coding::Gzip], &[&gzip(TEXT)]).1);
        assert!(decode(&[Coding::Deflate], &[&gzip(TEXT)]).1);
    }

    #[test]
    fn what_is_not_compressed_comes_through() {
        assert_eq!(
            decode(&[Coding::Gzip], &[b"plain <html>", b" and more"]).0,
            b"plain <html> and more"
        );
    }

    #[test]
    fn a_broken_end_does_not_take_what_came_before() {
        let mut body = gzip(TEXT);
        let at = body.len() - 8;
        body[at] ^= 0xff;
        assert_eq!(decode(&[Coding::Gzip], &[&body]).0, TEXT);
        assert_eq!(decode(&[Coding::Gzip], &[&body[..at]]).0, TEXT);
        assert_eq!(decode(&[Coding::Gzip], &[&body, b"junk"]).0, TEXT);
    }

    #[test]
    fn a_header_with_all_its_parts_is_passed_over() {
        let mut body = b"\x1f\x8b\x08\x1e\0\0\0\0\0\x03\x04\0abcdname\0comment\0\0\0".to_vec();
        body.extend_from_slice(&deflate(TEXT));
        assert_eq!(decode(&[Coding::Gzip], &[&body]).0, TEXT);
        let pieces: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(decode(&[Coding::Gzip], &pieces).0, TEXT);
    }

    #[test]
    fn layers_are_undone_in_the_order_they_are_named() {
        let body = gzip(&zlib(TEXT));
        assert_eq!(decode(&[Coding::Gzip, Coding::Gzip], &[&body]).0, TEXT);
    }

    #[test]
    fn a_sink_that_has_enough_stops_the_work() {
        let bomb = gzip(&vec![b'a'; 20 << 20]);
        let mut decoder = Decoder::new(&[Coding::Gzip]);
        let mut seen = 0;
        decoder.decode(&bomb, &mut |bytes| {
            seen += bytes.len();
            seen < 100_000
        });
        assert!((100_000..200_000).contains(&seen), "{seen}");
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(text in prop::collection::vec(any::<u8>(), 0..3000), cut in 1usize..200) {
            for body in [gzip(&text), zlib(&text)] {
                let pieces: Vec<&[u8]> = body.chunks(cut.max(2)).collect();
                prop_assert_eq!(decode(&[Coding::Gzip], &pieces).0, text.clone());
            }
        }

        #[test]
        fn nothing_panics(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..6)) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            decode(&[Coding::Gzip, Coding::Deflate], &pieces);
        }
    }
}
