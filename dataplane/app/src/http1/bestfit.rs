//! Best-fit mapping of Unicode to one byte: the table that Microsoft publishes for code page 1252
//! (unicode.org, `bestfit1252.txt`), as far as it leads to ASCII.

/// What a code point without a match becomes.
pub(super) const REPLACEMENT: u8 = b'?';

/// The byte that stands for `c`: itself below 256, else its best fit.
pub(super) fn best_fit(c: u32) -> u8 {
    match c {
        0..0x100 => c as u8,
        // the fullwidth forms of ASCII
        0xff01..=0xff5e => (c - 0xfee0) as u8,
        0x1_0000.. => REPLACEMENT,
        _ => match TABLE.binary_search_by_key(&c, |&(from, _)| u32::from(from)) {
            Ok(at) => TABLE[at].1,
            Err(_) => REPLACEMENT,
        },
    }
}

/// From code point to byte, ascending.
#[rustfmt::skip]
const TABLE: [(u16, u8); 297] = [
    (0x0100, b'A'), (0x0101, b'a'), (0x0102, b'A'), (0x0103, b'a'), (0x0104, b'A'), (0x0105, b'a'),
    (0x0106, b'C'), (0x0107, b'c'), (0x0108, b'C'), (0x0109, b'c'), (0x010a, b'C'), (0x010b, b'c'),
    (0x010c, b'C'), (0x010d, b'c'), (0x010e, b'D'), (0x010f, b'd'), (0x0111, b'd'), (0x0112, b'E'),
    (0x0113, b'e'), (0x0114, b'E'), (0x0115, b'e'), (0x0116, b'E'), (0x0117, b'e'), (0x0118, b'E'),
    (0x0119, b'e'), (0x011a, b'E'), (0x011b, b'e'), (0x011c, b'G'), (0x011d, b'g'), (0x011e, b'G'),
    (0x011f, b'g'), (0x0120, b'G'), (0x0121, b'g'), (0x0122, b'G'), (0x0123, b'g'), (0x0124, b'H'),
    (0x0125, b'h'), (0x0126, b'H'), (0x0127, b'h'), (0x0128, b'I'), (0x0129, b'i'), (0x012a, b'I'),
    (0x012b, b'i'), (0x012c, b'I'), (0x012d, b'i'), (0x012e, b'I'), (0x012f, b'i'), (0x0130, b'I'),
    (0x0131, b'i'), (0x0134, b'J'), (0x0135, b'j'), (0x0136, b'K'), (0x0137, b'k'), (0x0139, b'L'),
    (0x013a, b'l'), (0x013b, b'L'), (0x013c, b'l'), (0x013d, b'L'), (0x013e, b'l'), (0x0141, b'L'),
    (0x0142, b'l'), (0x0143, b'N'), (0x0144, b'n'), (0x0145, b'N'), (0x0146, b'n'), (0x0147, b'N'),
    (0x0148, b'n'), (0x014c, b'O'), (0x014d, b'o'), (0x014e, b'O'), (0x014f, b'o'), (0x0150, b'O'),
    (0x0151, b'o'), (0x0154, b'R'), (0x0155, b'r'), (0x0156, b'R'), (0x0157, b'r'), (0x0158, b'R'),
    (0x0159, b'r'), (0x015a, b'S'), (0x015b, b's'), (0x015c, b'S'), (0x015d, b's'), (0x015e, b'S'),
    (0x015f, b's'), (0x0162, b'T'), (0x0163, b't'), (0x0164, b'T'), (0x0165, b't'), (0x0166, b'T'),
    (0x0167, b't'), (0x0168, b'U'), (0x0169, b'u'), (0x016a, b'U'), (0x016b, b'u'), (0x016c, b'U'),
    (0x016d, b'u'), (0x016e, b'U'), (0x016f, b'u'), (0x0170, b'U'), (0x0171, b'u'), (0x0172, b'U'),
    (0x0173, b'u'), (0x0174, b'W'), (0x0175, b'w'), (0x0176, b'Y'), (0x0177, b'y'), (0x0179, b'Z'),
    (0x017b, b'Z'), (0x017c, b'z'), (0x0180, b'b'), (0x0197, b'I'), (0x019a, b'l'), (0x019f, b'O'),
    (0x01a0, b'O'), (0x01a1, b'o'), (0x01ab, b't'), (0x01ae, b'T'), (0x01af, b'U'), (0x01b0, b'u'),
    (0x01b6, b'z'), (0x01c0, b'|'), (0x01c3, b'!'), (0x01cd, b'A'), (0x01ce, b'a'), (0x01cf, b'I'),
    (0x01d0, b'i'), (0x01d1, b'O'), (0x01d2, b'o'), (0x01d3, b'U'), (0x01d4, b'u'), (0x01d5, b'U'),
    (0x01d6, b'u'), (0x01d7, b'U'), (0x01d8, b'u'), (0x01d9, b'U'), (0x01da, b'u'), (0x01db, b'U'),
    (0x01dc, b'u'), (0x01de, b'A'), (0x01df, b'a'), (0x01e4, b'G'), (0x01e5, b'g'), (0x01e6, b'G'),
    (0x01e7, b'g'), (0x01e8, b'K'), (0x01e9, b'k'), (0x01ea, b'O'), (0x01eb, b'o'), (0x01ec, b'O'),
    (0x01ed, b'o'), (0x01f0, b'j'), (0x0261, b'g'), (0x02b9, b'\''), (0x02ba, b'"'),
    (0x02bc, b'\''), (0x02c4, b'^'), (0x02c8, b'\''), (0x02cb, b'`'), (0x02cd, b'_'),
    (0x0300, b'`'), (0x0302, b'^'), (0x0303, b'~'), (0x030e, b'"'), (0x0331, b'_'), (0x0332, b'_'),
    (0x037e, b';'), (0x0393, b'G'), (0x0398, b'T'), (0x03a3, b'S'), (0x03a6, b'F'), (0x03a9, b'O'),
    (0x03b1, b'a'), (0x03b4, b'd'), (0x03b5, b'e'), (0x03c0, b'p'), (0x03c3, b's'), (0x03c4, b't'),
    (0x03c6, b'f'), (0x04bb, b'h'), (0x0589, b':'), (0x066a, b'%'), (0x2000, b' '), (0x2001, b' '),
    (0x2002, b' '), (0x2003, b' '), (0x2004, b' '), (0x2005, b' '), (0x2006, b' '), (0x2010, b'-'),
    (0x2011, b'-'), (0x2017, b'='), (0x2032, b'\''), (0x2035, b'`'), (0x2044, b'/'), (0x2074, b'4'),
    (0x2075, b'5'), (0x2076, b'6'), (0x2077, b'7'), (0x2078, b'8'), (0x207f, b'n'), (0x2080, b'0'),
    (0x2081, b'1'), (0x2082, b'2'), (0x2083, b'3'), (0x2084, b'4'), (0x2085, b'5'), (0x2086, b'6'),
    (0x2087, b'7'), (0x2088, b'8'), (0x2089, b'9'), (0x20a7, b'P'), (0x2102, b'C'), (0x2107, b'E'),
    (0x210a, b'g'), (0x210b, b'H'), (0x210c, b'H'), (0x210d, b'H'), (0x210e, b'h'), (0x2110, b'I'),
    (0x2111, b'I'), (0x2112, b'L'), (0x2113, b'l'), (0x2115, b'N'), (0x2118, b'P'), (0x2119, b'P'),
    (0x211a, b'Q'), (0x211b, b'R'), (0x211c, b'R'), (0x211d, b'R'), (0x2124, b'Z'), (0x2128, b'Z'),
    (0x212a, b'K'), (0x212c, b'B'), (0x212d, b'C'), (0x212e, b'e'), (0x212f, b'e'), (0x2130, b'E'),
    (0x2131, b'F'), (0x2133, b'M'), (0x2134, b'o'), (0x2212, b'-'), (0x2215, b'/'), (0x2216, b'\\'),
    (0x2217, b'*'), (0x221a, b'v'), (0x221e, b'8'), (0x2223, b'|'), (0x2229, b'n'), (0x2236, b':'),
    (0x223c, b'~'), (0x2261, b'='), (0x2264, b'='), (0x2265, b'='), (0x2303, b'^'), (0x2320, b'('),
    (0x2321, b')'), (0x2329, b'<'), (0x232a, b'>'), (0x2500, b'-'), (0x250c, b'+'), (0x2510, b'+'),
    (0x2514, b'+'), (0x2518, b'+'), (0x251c, b'+'), (0x252c, b'-'), (0x2534, b'-'), (0x253c, b'+'),
    (0x2550, b'-'), (0x2552, b'+'), (0x2553, b'+'), (0x2554, b'+'), (0x2555, b'+'), (0x2556, b'+'),
    (0x2557, b'+'), (0x2558, b'+'), (0x2559, b'+'), (0x255a, b'+'), (0x255b, b'+'), (0x255c, b'+'),
    (0x255d, b'+'), (0x2564, b'-'), (0x2565, b'-'), (0x2566, b'-'), (0x2567, b'-'), (0x2568, b'-'),
    (0x2569, b'-'), (0x256a, b'+'), (0x256b, b'+'), (0x256c, b'+'), (0x2584, b'_'), (0x2758, b'|'),
    (0x3000, b' '), (0x3008, b'<'), (0x3009, b'>'), (0x301a, b'['), (0x301b, b']'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_ascends_so_that_search_finds_all() {
        assert!(TABLE.windows(2).all(|w| w[0].0 < w[1].0));
        for (c, b) in TABLE {
            assert_eq!(best_fit(u32::from(c)), b);
        }
    }

    #[test]
    fn slashes_in_disguise_become_slashes() {
        assert_eq!(best_fit(0x2215), b'/');
        assert_eq!(best_fit(0xff0f), b'/');
        assert_eq!(best_fit(0x2216), b'\\');
        assert_eq!(best_fit(0xe9), 0xe9);
        assert_eq!(best_fit(0x4e00), b'?');
        assert_eq!(best_fit(0x1f600), b'?');
    }
}
