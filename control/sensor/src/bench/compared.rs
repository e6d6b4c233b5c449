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

    /// What the one and the other took on average.
    pub fn means(&self) -> (f64, f64) {
        let mean = |costs: &[f64]| costs.iter().sum::<f64>() / costs.len() as f64;
        (mean(&self.of), mean(&self.beside))
    }

    /// How many times as much the one takes, turn by turn: the first quartile, the median, the third.
    pub fn quartiles(&self) -> [f64; 3] {
        let ratios: Vec<_> = self.of.iter().zip(&self.beside).map(|(of, it)| of / it).collect();
        [0.25, 0.5, 0.75].map(|part| quantile(&ratios, part))
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
    quantile(costs, 0.5)
}

/// That which so large a part of them is no more than, one of them.
fn quantile(costs: &[f64], part: f64) -> f64 {
    let mut costs = costs.to_vec();
    costs.sort_by(f64::total_cmp);
    let at = (costs.len().saturating_sub(1) as f64 * part) as usize;
    costs.get(at).copied().unwrap_or(f64::NAN)
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
    fn quartiles_are_of_the_turns_ratios_whatever_the_machine_s_speed_in_each() {
        let mut compared = Compared::default();
        for (turn, ratio) in [1.3, 1.0, 1.1, 1.2, 1.4].into_iter().enumerate() {
            let speed = 1.0 + turn as f64;
            compared.add(ratio * speed, speed);
        }
        for (told, is) in compared.quartiles().into_iter().zip([1.1, 1.2, 1.3]) {
            assert!((told - is).abs() < 1e-9, "{told} for {is}");
        }
        let (of, beside) = compared.means();
        assert!((of - 3.68).abs() < 1e-9 && (beside - 3.0).abs() < 1e-9, "{of}, {beside}");
    }

    #[test]
    fn without_a_turn_there_is_no_ratio() {
        assert!(median(&[]).is_nan());
    }
}
