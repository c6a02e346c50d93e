//! The link between regions: late, lossy, twice, out of order, cut one way or both.

use rand::Rng;
use rand::rngs::StdRng;
use std::collections::BTreeSet;

/// How bad the network is in a world, in percent.
pub struct Network {
    pub loss: u32,
    pub twice: u32,
    /// Messages that take up to `LATE_MS`.
    pub late: u32,
    /// Directions that let nothing through.
    cut: BTreeSet<(usize, usize)>,
}

const USUAL_MS: u64 = 60;
const LATE_MS: u64 = 4_000;

impl Network {
    pub fn draw(chance: &mut StdRng) -> Network {
        let calm = chance.gen_bool(0.3);
        let mut percent = |most| if calm { 0 } else { chance.gen_range(0..=most) };
        Network { loss: percent(12), twice: percent(12), late: percent(10), cut: BTreeSet::new() }
    }

    pub fn cut(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    pub fn mend(&mut self, from: usize, to: usize) {
        self.cut.remove(&(from, to));
    }

    /// No faults from here on.
    pub fn heal(&mut self) {
        (self.loss, self.twice, self.late) = (0, 0, 0);
        self.cut.clear();
    }

    /// After how many milliseconds copies of a message arrive; none if it is lost.
    pub fn deliveries(&self, chance: &mut StdRng, from: usize, to: usize) -> Vec<u64> {
        let mut percent = |of: u32| chance.gen_range(0..100) < of;
        if percent(self.loss) || self.cut.contains(&(from, to)) {
            return Vec::new();
        }
        let copies = if percent(self.twice) { 2 } else { 1 };
        let late = percent(self.late);
        (0..copies).map(|_| chance.gen_range(1..=if late { LATE_MS } else { USUAL_MS })).collect()
    }
}
