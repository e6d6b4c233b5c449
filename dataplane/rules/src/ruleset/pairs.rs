//! How often two bytes follow one another in traffic: a table by classes of bytes, in whole bits.
//! `cargo run -p rules --example pairs -- FILE…` makes it anew of samples.

use std::sync::LazyLock;

/// Bytes that are a class of their own, after the letters, which are that without case.
const APART: &[u8] = b"\0 \r\n\t./-_=:;\"'<>(),&?%{}[]+*#@!$|\\~^`\xff";

/// Letters; [`APART`]; digits; other bytes below 128; those above.
const CLASSES: usize = 26 + APART.len() + 3;

/// Bits of a pair that is rarer than samples can tell.
const RAREST: u8 = 20;

/// A row for each class of the first byte, a letter for each of the second: `a` for 0 bits.
const TABLE: [[u8; CLASSES]; CLASSES] = read(include_bytes!("pairs.txt"));

const fn read(text: &[u8]) -> [[u8; CLASSES]; CLASSES] {
    assert!(text.len() == CLASSES * (CLASSES + 1), "pairs.txt has a row for each class");
    let mut table = [[0; CLASSES]; CLASSES];
    let mut row = 0;
    while row < CLASSES {
        let mut column = 0;
        while column < CLASSES {
            table[row][column] = text[row * (CLASSES + 1) + column] - b'a';
            column += 1;
        }
        row += 1;
    }
    table
}

const CLASS_OF: [u8; 256] = {
    let mut class_of = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        class_of[byte] = class(byte as u8);
        byte += 1;
    }
    class_of
};

const fn class(byte: u8) -> u8 {
    let lower = byte.to_ascii_lowercase();
    if lower.is_ascii_lowercase() {
        return lower - b'a';
    }
    let mut at = 0;
    while at < APART.len() {
        if APART[at] == byte {
            return 26 + at as u8;
        }
        at += 1;
    }
    let rest = (26 + APART.len()) as u8;
    match byte {
        b'0'..=b'9' => rest,
        0..128 => rest + 1,
        _ => rest + 2,
    }
}

/// Lowest bits of a pair's second byte that Hyperscan's matcher for many literals looks at: four with up to a thousand
/// literals, five with up to ten thousand.
const KNOWN_BITS: u32 = 4;

/// Second bytes that are told apart by them.
const ALIKE: usize = 1 << KNOWN_BITS;

/// A row for each class of the first byte, and how rare it is that any of the bytes follows which are alike in their
/// lowest bits, in eighths of a bit.
static TELLING: LazyLock<[[u32; ALIKE]; CLASSES]> = LazyLock::new(|| {
    let eighths = |share: f64| (-share.min(1.0).log2() * 8.0) as u32;
    TABLE.map(|row| {
        let mut shares = [0.0; ALIKE];
        // A letter's share is that of both cases.
        for second in (0..=255_u8).filter(|byte| !byte.is_ascii_uppercase()) {
            let bits = row[usize::from(CLASS_OF[usize::from(second)])];
            shares[usize::from(second) % ALIKE] += f64::from(bits).exp2().recip();
        }
        shares.map(eighths)
    })
});

/// How rare it is that Hyperscan's matcher for many literals takes two bytes for `first` and `second`, whatever the case
/// of the first, in eighths of a bit.
pub(crate) fn telling(first: u8, second: u8) -> u32 {
    TELLING[usize::from(CLASS_OF[usize::from(first)])][usize::from(second) % ALIKE]
}

/// The table of samples, each of the same weight, as the file has it.
pub fn table_of(samples: &[Vec<u8>]) -> String {
    let mut shares = vec![[0.0; CLASSES]; CLASSES];
    for sample in samples.iter().filter(|sample| sample.len() > 1) {
        let mut counts = vec![[0_u64; CLASSES]; CLASSES];
        for pair in sample.windows(2) {
            if let [first, second] = *pair {
                counts[usize::from(class(first))][usize::from(class(second))] += 1;
            }
        }
        let pairs = (sample.len() - 1) as f64 * samples.len() as f64;
        for (shares, counts) in shares.iter_mut().zip(&counts) {
            for (share, &count) in shares.iter_mut().zip(counts) {
                *share += count as f64 / pairs;
            }
        }
    }
    let mut text = String::new();
    for (first, shares) in shares.iter().enumerate() {
        for (second, share) in shares.iter().enumerate() {
            let each = share / (alike(first) * alike(second));
            let bits = -(each + f64::from(RAREST).exp2().recip()).log2();
            text.push(char::from(b'a' + bits.round().clamp(0.0, f64::from(RAREST)) as u8));
        }
        text.push('\n');
    }
    text
}

/// How many bytes of a class are told apart.
fn alike(wanted: usize) -> f64 {
    let bytes = (0..=255).filter(|&byte: &u8| usize::from(class(byte)) == wanted);
    bytes.filter(|byte| !byte.is_ascii_uppercase()).count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_class_and_the_case_of_letters_does_not_matter() {
        assert!(CLASS_OF.iter().all(|&class| usize::from(class) < CLASSES));
        assert_eq!((class(b'e'), class(b'Q')), (class(b'E'), class(b'q')));
        assert_ne!(class(b'/'), class(b'.'));
        assert_eq!((class(b'0'), class(0x80)), (class(b'7'), class(0xfe)));
    }

    #[test]
    fn what_is_common_in_text_tells_little_and_so_does_what_is_taken_for_it() {
        assert!(telling(b'T', b'h') < telling(b'q', b'z'));
        assert!(telling(b'e', b' ') < telling(b'x', b'~'));
        assert!(telling(0, 0) < telling(0, b'q'));
        // Of both the matcher looks at 1110: "e." is taken for "en".
        assert_eq!(telling(b'e', b'.'), telling(b'e', b'n'));
        for (first, second) in (0..=255).flat_map(|first| (0..=255).map(move |it| (first, it))) {
            assert!((1..=8 * u32::from(RAREST)).contains(&telling(first, second)));
        }
    }

    #[test]
    fn a_table_tells_what_the_samples_had() {
        let (half, never) = (1, RAREST);
        let text = table_of(&[b"ababababa".to_vec()]);
        let rows: Vec<&[u8]> = text.lines().map(str::as_bytes).collect();
        assert_eq!((rows.len(), rows[0].len()), (CLASSES, CLASSES));
        assert_eq!((rows[0][1] - b'a', rows[1][0] - b'a', rows[0][0] - b'a'), (half, half, never));
    }
}
