//! Reputation of addresses by category: files of categories and of scores, as Suricata's `iprep`
//! reads them.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Categories are numbered 1 to 60 in Suricata; one more fits a byte.
const MOST_CATEGORY: u8 = 60;

/// The best score.
const MOST_SCORE: u8 = 127;

/// Addresses and networks that are kept at the most.
const MOST_ENTRIES: usize = 1 << 22;

/// Why a file of reputations cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct ReputationError {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    #[source]
    pub source: std::io::Error,
}

/// Scores of addresses and networks.
#[derive(Debug, Default)]
pub struct Reputation {
    /// By short name.
    categories: HashMap<String, u8>,
    /// By network and category; addresses by themselves have the full length.
    scores: HashMap<(u128, u8, u8), u8>,
    /// Prefix lengths that occur, in 128 bits, the longest first.
    lengths: Vec<u8>,
}

/// An address in 128 bits.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn network(address: u128, length: u8) -> u128 {
    let rest = 128u32.saturating_sub(u32::from(length));
    address.checked_shr(rest).and_then(|kept| kept.checked_shl(rest)).unwrap_or(0)
}

impl Reputation {
    /// Reads a file of categories (`number,short name,description`) and files of scores
    /// (`address or network,category number,score`). Lines that say something else come back, each
    /// with its place.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read(
        categories: &Path,
        files: &[PathBuf],
    ) -> Result<(Self, Vec<String>), ReputationError> {
        let open = |path: &Path| {
            fs::read(path)
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .map_err(|source| ReputationError { path: path.to_owned(), source })
        };
        let mut reputation = Self::default();
        let mut faults = Vec::new();
        let text = open(categories)?;
        for (place, line) in lines(categories, &text) {
            if reputation.category(line).is_none() {
                faults.push(format!("{place}: not `number (1 to 60),short name,description`"));
            }
        }
        let mut lengths = BTreeSet::new();
        for file in files {
            let text = open(file)?;
            for (place, line) in lines(file, &text) {
                match reputation.score(line) {
                    Some(length) => {
                        lengths.insert(length);
                    }
                    None => {
                        faults.push(format!("{place}: not `address,category,score (0 to 127)`"))
                    }
                }
            }
        }
        reputation.lengths = lengths.into_iter().rev().collect();
        Ok((reputation, faults))
    }

    fn category(&mut self, line: &str) -> Option<()> {
        let mut parts = line.splitn(3, ',').map(str::trim);
        let number: u8 = parts.next()?.parse().ok()?;
        let name = parts.next().filter(|name| !name.is_empty())?;
        ((1..=MOST_CATEGORY).contains(&number)).then_some(())?;
        self.categories.insert(name.to_owned(), number);
        Some(())
    }

    fn score(&mut self, line: &str) -> Option<u8> {
        let mut parts = line.split(',').map(str::trim);
        let (address, category, score) = (parts.next()?, parts.next()?, parts.next()?);
        let (address, length) = match address.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u8>().ok()?)),
            None => (address, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let length = length.unwrap_or(width);
        let category = category.parse().ok().filter(|c| (1..=MOST_CATEGORY).contains(c))?;
        let score = score.parse().ok().filter(|&score: &u8| score <= MOST_SCORE)?;
        if length > width || self.scores.len() >= MOST_ENTRIES {
            return None;
        }
        let length = length + (128 - width);
        self.scores.insert((network(bits(address), length), length, category), score);
        Some(length)
    }

    /// The number of a category.
    pub fn category_of(&self, name: &str) -> Option<u8> {
        self.categories.get(name).copied()
    }

    /// The address's score in a category: its own, else that of the smallest network that holds it.
    pub fn get(&self, address: IpAddr, category: u8) -> Option<u8> {
        let address = bits(address);
        self.lengths.iter().find_map(|&length| {
            self.scores.get(&(network(address, length), length, category)).copied()
        })
    }

    /// How many scores there are.
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }
}

/// Lines with something on them, each with its place.
fn lines<'t>(path: &Path, text: &'t str) -> impl Iterator<Item = (String, &'t str)> {
    let path = path.display().to_string();
    (1u32..)
        .zip(text.lines())
        .map(|(number, line)| (number, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(move |(number, line)| (format!("{path}:{number}"), line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_network_decides() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("written");
            path
        };
        let categories = at("categories", "1,Bad,Known bad\n2,Good,Known good\n99,No,none\n");
        let scores = at(
            "scores",
            "# scores\n10.0.0.0/8,1,20\n10.1.2.3,1,99\n10.1.0.0/16,2,30\nfd00::/8,1,5\nx,1,1\n\
             10.0.0.1,1,200\n10.0.0.1/33,1,1\n",
        );
        let (reputation, faults) = Reputation::read(&categories, &[scores]).expect("read");
        assert_eq!(faults.len(), 4, "{faults:?}");
        let get = |ip: &str, category| reputation.get(ip.parse().expect("an address"), category);
        assert_eq!((reputation.category_of("Bad"), reputation.category_of("No")), (Some(1), None));
        assert_eq!((get("10.9.9.9", 1), get("10.1.2.3", 1)), (Some(20), Some(99)));
        assert_eq!((get("10.1.2.3", 2), get("10.9.9.9", 2)), (Some(30), None));
        assert_eq!((get("fd00::7", 1), get("192.0.2.1", 1)), (Some(5), None));
        assert!(Reputation::read(Path::new("/nowhere"), &[]).is_err());
    }
}
