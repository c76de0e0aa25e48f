//! Models on devices: loads them when they are needed, holds the few that were used last, and finds
//! another device when one fails.
//!
//! Any error or panic of a device ends it: every model on it is dropped and the device is built again,
//! once in a process; when it fails a second time the CPU takes over for good. Numbers that are not
//! finite are first tried on the CPU: only when they are finite there was it the device's fault. What
//! fails while a model is loaded is remembered by [`Trials`].

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::status::Activity;
use super::trials::{Mark, Trial, Trials};
use super::{Failure, Generate, Load, Order, Request, Speed};
use crate::clip::Clip;
use crate::device::{CPU, guarded, remote};
use crate::model::Canvas;
use crate::settings::Home;

/// Models that are held at a time.
const RESIDENT: usize = 3;

/// A model that is wanted.
pub(super) struct Source {
    /// Its short name in requests.
    pub id: u64,
    /// For messages.
    pub name: String,
    /// Hex digest; empty for the built-in model.
    pub hash: String,
    /// Its file; None for the built-in model, and where it is held already.
    pub path: Option<PathBuf>,
}

/// What a process knows of its chosen device.
#[derive(Default)]
pub(super) struct Health {
    failures: u32,
    given_up: bool,
    note: Option<String>,
}

pub(super) struct Rack {
    load: Load,
    home: Home,
    canvas: Arc<Canvas>,
    trials: Trials,
    /// Least recently used first.
    residents: Vec<Resident>,
    health: Arc<Mutex<Health>>,
    /// The chosen device, once something was loaded.
    choice: Option<String>,
    /// A model whose numbers were not finite, why, and that the CPU has to say whether it is to blame.
    doubt: Option<(u64, String)>,
    /// What was made on the device is not to be trusted.
    spoilt: bool,
}

struct Resident {
    id: u64,
    generator: Box<dyn Generate>,
    /// Until the first clip.
    trial: Option<Trial>,
}

/// Hears what is going on; breaks to cancel.
pub(super) type Hear<'a> = dyn FnMut(Activity) -> ControlFlow<()> + 'a;

impl Rack {
    pub fn new(load: Load, home: Home, health: Arc<Mutex<Health>>, canvas: Arc<Canvas>) -> Self {
        let trials = Trials::new(home.folder().map(|f| f.join("trials")));
        Self { load, home, canvas, trials, residents: Vec::new(), health, choice: None, doubt: None, spoilt: false }
    }

    /// True when no loading is needed.
    pub fn holds(&self, id: u64) -> bool {
        self.residents.iter().any(|r| r.id == id)
    }

    /// The device of a model that is held.
    pub fn device(&self, id: u64) -> Option<String> {
        self.residents.iter().find(|r| r.id == id).map(|r| r.generator.device())
    }

    /// What was measured to choose the device of a model that is held.
    pub fn speeds(&self, id: u64) -> Vec<Speed> {
        self.residents.iter().find(|r| r.id == id).map(|r| r.generator.speeds()).unwrap_or_default()
    }

    /// What became of the chosen device, when something did.
    pub fn note(&self) -> Option<String> {
        self.health().note.clone()
    }

    /// True once after a device has failed.
    pub fn spoilt(&mut self) -> bool {
        std::mem::take(&mut self.spoilt)
    }

    /// Forgets what failed, of this model and of the device: everything is tried again.
    pub fn retry(&mut self, hash: &str) {
        self.trials.forget(hash);
        self.residents.clear();
        (self.choice, self.doubt) = (None, None);
        *self.health() = Health::default();
    }

    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Makes a clip. [`Failure::Device`] means that the device has failed and that there is another, or
    /// the same anew: ask again.
    pub fn make(&mut self, source: &Source, request: &Request, hear: &mut Hear<'_>) -> Result<Clip, Failure> {
        match self.attempt(source, request, hear) {
            Err(Failure::Device(reason)) => Err(self.failed(source, reason, false)),
            Err(Failure::NoDevice(reason)) => Err(self.failed(source, reason, true)),
            Err(Failure::NotFinite(reason)) => Err(self.not_finite(source.id, reason)),
            Ok(clip) => {
                if let Some((_, reason)) = self.doubt.take_if(|(id, _)| *id == source.id) {
                    self.give_up(reason);
                }
                Ok(clip)
            }
            other => other,
        }
    }

    fn attempt(&mut self, source: &Source, request: &Request, hear: &mut Hear<'_>) -> Result<Clip, Failure> {
        if !self.holds(source.id) {
            if hear(Activity::Loading).is_break() {
                return Err(Failure::Cancelled);
            }
            self.load(source)?;
        }
        let place = self.residents.iter().position(|r| r.id == source.id).ok_or(Failure::Cancelled)?;
        self.residents[place..].rotate_left(1);
        let resident = self.residents.last_mut().ok_or(Failure::Cancelled)?;
        if hear(Activity::Generating(0, request.steps)).is_break() {
            return Err(Failure::Cancelled);
        }
        let mut progress = |step, steps| hear(Activity::Generating(step, steps));
        let made = guarded(|| resident.generator.generate(request, &mut progress));
        let made = made.unwrap_or_else(|panic| Err(Failure::Device(panic)));
        match &made {
            Ok(_) => resident.trial = None,
            Err(Failure::Device(reason)) => {
                if let Some(trial) = resident.trial.take() {
                    trial.fail(&Mark::Device(reason.clone()));
                }
            }
            Err(_) => {}
        }
        made
    }

    fn load(&mut self, source: &Source) -> Result<(), Failure> {
        let device = self.place(source)?;
        let order = Order { path: source.path.clone(), hash: source.hash.clone(), device };
        let trial = self.trials.begin(&source.hash, &order.device);
        let loaded = guarded(|| (self.load)(&order)).unwrap_or_else(|panic| Err(Failure::Device(panic)));
        match loaded {
            Ok(mut generator) => {
                generator.draw_on(self.canvas.clone());
                // A GPU shows at its first clip whether it works.
                let trial = (!generator.on_cpu()).then_some(trial);
                self.residents.push(Resident { id: source.id, generator, trial });
                if self.residents.len() > RESIDENT {
                    self.residents.remove(0);
                }
                Ok(())
            }
            Err(failure) => {
                match &failure {
                    Failure::Device(reason) => trial.fail(&Mark::Device(reason.clone())),
                    Failure::Refused(reason) => {
                        let mark = Mark::Refused(reason.clone());
                        trial.fail(&mark);
                        self.trials.set(&source.hash, &order.device, mark);
                    }
                    _ => drop(trial),
                }
                Err(failure)
            }
        }
    }

    /// The device to put a model on: the chosen one, unless it has failed.
    fn place(&mut self, source: &Source) -> Result<String, Failure> {
        let home = &self.home;
        let choice = self.choice.get_or_insert_with(|| home.device()).clone();
        let doubted = self.doubt.as_ref().is_some_and(|(id, _)| *id == source.id);
        if choice == CPU || doubted || self.health().given_up {
            return self.place_on(source, CPU.into());
        }
        let (name, built_in) = (&source.name, source.id == 0);
        let note = match self.trials.mark(&source.hash, &choice) {
            Some(Mark::Loading) if built_in => {
                format!("the program ended when {name} was first put on the device {choice:?}")
            }
            Some(Mark::Device(reason)) => format!("the device {choice:?} failed last time ({reason})"),
            _ => return self.place_on(source, choice),
        };
        self.health().note = Some(format!("{note}; it goes on with the CPU. “Try again” tries the device once more"));
        self.place_on(source, CPU.into())
    }

    /// `device`, when the model has not failed there.
    fn place_on(&mut self, source: &Source, device: String) -> Result<String, Failure> {
        let name = &source.name;
        let what = match self.trials.mark(&source.hash, &device) {
            None => return Ok(device),
            Some(Mark::Refused(reason)) => reason,
            Some(Mark::Device(reason)) => format!("{name} could not be loaded on the device {device:?} ({reason})"),
            Some(Mark::Loading) => format!("the program ended while {name} was being loaded on the device {device:?}"),
        };
        Err(Failure::Refused(format!("{what}. “Try again” loads it once more; another model or device may do")))
    }

    /// The device has failed: the same again, once, then the CPU, then nothing. `absent` when there is no
    /// such device at all.
    fn failed(&mut self, source: &Source, reason: String, absent: bool) -> Failure {
        let chosen = self.choice.clone().unwrap_or_default();
        let resident = self.residents.iter().find(|r| r.id == source.id);
        // What fails while it is loaded has no name yet; what is there already has the same.
        let named = resident.or_else(|| self.residents.iter().find(|r| !r.generator.on_cpu()));
        let name = named.map_or(remote::shown(&chosen), |r| r.generator.device());
        let given_up = self.health().given_up;
        let on_cpu = given_up || chosen == CPU || resident.is_some_and(|r| r.generator.on_cpu());
        self.residents.clear();
        self.spoilt = true;
        let mut health = self.health();
        health.failures += 1;
        if !given_up && !absent && health.failures == 1 {
            health.note = Some(format!("the device {name} failed ({reason}); it was started again"));
            return Failure::Device(reason);
        }
        drop(health);
        if on_cpu {
            return Failure::Refused(format!("the CPU failed ({reason}); close some programs and try again"));
        }
        self.give_up(format!("the device {name} failed ({reason})"));
        Failure::Device(reason)
    }

    /// From now on everything is done on the CPU.
    fn give_up(&mut self, what: String) {
        self.residents.retain(|r| r.generator.on_cpu());
        self.spoilt = true;
        let mut health = self.health();
        health.given_up = true;
        health.note = Some(format!("{what}; going on with the CPU"));
    }

    /// On a GPU the CPU is asked, too; on the CPU it is the model's own fault.
    fn not_finite(&mut self, id: u64, reason: String) -> Failure {
        let doubted = self.doubt.take_if(|(doubted, _)| *doubted == id).is_some();
        let resident = self.residents.iter().position(|r| r.id == id).map(|i| self.residents.remove(i));
        match resident {
            Some(resident) if !doubted && !resident.generator.on_cpu() => {
                let device = resident.generator.device();
                self.doubt = Some((id, format!("the device {device} failed (its numbers were not finite)")));
                Failure::Device(reason)
            }
            Some(resident) => {
                if !doubted {
                    self.residents.push(resident);
                }
                Failure::Refused(reason)
            }
            None => Failure::Refused(reason),
        }
    }
}
