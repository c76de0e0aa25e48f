//! Watching a run: what the loop would be if the rest of its way were straight.
//!
//! At time t the net says that the data is `x + t v` (data at t = 0, noise at t = 1, `v = data - noise`).
//! A [`Canvas`] takes a sketch of that estimate now and then; what is made is not touched by it. Only for
//! the CPU: reading from a GPU between steps would make it wait, and might change how its kernels are put
//! together and with them the last bit.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use burn::tensor::Tensor;

use crate::codec::Sketch;
use crate::flow::{Condition, Velocity};

/// Sketches may take this share of a run's time.
const SHARE: f64 = 0.03;
/// Runs shorter than this are not watched.
const SHORTEST: Duration = Duration::from_millis(60);

/// Where the newest sketch is left for whoever looks.
#[derive(Debug, Default)]
pub struct Canvas(Mutex<Option<Arc<Sketch>>>);

impl Canvas {
    /// The newest sketch, once.
    pub fn take(&self) -> Option<Arc<Sketch>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).take()
    }

    /// Leaves a sketch.
    pub fn leave(&self, sketch: Sketch) {
        *self.0.lock().unwrap_or_else(|e| e.into_inner()) = Some(Arc::new(sketch));
    }
}

/// A net whose estimates are shown to `see`, `[channel, frame]` of a single loop.
pub(super) struct Watched<'a, V> {
    net: &'a V,
    see: Option<&'a dyn Fn(Vec<f32>)>,
    start: Instant,
    /// What seeing has taken so far, and the last time.
    spent: RefCell<(Duration, Duration)>,
}

impl<'a, V> Watched<'a, V> {
    /// Without `see` it is just the net.
    pub fn new(net: &'a V, see: Option<&'a dyn Fn(Vec<f32>)>) -> Self {
        Self { net, see, start: Instant::now(), spent: RefCell::default() }
    }

    fn has_time(&self) -> bool {
        let (spent, last) = *self.spent.borrow();
        let elapsed = self.start.elapsed();
        elapsed > SHORTEST && (spent + last).as_secs_f64() < SHARE * elapsed.as_secs_f64().max(0.2)
    }
}

impl<V: Velocity> Velocity for Watched<'_, V> {
    fn velocity(&self, x: Tensor<3>, t: Tensor<1>, conditions: &[Condition]) -> Tensor<3> {
        let Some(see) = self.see.filter(|_| x.dims()[0] == 1) else { return self.net.velocity(x, t, conditions) };
        let v = self.net.velocity(x.clone(), t.clone(), conditions);
        if self.has_time() {
            let start = Instant::now();
            let estimate = x + v.clone() * t.reshape([1, 1, 1]);
            if let Ok(values) = estimate.into_data().try_into_vec::<f32>() {
                see(values);
            }
            let took = start.elapsed();
            let mut spent = self.spent.borrow_mut();
            *spent = (spent.0 + took, took);
        }
        v
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    /// The velocity of a straight flow to data that is 3 everywhere, after a moment.
    struct Straight;
    impl Velocity for Straight {
        fn velocity(&self, x: Tensor<3>, t: Tensor<1>, _: &[Condition]) -> Tensor<3> {
            std::thread::sleep(Duration::from_millis(40));
            (x.clone() * -1.0 + 3.0) / t.reshape([1, 1, 1])
        }
    }

    #[test]
    fn the_estimate_is_the_end_of_the_straight_way() {
        let seen = RefCell::new(Vec::new());
        let see = |values| seen.borrow_mut().push(values);
        let device = Device::flex();
        let net = Watched::new(&Straight, Some(&see));
        let x = Tensor::<3>::ones([1, 2, 3], &device) * 7.0;
        for t in [1.0, 0.5, 0.25] {
            net.velocity(x.clone(), Tensor::full([1], t, &device), &[]);
        }
        let seen = seen.borrow();
        assert!(!seen.is_empty() && seen.len() < 3, "not before a moment has passed: {}", seen.len());
        assert!(seen.iter().flatten().all(|v| (v - 3.0).abs() < 1e-5) && seen[0].len() == 6);
    }
}
