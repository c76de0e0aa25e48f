//! The hand on the host's parameters: every edit is begin, set, end, so that hosts record a drag as one
//! movement, and whatever was begun is ended, also when the window closes meanwhile.

use std::cell::{Cell, RefCell};

use nice_plug::context::gui::GuiContext;
use nice_plug::params::internals::ParamPtr;
use nice_plug::prelude::{BoolParam, Param, ParamSetter};

/// Seconds that a pulse lasts at least: longer than the largest blocks of hosts.
const PULSE: f64 = 0.25;

/// Edits parameters as long as there is a host.
#[derive(Default)]
pub(super) struct Hand {
    host: Option<GuiContext>,
    /// Parameters whose edit has begun and not ended.
    held: RefCell<Vec<ParamPtr>>,
    /// When the trigger is let go, in egui's seconds.
    pulse: Cell<Option<f64>>,
}

impl Hand {
    /// Takes a window's host.
    pub fn open(&mut self, host: GuiContext) {
        self.host = Some(host);
    }

    /// Lets everything go; the host is gone after it.
    pub fn close(&mut self, trigger: &BoolParam) {
        if self.pulse.take().is_some() {
            self.set(trigger, 0.0);
        }
        if let Some(host) = self.host.take() {
            for param in self.held.take() {
                // SAFETY: the parameters live as long as the plugin, which outlives its window.
                unsafe { host.raw_end_set_parameter(param) };
            }
        }
    }

    fn setter(&self) -> Option<ParamSetter<'_>> {
        self.host.as_ref().map(GuiContext::param_setter)
    }

    fn holds<P: Param>(&self, param: &P) -> bool {
        self.held.borrow().contains(&param.as_ptr())
    }

    /// Begins a movement.
    pub fn begin<P: Param>(&self, param: &P) {
        if let Some(setter) = self.setter()
            && !self.holds(param)
        {
            setter.begin_set_parameter(param);
            self.held.borrow_mut().push(param.as_ptr());
        }
    }

    /// Sets a normalised value, snapped to the parameter's steps: within a movement, else as a whole edit.
    pub fn set<P: Param>(&self, param: &P, value: f32) {
        let value = param.preview_normalized(param.preview_plain(value.clamp(0.0, 1.0)));
        if value == param.unmodulated_normalized_value() {
            return;
        }
        let Some(setter) = self.setter() else { return };
        let moves = self.holds(param);
        if !moves {
            setter.begin_set_parameter(param);
        }
        setter.set_parameter_normalized(param, value);
        if !moves {
            setter.end_set_parameter(param);
        }
    }

    /// Sets a plain value.
    pub fn set_plain<P: Param>(&self, param: &P, value: P::Plain) {
        self.set(param, param.preview_normalized(value));
    }

    /// Ends a movement.
    pub fn end<P: Param>(&self, param: &P) {
        let before = self.held.borrow().len();
        self.held.borrow_mut().retain(|held| *held != param.as_ptr());
        if let Some(setter) = self.setter()
            && self.held.borrow().len() < before
        {
            setter.end_set_parameter(param);
        }
    }

    /// Turns a trigger on; [`Self::tick`] lets it go after a moment. `now` in egui's seconds.
    pub fn press(&self, trigger: &BoolParam, now: f64) {
        self.set(trigger, 1.0);
        self.pulse.set(Some(now + PULSE));
    }

    /// Lets a pressed trigger go when its time has come.
    pub fn tick(&self, trigger: &BoolParam, now: f64) {
        if self.pulse.get().is_some_and(|end| now >= end) {
            self.pulse.set(None);
            self.set(trigger, 0.0);
        }
    }
}
