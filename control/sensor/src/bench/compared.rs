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

    /// How many times as much the one takes, turn by turn: the median, between what turns came to between which the
    /// median of many more turns lies as well, in 95 cases of 100. Of less than six turns the least and the most.
    pub fn bounds(&self) -> [f64; 3] {
        let mut ratios: Vec<_> = self.of.iter().zip(&self.beside).map(|(of, it)| of / it).collect();
        ratios.sort_by(f64::total_cmp);
        let turns = ratios.len();
        // Each turn is above the median or below it, as a coin falls: by the normal distribution that is near it.
        let below =
            (turns as f64 / 2.0 - 0.98 * (turns as f64).sqrt()).floor().max(1.0) as usize - 1;
        let at = |place: usize| ratios.get(place).copied().unwrap_or(f64::NAN);
        [at(below), median(&ratios), at(turns.wrapping_sub(1).wrapping_sub(below))]
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

    /// Turns with these ratios, and another speed in each.
    fn turns(ratios: impl IntoIterator<Item = f64>) -> Compared {
        let mut compared = Compared::default();
        for (turn, ratio) in ratios.into_iter().enumerate() {
            let speed = 1.0 + turn as f64;
            compared.add(ratio * speed, speed);
        }
        compared
    }

    #[test]
    fn bounds_are_of_the_turns_ratios_whatever_the_machine_s_speed_in_each() {
        let few = turns([1.3, 1.0, 1.1, 1.2, 1.4]);
        // Of 25 turns the 7th, the 13th and the 19th.
        let many = turns((0..25).map(|turn| 1.0 + f64::from(turn * 7 % 25) / 100.0));
        for (compared, expected) in [(&few, [1.0, 1.2, 1.4]), (&many, [1.06, 1.12, 1.18])] {
            for (told, is) in compared.bounds().into_iter().zip(expected) {
                assert!((told - is).abs() < 1e-9, "{told} for {is}");
            }
        }
        let (of, beside) = few.means();
        assert!((of - 3.68).abs() < 1e-9 && (beside - 3.0).abs() < 1e-9, "{of}, {beside}");
    }

    #[test]
    fn the_median_of_many_turns_is_within_the_bounds_of_few_of_them() {
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f64 / (1u64 << 24) as f64
        };
        let mut within = 0;
        for _ in 0..1_000 {
            let [low, _, high] = turns((0..25).map(|_| 0.5 + random())).bounds();
            within += u32::from(low <= 1.0 && 1.0 <= high);
        }
        assert!((950..1_000).contains(&within), "{within} of 1,000");
    }

    #[test]
    fn without_a_turn_there_is_no_ratio() {
        assert!(median(&[]).is_nan());
        assert!(Compared::default().bounds().iter().all(|it| it.is_nan()));
    }
}
