//! Chance that can be repeated.

/// Numbers that only depend on a seed, a rule, and which descriptor it is
/// about: other rules and other threads do not change them.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64, rule: u64, n: u64) -> Self {
        let mut dice = Self(seed);
        for part in [rule, n] {
            dice.0 = dice.roll() ^ part;
        }
        dice
    }

    /// A number of 64 bits (SplitMix64).
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from `least` to `most`.
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        match (most - least).checked_add(1) {
            Some(count) => least + self.roll() % count,
            None => self.roll(),
        }
    }

    /// Nanoseconds until the system has answered a page request, as QEMU's
    /// documentation counts 25,965 of them: 97 % in 1 to 10 us, 1.4 % up to
    /// 100 us, 1.5 % up to 556 us.
    pub(super) fn page_request(&mut self) -> u64 {
        match self.between(0, 25_964) {
            0..25_206 => self.between(1_000, 10_000),
            25_206..25_570 => self.between(10_000, 100_000),
            _ => self.between(100_000, 556_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_requests_take_what_was_measured() {
        let mut dice = Dice::new(1, 2, 3);
        let all: Vec<u64> = (0..25_965).map(|_| dice.page_request()).collect();
        let mean = all.iter().sum::<u64>() / all.len() as u64;
        let most = *all.iter().max().unwrap();
        assert!((9_000..14_000).contains(&mean), "{mean}");
        assert!((400_000..=556_000).contains(&most), "{most}");
    }
}
