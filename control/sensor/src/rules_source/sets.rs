//! Rule sets: what each reads, and all of them together as one list of rules.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rules::parse::{Context, Names, Rejection};
use rules::signature::Signature;

use super::{ConfigMaps, ParsedRules};
use crate::config::RuleSetConfig;

/// The reading of rule sets beside the default one. What is wrong with one costs that one only.
pub(super) struct Reading<'a> {
    pub(super) context: &'a Context,
    pub(super) names: &'a mut Names,
    pub(super) rules: &'a mut ParsedRules,
}

impl Reading<'_> {
    pub(super) fn set(
        &mut self,
        name: &str,
        set: &RuleSetConfig,
        maps: Option<&ConfigMaps>,
    ) -> Vec<Signature> {
        let loaded = rules::parse::load(&set.paths, self.context, self.names);
        for error in loaded.errors {
            self.rules.set_problems.push(format!("rule set {name}: {error}"));
        }
        for file in loaded.files {
            if !self.rules.files.contains(&file) {
                self.rules.files.push(file);
            }
        }
        self.rules.ignored += loaded.parsed.ignored;
        self.warn(loaded.parsed.warnings);
        self.reject(loaded.parsed.rejections);
        let mut signatures = loaded.parsed.signatures;
        let Some(maps) = maps else { return signatures };
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
                let parsed =
                    rules::parse::parse_rules(&source, text.as_bytes(), self.context, self.names);
                self.rules.ignored += parsed.ignored;
                self.warn(parsed.warnings);
                self.reject(parsed.rejections);
                signatures.extend(parsed.signatures);
            }
        }
        signatures
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
    by_text: HashMap<Arc<str>, usize>,
}

impl RuleSets {
    /// Begins with the default set.
    pub(super) fn new(all: Vec<Signature>) -> Self {
        let by_text = all.iter().enumerate().map(|(at, rule)| (Arc::clone(&rule.text), at));
        Self { by_text: by_text.collect(), all }
    }

    /// Adds a set. Of rules with the same gid and sid within it the highest revision counts.
    pub(super) fn add(&mut self, bit: u32, signatures: Vec<Signature>) {
        let mut newest: HashMap<(u32, u32), u32> = HashMap::new();
        for rule in &signatures {
            let rev = newest.entry((rule.gid, rule.sid)).or_default();
            *rev = rule.rev.max(*rev);
        }
        let mut taken = HashSet::new();
        for mut rule in signatures {
            let key = (rule.gid, rule.sid);
            if newest.get(&key) != Some(&rule.rev) || !taken.insert(key) {
                continue;
            }
            match self.by_text.get(&rule.text).and_then(|&at| self.all.get_mut(at)) {
                Some(known) => known.rulesets |= 1 << bit,
                None => {
                    rule.rulesets = 1 << bit;
                    self.by_text.insert(Arc::clone(&rule.text), self.all.len());
                    self.all.push(rule);
                }
            }
        }
    }
}
