//! Tags: packets of a flow or a host that are told of after a match, until a number of packets,
//! bytes or seconds is over.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::signature::{Tag, TagMetric};

/// Shards of a table.
const SHARDS: usize = 64;
/// Hosts that may be tagged at once.
const MOST_HOSTS: usize = 1 << 16;
/// Tags of one flow or host.
const MOST_TAGS: usize = 50;
/// Seconds without a packet after which a host's tags are forgotten, once room is needed.
const IDLE: u64 = 600;

#[derive(Debug, Clone, Copy)]
struct Running {
    /// gid and sid of the rule, and which of its tags.
    rule: (u32, u32),
    tag: Tag,
    first: u64,
    last: u64,
    packets: u64,
    bytes: u64,
}

/// The tags of a flow or a host.
#[derive(Debug, Clone, Default)]
pub struct Tags(Vec<Running>);

impl Tags {
    /// Begins to count; a rule's tag that runs already goes on.
    pub fn add(&mut self, rule: (u32, u32), tag: Tag, now: u64) {
        let known = self.0.iter().any(|it| it.rule == rule && it.tag.scope == tag.scope);
        if !known && self.0.len() < MOST_TAGS {
            self.0.push(Running { rule, tag, first: now, last: now, packets: 0, bytes: 0 });
        }
    }

    /// Counts a packet. True if it is tagged: not the one that began a tag.
    pub fn packet(&mut self, bytes: u64, now: u64) -> bool {
        let mut tagged = false;
        self.0.retain_mut(|it| {
            let begins = it.packets == 0;
            it.packets += 1;
            it.bytes += bytes;
            it.last = now;
            let limit = u64::from(it.tag.count);
            let over = match it.tag.metric {
                TagMetric::Packets => it.packets > limit,
                TagMetric::Bytes => it.bytes > limit,
                TagMetric::Seconds => now.saturating_sub(it.first) > limit,
            };
            tagged |= !begins && !over;
            begins || !over
        });
        tagged
    }

    /// Does no tag run any more?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn is_idle(&self, now: u64) -> bool {
        self.0.iter().all(|it| it.last.saturating_add(IDLE) < now)
    }
}

type Shard = HashMap<IpAddr, Tags>;

/// The tags of all hosts, shared by the cores.
pub struct TagTable {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    hosts: AtomicUsize,
}

impl Default for TagTable {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            hosts: AtomicUsize::new(0),
        }
    }
}

impl std::fmt::Debug for TagTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TagTable").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl TagTable {
    fn with<T>(&self, host: IpAddr, act: impl FnOnce(&mut Shard) -> T) -> Option<T> {
        let at = usize::try_from(self.hasher.hash_one(host) % SHARDS as u64).ok()?;
        let shard = self.shards.get(at)?;
        Some(act(&mut shard.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Is no host tagged?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.hosts.load(Ordering::Relaxed) == 0
    }

    /// Tags a host. A full table tags no more.
    pub fn add(&self, host: IpAddr, rule: (u32, u32), tag: Tag, now: u64) {
        self.with(host, |shard| {
            if !shard.contains_key(&host) {
                if self.hosts.load(Ordering::Relaxed) >= MOST_HOSTS {
                    let before = shard.len();
                    shard.retain(|_, tags| !tags.is_idle(now));
                    self.hosts.fetch_sub(before - shard.len(), Ordering::Relaxed);
                }
                if self.hosts.load(Ordering::Relaxed) >= MOST_HOSTS {
                    return;
                }
                self.hosts.fetch_add(1, Ordering::Relaxed);
            }
            shard.entry(host).or_default().add(rule, tag, now);
        });
    }

    /// Counts a packet of a host. True if it is tagged.
    pub fn packet(&self, host: IpAddr, bytes: u64, now: u64) -> bool {
        let tagged = self.with(host, |shard| {
            let Some(tags) = shard.get_mut(&host) else { return false };
            let tagged = tags.packet(bytes, now);
            if tags.is_empty() {
                shard.remove(&host);
                self.hosts.fetch_sub(1, Ordering::Relaxed);
            }
            tagged
        });
        tagged == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::TagScope;

    fn tag(count: u32, metric: TagMetric) -> Tag {
        Tag { scope: TagScope::Source, count, metric }
    }

    fn tagged(tag: Tag) -> usize {
        let mut tags = Tags::default();
        tags.add((1, 1), tag, 100);
        (0..10u64).filter(|&packet| tags.packet(50, 100 + packet / 2)).count()
    }

    #[test]
    fn a_tag_runs_until_its_count_is_over_the_first_packet_included() {
        assert_eq!(tagged(tag(5, TagMetric::Packets)), 4);
        assert_eq!(tagged(tag(0, TagMetric::Packets)), 0);
        assert_eq!(tagged(tag(300, TagMetric::Bytes)), 5);
        assert_eq!(tagged(tag(1, TagMetric::Seconds)), 3);
        assert_eq!(tagged(tag(300, TagMetric::Seconds)), 9);
    }

    #[test]
    fn a_host_is_forgotten_when_its_tags_are_over() {
        let table = TagTable::default();
        let host = IpAddr::from([10, 0, 0, 1]);
        table.add(host, (1, 1), tag(2, TagMetric::Packets), 0);
        assert!(!table.is_empty());
        assert!(!table.packet(host, 50, 0) && table.packet(host, 50, 0));
        assert!(!table.packet(host, 50, 0) && table.is_empty());
        assert!(!table.packet(host, 50, 0));
    }
}
