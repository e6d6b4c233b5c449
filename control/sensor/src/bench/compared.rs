//! Costs of one thing beside those of another, measured by turns.

use serde::Serialize;

/// What a thing and another one cost, turn by turn, and how they compare.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Compared {
    /// What the one took in each turn.
    of: Vec<f64>,
    /// What the other took, in the same unit.
    beside: Vec<f64>,
    /// The least of the one beside the least of the other: what neither of them shares with whatever else
    /// the machine does.
    least: f64,
    /// The median of the one beside the median of the other.
    median: f64,
}

impl Compared {
    /// Adds a turn: what each of them took.
    pub fn add(&mut self, of: f64, beside: f64) {
        self.of.push(of);
        self.beside.push(beside);
        self.least = least(&self.of) / least(&self.beside);
        self.median = median(&self.of) / median(&self.beside);
    }

    /// How many times as much the one takes, by the least turn of each.
    pub fn least(&self) -> f64 {
        self.least
    }

    /// The same by the medians.
    pub fn median(&self) -> f64 {
        self.median
    }

    /// The least that the one and the other took.
    pub fn costs(&self) -> (f64, f64) {
        (least(&self.of), least(&self.beside))
    }

    /// Turns.
    pub fn turns(&self) -> usize {
        self.of.len()
    }
}

fn least(costs: &[f64]) -> f64 {
    costs.iter().copied().min_by(f64::total_cmp).unwrap_or(f64::NAN)
}

/// The middle one; of an even number the lower middle one.
pub fn median(costs: &[f64]) -> f64 {
    let mut costs = costs.to_vec();
    costs.sort_by(f64::total_cmp);
    costs.get(costs.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_something_else_has_slowed_down_is_in_neither_ratio() {
        let mut compared = Compared::default();
        for (of, beside) in [(11.0, 10.0), (90.0, 10.5), (12.0, 70.0)] {
            compared.add(of, beside);
        }
        assert!((compared.least() - 1.1).abs() < 1e-9);
        assert!((compared.median() - 12.0 / 10.5).abs() < 1e-9);
        assert_eq!((compared.costs(), compared.turns()), ((11.0, 10.0), 3));
    }

    #[test]
    fn without_a_turn_there_is_no_ratio() {
        assert!(median(&[]).is_nan());
    }
}
