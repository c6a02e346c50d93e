//! What happens to two regions, one thing after the other, as a seed has it: nodes killed and started again, links cut
//! and mended.

use crate::support::Region;
use crate::support::proxy::Proxy;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::{Duration, Instant};

/// Runs one seed in place of the test's own.
const SEED_VARIABLE: &str = "TWINKEEP_SEED";

pub struct Fire {
    pub regions: [Region; 2],
    wans: [Proxy; 2],
    chance: StdRng,
    began: Instant,
}

/// Who is under fire.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    Both,
    /// One region's nodes, and no link.
    Only(usize),
}

impl Fire {
    pub fn new(regions: [Region; 2], wans: [Proxy; 2], seed: u64) -> Fire {
        let seed = std::env::var(SEED_VARIABLE).map_or(seed, |seed| seed.parse().expect("the seed is a number"));
        eprintln!("seed {seed}: again with {SEED_VARIABLE}={seed} (the same faults in the same order)");
        Fire { regions, wans, chance: StdRng::seed_from_u64(seed), began: Instant::now() }
    }

    /// One fault after the other, for so long; at the end everything runs and every link holds.
    pub async fn burn(&mut self, time: Duration, sides: Sides) {
        let began = Instant::now();
        while began.elapsed() < time {
            let side = match sides {
                Sides::Both => self.chance.gen_range(0..2),
                Sides::Only(side) => side,
            };
            let down = Duration::from_millis(self.chance.gen_range(50..1_500));
            match self.chance.gen_range(0..100) {
                0..45 => {
                    let leader = self.regions[side].leader().await;
                    self.fell(side, &[leader], down).await;
                }
                45..65 => {
                    let node = self.chance.gen_range(0..self.regions[side].nodes.len());
                    self.fell(side, &[node], down).await;
                }
                65..75 => {
                    let all: Vec<usize> = (0..self.regions[side].nodes.len()).collect();
                    self.fell(side, &all, down).await;
                }
                _ if sides == Sides::Both => {
                    self.note(&format!("the link to {} is cut for {down:?}", self.regions[side].name));
                    self.cut(side);
                    tokio::time::sleep(down).await;
                    self.mend(side);
                }
                _ => {}
            }
            let pause = Duration::from_millis(self.chance.gen_range(100..1_200));
            tokio::time::sleep(pause).await;
        }
    }

    /// Kills these nodes, and starts them again after a while.
    async fn fell(&mut self, side: usize, nodes: &[usize], down: Duration) {
        self.kill(side, nodes);
        tokio::time::sleep(down).await;
        self.raise(side, nodes).await;
    }

    /// `kill -9`.
    pub fn kill(&mut self, side: usize, nodes: &[usize]) {
        self.note(&format!("{} loses {nodes:?}", self.regions[side].name));
        let region = &mut self.regions[side];
        nodes.iter().for_each(|node| region.nodes[*node].kill());
    }

    pub async fn raise(&mut self, side: usize, nodes: &[usize]) {
        let region = &mut self.regions[side];
        nodes.iter().for_each(|node| region.nodes[*node].start());
        for node in nodes {
            region.unseal(*node).await;
        }
        self.note(&format!("{} has {nodes:?} again", self.regions[side].name));
    }

    /// Says what happens, and when.
    pub fn note(&self, what: &str) {
        eprintln!("{:8.1} s  {what}", self.began.elapsed().as_secs_f64());
    }

    /// Nothing reaches this region from the other.
    pub fn cut(&self, side: usize) {
        self.wans[side].cut();
    }

    pub fn mend(&self, side: usize) {
        self.wans[side].mend();
    }
}
