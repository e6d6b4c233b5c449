//! Rule sets: what each reads, and all of them together as one list of rules.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rules::parse::{Context, Earlier, EarlierRule, Names, Parsed, Rejection};
use rules::signature::Signature;

use super::{ConfigMaps, ParsedRules};
use crate::config::RuleSetConfig;

/// The reading of rule sets beside the default one. What is wrong with one costs that one only.
pub(super) struct Reading<'a> {
    pub(super) context: &'a Context,
    pub(super) names: &'a mut Names,
    pub(super) rules: &'a mut ParsedRules,
    /// The rules of the sets before.
    pub(super) earlier: &'a Earlier,
}

/// What a set holds.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Rules that no set before holds.
    signatures: Vec<Signature>,
    /// The others.
    earlier: Vec<EarlierRule>,
}

impl Reading<'_> {
    pub(super) fn set(
        &mut self,
        name: &str,
        set: &RuleSetConfig,
        maps: Option<&ConfigMaps>,
    ) -> Held {
        let mut held = Held::default();
        let loaded = rules::parse::load_beside(&set.paths, self.context, self.names, self.earlier);
        for error in loaded.errors {
            self.rules.set_problems.push(format!("rule set {name}: {error}"));
        }
        for file in loaded.files {
            if !self.rules.files.contains(&file) {
                self.rules.files.push(file);
            }
        }
        self.take(loaded.parsed, &mut held);
        let Some(maps) = maps else { return held };
        for map in &set.config_maps {
            let Some(files) = maps.get(map) else {
                let problem = format!(
                    "rule set {name}: there is no ConfigMap {map} in the sensor's namespace"
                );
                self.rules.set_problems.push(problem);
                continue;
            };
            for (key, text) in files {
                let source = format!("configmap/{map}/{key}");
                let text = text.as_bytes();
                let (context, names) = (self.context, &mut *self.names);
                let parsed =
                    rules::parse::parse_rules_beside(&source, text, context, names, self.earlier);
                self.take(parsed, &mut held);
            }
        }
        held
    }

    /// Takes what was read.
    fn take(&mut self, parsed: Parsed, held: &mut Held) {
        self.rules.ignored += parsed.ignored;
        self.warn(parsed.warnings);
        self.reject(parsed.rejections);
        held.signatures.extend(parsed.signatures);
        held.earlier.extend(parsed.earlier);
    }

    /// Says what is not said yet.
    fn warn(&mut self, warnings: Vec<String>) {
        for warning in warnings {
            if !self.rules.warnings.contains(&warning) {
                self.rules.warnings.push(warning);
            }
        }
    }

    /// Files of several sets are read for each; what is wrong with them is told once.
    fn reject(&mut self, rejections: Vec<Rejection>) {
        let told: HashSet<String> = self.rules.rejections.iter().map(|r| r.to_string()).collect();
        self.rules
            .rejections
            .extend(rejections.into_iter().filter(|r| !told.contains(&r.to_string())));
    }
}

/// The rules of all sets together, each once with a bit for every set that holds it.
pub(super) struct RuleSets {
    pub(super) all: Vec<Signature>,
    /// Where the rule of a text stands.
    pub(super) by_text: Earlier,
}

impl RuleSets {
    /// Begins with the default set.
    pub(super) fn new(all: Vec<Signature>) -> Self {
        let by_text = all.iter().enumerate().map(|(at, rule)| named(at, rule));
        Self { by_text: by_text.collect(), all }
    }

    /// Adds a set. Of rules with the same gid and sid within it the highest revision counts.
    pub(super) fn add(&mut self, bit: u32, held: Held) {
        let mut newest: HashMap<(u32, u32), u32> = HashMap::new();
        let own = held.signatures.iter().map(|rule| (rule.gid, rule.sid, rule.rev));
        let earlier = held.earlier.iter().map(|rule| (rule.gid, rule.sid, rule.rev));
        for (gid, sid, rev) in own.chain(earlier) {
            let newest = newest.entry((gid, sid)).or_default();
            *newest = rev.max(*newest);
        }
        let mut taken = HashSet::new();
        let mut is_to_be_taken =
            |gid, sid, rev| newest.get(&(gid, sid)) == Some(&rev) && taken.insert((gid, sid));
        for rule in held.earlier {
            if is_to_be_taken(rule.gid, rule.sid, rule.rev)
                && let Some(known) = self.all.get_mut(rule.at)
            {
                known.rulesets |= 1 << bit;
            }
        }
        for mut rule in held.signatures {
            if is_to_be_taken(rule.gid, rule.sid, rule.rev) {
                rule.rulesets = 1 << bit;
                let (text, place) = named(self.all.len(), &rule);
                self.by_text.insert(text, place);
                self.all.push(rule);
            }
        }
    }
}

/// A rule's text, and the rule that stands at this place.
fn named(at: usize, rule: &Signature) -> (Arc<str>, EarlierRule) {
    let place = EarlierRule { at, gid: rule.gid, sid: rule.sid, rev: rule.rev };
    (Arc::clone(&rule.text), place)
}
