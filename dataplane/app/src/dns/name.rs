//! Domain names in DNS messages (RFC 1035, 4.1.4), decoded leniently and with a bound on the work.

/// Most labels and pointers followed in one name.
const MAX_STEPS: usize = 255;

/// Longest name kept, in bytes; a longer one is cut.
const MAX_NAME: usize = 1025;

/// Why a message ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The bytes end before the message does.
    Incomplete,
    /// The bytes make no sense.
    Invalid,
}

/// What is odd about names that were read all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Odd {
    /// One was cut.
    pub(super) long: bool,
    /// One has more labels than are followed.
    pub(super) labels: bool,
    /// One points to the message's beginning.
    pub(super) looped: bool,
}

/// Reads the name at `at`: appends it to `out`, labels joined by dots and bytes as sent, and returns
/// where the bytes after it begin. `budget` is what may still be done for the whole message.
pub(super) fn read(
    message: &[u8],
    at: usize,
    out: &mut Vec<u8>,
    budget: &mut usize,
    odd: &mut Odd,
) -> Result<usize, Stop> {
    let start = out.len();
    let mut pos = at;
    // where the name goes on in the message, once a pointer has led elsewhere
    let mut resume = None;
    let mut steps = 0;
    while let Some(&len) = message.get(pos) {
        *budget = budget.checked_sub(1).ok_or(Stop::Invalid)?;
        match len {
            0 => {
                pos += 1;
                break;
            }
            1..=63 => {
                let end = pos + 1 + usize::from(len);
                let label = message.get(pos + 1..end).ok_or(Stop::Incomplete)?;
                if out.len() - start <= MAX_NAME {
                    if out.len() > start {
                        out.push(b'.');
                    }
                    out.extend_from_slice(label);
                }
                pos = end;
            }
            0xc0.. => {
                let low = *message.get(pos + 1).ok_or(Stop::Incomplete)?;
                let target = usize::from(len & 0x3f) << 8 | usize::from(low);
                if target > message.len() {
                    return Err(Stop::Invalid);
                }
                odd.looped |= target == 0;
                resume.get_or_insert(pos + 2);
                pos = target;
            }
            64..0xc0 => return Err(Stop::Invalid),
        }
        steps += 1;
        if steps > MAX_STEPS {
            // a loop, or as good as one: what was read by pointers is taken as it is
            if resume.is_none() || out.len() == start {
                return Err(Stop::Invalid);
            }
            odd.labels = true;
            break;
        }
        if out.len() - start > MAX_NAME {
            odd.long = true;
            out.truncate(start + MAX_NAME);
            if resume.is_some() {
                break;
            }
        }
    }
    out.truncate(start + MAX_NAME);
    Ok(resume.unwrap_or(pos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(message: &[u8], at: usize) -> Result<(String, usize), Stop> {
        let mut out = Vec::new();
        let next = read(message, at, &mut out, &mut 10_000, &mut Odd::default())?;
        Ok((String::from_utf8_lossy(&out).into_owned(), next))
    }

    #[test]
    fn names_come_out_dotted_and_as_sent() {
        assert_eq!(name(b"\x03Www\x07Example\x03com\0rest", 0), Ok(("Www.Example.com".into(), 17)));
        assert_eq!(name(b"\0", 0), Ok((String::new(), 1)));
        assert_eq!(name(b"\x05a.b\0c\x02XY\0", 0), Ok(("a.b\0c.XY".into(), 10)));
        assert_eq!(name(b"\x03com\0\x01a\xc0\0zz", 5), Ok(("a.com".into(), 9)));
    }

    #[test]
    fn broken_names_are_told_apart() {
        assert_eq!(name(b"\x03ww", 0), Err(Stop::Incomplete));
        assert_eq!(name(b"\xc0", 0), Err(Stop::Incomplete));
        assert_eq!(name(b"\x43www", 0), Err(Stop::Invalid));
        assert_eq!(name(b"\xcf\xff", 0), Err(Stop::Invalid));
    }

    #[test]
    fn pointer_loops_end() {
        assert_eq!(name(b"\xc0\0", 0), Err(Stop::Invalid));
        let (looped, next) = name(b"\x03www\xc0\0\0\x01", 0).unwrap();
        assert_eq!(next, 6);
        assert_eq!(looped.len(), 511);
        assert!(looped.starts_with("www.www."));
    }

    #[test]
    fn long_names_are_cut_and_too_many_labels_refused() {
        let mut m: Vec<u8> = (0..20).flat_map(|_| std::iter::once(63).chain([b'a'; 63])).collect();
        m.push(0);
        let (long, next) = name(&m, 0).unwrap();
        assert_eq!((long.len(), next), (MAX_NAME, m.len()));
        let many: Vec<u8> = [1, b'a'].repeat(300);
        assert_eq!(name(&many, 0), Err(Stop::Invalid));
    }

    #[test]
    fn the_budget_bounds_the_work() {
        let mut budget = 3;
        assert_eq!(
            read(b"\x01a\x01b\x01c\x01d\0", 0, &mut Vec::new(), &mut budget, &mut Odd::default()),
            Err(Stop::Invalid)
        );
    }
}
