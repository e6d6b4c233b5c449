//! [`Prose`]: any amount of text like that of web pages and JSON, cheaply.

use crate::Random;

const WORDS: &[&str] = &[
    "basket",
    "order",
    "item",
    "price",
    "total",
    "delivery",
    "customer",
    "address",
    "window",
    "garden",
    "kitchen",
    "cotton",
    "blue",
    "green",
    "small",
    "large",
    "stock",
    "status",
    "shipped",
    "pending",
    "the",
    "of",
    "and",
    "with",
    "from",
    "\"id\":",
    "\"name\":",
    "\"quantity\":",
    "12",
    "3.50",
    "2026",
    "</li><li>",
    "<p>",
    "</p>",
    "<div class=\"row\">",
    "</div>",
    "{",
    "}",
    "[",
    "]",
];

const BLOCK: usize = 64 * 1024;

/// A block of text, made once, from which slices are taken.
#[derive(Debug, Clone)]
pub struct Prose(Vec<u8>);

impl Prose {
    /// The block of a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut block = Vec::with_capacity(BLOCK + 32);
        while block.len() < BLOCK {
            block.extend(random.pick(WORDS).as_bytes());
            block.push(b' ');
        }
        block.truncate(BLOCK);
        Self(block)
    }

    /// At most `length` bytes (of more than 32 KiB fewer) from a place drawn at random.
    pub fn slice(&self, length: usize, random: &mut Random) -> &[u8] {
        let length = length.min(BLOCK / 2);
        let start = random.below((BLOCK - length) as u64) as usize;
        &self.0[start..start + length]
    }
}
