//! The only source of chance: splitmix64, small, seeded, the same on every machine.
//!
//! Source: Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014.

/// A seeded generator.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// From a seed; generators with different streams of one seed are independent.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Rng {
        Rng(mix(seed ^ mix(stream)))
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number in `from..=to`.
    pub fn within(&mut self, from: i64, to: i64) -> i64 {
        let width = to.abs_diff(from).saturating_add(1);
        from.saturating_add_unsigned(self.number() % width)
    }

    /// True in so many of a thousand cases.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.number() % 1_000 < per_mille
    }

    /// One of them; the first of an empty list is a defect of the caller and gives a default.
    pub fn pick<T: Copy + Default>(&mut self, from: &[T]) -> T {
        let place = self.number() % u64::try_from(from.len().max(1)).unwrap_or(1);
        from.get(usize::try_from(place).unwrap_or(0)).copied().unwrap_or_default()
    }
}

/// The finaliser of splitmix64.
#[must_use]
fn mix(input: u64) -> u64 {
    let mut z = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_others() {
        let draw = |seed, stream| {
            let mut rng = Rng::new(seed, stream);
            [rng.number(), rng.number(), rng.number()]
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(2, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
    }

    #[test]
    fn numbers_stay_within_their_bounds_and_reach_both() {
        let mut rng = Rng::new(7, 0);
        let drawn: Vec<i64> = (0..1_000).map(|_| rng.within(-3, 3)).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&-3), Some(&3)));
        assert!(!rng.chance(0) && rng.chance(1_000));
    }
}
