//! What a host can automate. Ids and ranges are promises to saved projects: never change them.

use nice_plug::prelude::*;

/// The largest seed.
pub const MAX_SEED: i32 = 9999;
/// The most solver steps.
pub const MAX_STEPS: i32 = 64;

/// The instrument's parameters.
#[derive(Params)]
pub struct FlowloopParams {
    /// Seed of the noise, 0 to 9999: one seed, one clip.
    #[id = "seed"]
    pub seed: IntParam,
    /// Solver steps, 1 to 64: more are finer and slower.
    #[id = "steps"]
    pub steps: IntParam,
}

impl Default for FlowloopParams {
    fn default() -> Self {
        Self {
            seed: IntParam::new("Seed", 0, IntRange::Linear { min: 0, max: MAX_SEED }),
            steps: IntParam::new("Steps", 8, IntRange::Linear { min: 1, max: MAX_STEPS }),
        }
    }
}
