//! The CLAP entry point: nice-plug's own wrapper behind an object that adds what it lacks.
//!
//! - **note-name**: which key plays what, told anew when the mode, the slicing or the clip changes.
//! - **Pitch bend**: nice-plug drops a MIDI pitch wheel unless a plugin takes every MIDI controller,
//!   which costs a VST3 2,080 hidden parameters and its hosts a minute to load. Here the wheel becomes a
//!   value of the parameter [`bend::BEND`].
//! - **Whole numbers**: a parameter that counts in steps tells them without a fraction.
//! - **state-context**: a preset can leave out what belongs to one project, see [`saves_preset`].
//!
//! Everything else is nice-plug's. Its functions read nothing of the object that a host hands them but
//! `plugin_data`, and that is the same in ours. Presets are not listed for discovery: Flowloop ships
//! none, a host keeps its own.

pub(super) mod bend;
mod names;
mod values;

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::null;
use std::sync::{Arc, OnceLock, mpsc};

use clap_sys::entry::clap_plugin_entry;
use clap_sys::ext::note_name::{CLAP_EXT_NOTE_NAME, clap_host_note_name};
use clap_sys::ext::params::CLAP_EXT_PARAMS;
use clap_sys::ext::state::{CLAP_EXT_STATE, clap_plugin_state};
use clap_sys::ext::state_context::*;
use clap_sys::factory::plugin_factory::{CLAP_PLUGIN_FACTORY_ID, clap_plugin_factory};
use clap_sys::host::clap_host;
use clap_sys::plugin::{clap_plugin, clap_plugin_descriptor};
use clap_sys::process::{CLAP_PROCESS_ERROR, clap_process, clap_process_status};
use clap_sys::stream::{clap_istream, clap_ostream};
use clap_sys::version::CLAP_VERSION;
use nice_plug::prelude::{RemoteControlsContext, RemoteControlsPage, RemoteControlsSection};
use nice_plug::wrapper::clap::{PluginDescriptor, Wrapper};

use super::choices::{Mode, Slices};
use super::{Flowloop, FlowloopParams};
use bend::Bends;
use names::{NOTE_NAME, Names};
use values::Values;

/// Asks an instance for its parameters: nice-plug shows a layer around it no more of the instance
/// than the door for background tasks.
pub struct Introduce(pub(super) mpsc::Sender<Arc<FlowloopParams>>);

thread_local! {
    static NEW_CLIP: Cell<bool> = const { Cell::new(false) };
    static PRESET: Cell<bool> = const { Cell::new(false) };
}

/// `process` says that it took a clip; the names of the keys may have changed.
pub(super) fn took_clip() {
    NEW_CLIP.set(true);
}

/// True while the state that is saved is to become a preset: it should hold nothing of this project or
/// this computer.
pub(super) fn saves_preset() -> bool {
    PRESET.get()
}

/// Pages of eight for hardware controllers.
pub(super) fn remote_controls(params: &FlowloopParams, context: &mut impl RemoteControlsContext) {
    let (make, play) = (&params.generate, &params.play);
    let (voice, output) = (&params.voice, &params.output);
    context.add_section("Flowloop", |section| {
        section.add_page("Generate", |page| {
            page.add_param(&make.seed);
            page.add_param(&make.steps);
            page.add_param(&make.morph);
            page.add_param(&make.style);
            page.add_param(&make.key);
            page.add_param(&make.variation);
            page.add_param(&make.bars);
            page.add_param(&make.trigger);
        });
        section.add_page("Play", |page| {
            page.add_param(&play.mode);
            page.add_param(&play.swap);
            page.add_param(&play.start);
            page.add_param(&play.length);
            page.add_param(&play.reverse);
            page.add_param(&play.slices);
        });
        section.add_page("More", |page| {
            page.add_param(&make.guidance);
            page.add_param(&make.take);
            page.add_param(&make.solver);
            page.add_param(&make.auto);
        });
        section.add_page("Voice", |page| {
            page.add_param(&voice.attack);
            page.add_param(&voice.decay);
            page.add_param(&voice.sustain);
            page.add_param(&voice.release);
            page.add_param(&voice.bend);
            page.add_param(&voice.bend_range);
        });
        section.add_page("Output", |page| {
            page.add_param(&output.gain);
            page.add_param(&output.pan);
            page.add_param(&output.low_cut);
            page.add_param(&output.high_cut);
        });
    });
}

/// The object that a host holds. `heard` is the audio thread's, `told` the main thread's.
#[repr(C)]
struct Shim {
    /// nice-plug's functions with ours among them. First: the host's pointer to it is the Shim's.
    plugin: clap_plugin,
    /// nice-plug's own functions.
    inner: clap_plugin,
    host: *const clap_host,
    params: Arc<FlowloopParams>,
    values: Values,
    /// What names depended on at the last block.
    heard: Cell<(Mode, Slices)>,
    /// The names that the host knows.
    told: Cell<Names>,
}

impl Shim {
    /// A boxed Shim around a new instance; None when the instance does not introduce itself.
    ///
    /// # Safety
    /// `host` outlives the object.
    unsafe fn create(host: *const clap_host) -> Option<*const clap_plugin> {
        // SAFETY: the caller's promise.
        let wrapper = unsafe { Wrapper::<Flowloop>::new(host) };
        let (say, hear) = mpsc::channel();
        (wrapper.task_executor.lock())(Introduce(say));
        let params = hear.try_recv().ok()?;
        let inner = *wrapper.clap_plugin.borrow();
        // SAFETY: the wrapper is alive, and a host creates plugins on its main thread.
        let values = unsafe { Values::of(&inner) }?;
        // nice-plug's `destroy` takes this count back.
        std::mem::forget(wrapper);
        let plugin = clap_plugin {
            process: Some(process),
            get_extension: Some(get_extension),
            on_main_thread: Some(on_main_thread),
            destroy: Some(destroy),
            ..inner
        };
        let heard = Cell::new((params.play.mode.value(), params.play.slices.value()));
        let told = Cell::new(Names::of(&params));
        Some(Box::into_raw(Box::new(Self { plugin, inner, host, params, values, heard, told })).cast())
    }

    /// # Safety
    /// `plugin` is null or came from `create` and was not destroyed.
    unsafe fn of<'a>(plugin: *const clap_plugin) -> Option<&'a Self> {
        // SAFETY: the caller's promise; `plugin` is the Shim's first field.
        unsafe { plugin.cast::<Self>().as_ref() }
    }

    /// One of nice-plug's extensions.
    ///
    /// # Safety
    /// `T` is the struct of `id`.
    unsafe fn extension<T>(&self, id: &CStr) -> Option<&T> {
        // SAFETY: a live object's function; what it returns lives as long as the object.
        unsafe { self.inner.get_extension?(&self.plugin, id.as_ptr()).cast::<T>().as_ref() }
    }
}

unsafe extern "C" fn process(plugin: *const clap_plugin, process: *const clap_process) -> clap_process_status {
    // SAFETY: the host's pointers, valid for this call.
    let (Some(shim), Some(given)) = (unsafe { Shim::of(plugin) }, unsafe { process.as_ref() }) else {
        return CLAP_PROCESS_ERROR;
    };
    let Some(run) = shim.inner.process else { return CLAP_PROCESS_ERROR };
    let bends = Bends::of(given.in_events);
    let list = bends.list();
    let in_events = if given.in_events.is_null() { null() } else { &raw const list };
    let ours = clap_process { in_events, ..*given };
    // SAFETY: what the host gave, with a list that lives until the call returns.
    let status = unsafe { run(plugin, &ours) };
    let play = &shim.params.play;
    let heard = (play.mode.value(), play.slices.value());
    let renamed = NEW_CLIP.take() | (shim.heard.replace(heard) != heard);
    // SAFETY: the host outlives its plugins.
    if let Some(request) = unsafe { (*shim.host).request_callback }.filter(|_| renamed) {
        // SAFETY: a host takes this call on any thread.
        unsafe { request(shim.host) };
    }
    status
}

unsafe extern "C" fn on_main_thread(plugin: *const clap_plugin) {
    // SAFETY: the host's pointer, valid for this call.
    let Some(shim) = (unsafe { Shim::of(plugin) }) else { return };
    if let Some(run) = shim.inner.on_main_thread {
        // SAFETY: handed on as it came.
        unsafe { run(plugin) };
    }
    let names = Names::of(&shim.params);
    if shim.told.replace(names) == names {
        return;
    }
    // SAFETY: the host outlives its plugins; this is its main thread, and the id is the struct's.
    unsafe {
        let extension = (*shim.host).get_extension.map(|get| get(shim.host, CLAP_EXT_NOTE_NAME.as_ptr()));
        let changed = extension.and_then(|e| e.cast::<clap_host_note_name>().as_ref()).and_then(|e| e.changed);
        if let Some(changed) = changed {
            changed(shim.host);
        }
    }
}

unsafe extern "C" fn destroy(plugin: *const clap_plugin) {
    // SAFETY: the host's last use of what `create` boxed.
    let shim = unsafe { Box::from_raw(plugin.cast_mut().cast::<Shim>()) };
    if let Some(destroy) = shim.inner.destroy {
        // SAFETY: the object is alive until the end of this function.
        unsafe { destroy(&shim.plugin) };
    }
}

unsafe extern "C" fn get_extension(plugin: *const clap_plugin, id: *const c_char) -> *const c_void {
    // SAFETY: the host's pointer, valid for this call.
    let Some(shim) = (unsafe { Shim::of(plugin) }).filter(|_| !id.is_null()) else { return null() };
    // SAFETY: not null, and a string by the interface's contract.
    let name = unsafe { CStr::from_ptr(id) };
    if name == CLAP_EXT_PARAMS {
        (&raw const shim.values.extension).cast()
    } else if name == CLAP_EXT_NOTE_NAME {
        (&raw const NOTE_NAME).cast()
    } else if name == CLAP_EXT_STATE_CONTEXT {
        (&raw const STATE_CONTEXT).cast()
    } else {
        // SAFETY: handed on as it came.
        shim.inner.get_extension.map_or(null(), |get| unsafe { get(plugin, id) })
    }
}

static STATE_CONTEXT: clap_plugin_state_context =
    clap_plugin_state_context { save: Some(context_save), load: Some(context_load) };

unsafe extern "C" fn context_save(
    plugin: *const clap_plugin,
    stream: *const clap_ostream,
    context: clap_plugin_state_context_type,
) -> bool {
    // SAFETY: the host's pointers, valid for this call; the id is the struct's.
    unsafe {
        let state = Shim::of(plugin).and_then(|shim| shim.extension::<clap_plugin_state>(CLAP_EXT_STATE));
        let Some(save) = state.and_then(|s| s.save) else { return false };
        PRESET.set(context == CLAP_STATE_CONTEXT_FOR_PRESET);
        let saved = save(plugin, stream);
        PRESET.set(false);
        saved
    }
}

unsafe extern "C" fn context_load(
    plugin: *const clap_plugin,
    stream: *const clap_istream,
    _context: clap_plugin_state_context_type,
) -> bool {
    // SAFETY: as above.
    unsafe {
        let state = Shim::of(plugin).and_then(|shim| shim.extension::<clap_plugin_state>(CLAP_EXT_STATE));
        state.and_then(|s| s.load).is_some_and(|load| load(plugin, stream))
    }
}

static FACTORY: clap_plugin_factory = clap_plugin_factory {
    get_plugin_count: Some(plugin_count),
    get_plugin_descriptor: Some(plugin_descriptor),
    create_plugin: Some(create_plugin),
};

fn descriptor() -> &'static PluginDescriptor {
    static DESCRIPTOR: OnceLock<PluginDescriptor> = OnceLock::new();
    DESCRIPTOR.get_or_init(PluginDescriptor::for_plugin::<Flowloop>)
}

unsafe extern "C" fn plugin_count(_factory: *const clap_plugin_factory) -> u32 {
    1
}

unsafe extern "C" fn plugin_descriptor(
    _factory: *const clap_plugin_factory,
    index: u32,
) -> *const clap_plugin_descriptor {
    if index == 0 { descriptor().clap_plugin_descriptor() } else { null() }
}

unsafe extern "C" fn create_plugin(
    _factory: *const clap_plugin_factory,
    host: *const clap_host,
    id: *const c_char,
) -> *const clap_plugin {
    // SAFETY: an id is a string, and a host outlives its plugins, by the interface's contract.
    unsafe {
        if host.is_null() || id.is_null() || CStr::from_ptr(id) != descriptor().clap_id() {
            return null();
        }
        Shim::create(host).unwrap_or(null())
    }
}

unsafe extern "C" fn init(_path: *const c_char) -> bool {
    nice_plug::wrapper::setup_logger::<Flowloop>();
    true
}

unsafe extern "C" fn deinit() {}

unsafe extern "C" fn get_factory(id: *const c_char) -> *const c_void {
    // SAFETY: a string by the interface's contract.
    let known = !id.is_null() && unsafe { CStr::from_ptr(id) } == CLAP_PLUGIN_FACTORY_ID;
    if known { (&raw const FACTORY).cast() } else { null() }
}

/// The entry point that a CLAP host looks for.
#[unsafe(no_mangle)]
#[used]
#[allow(non_upper_case_globals)] // The interface's name.
pub static clap_entry: clap_plugin_entry = clap_plugin_entry {
    clap_version: CLAP_VERSION,
    init: Some(init),
    deinit: Some(deinit),
    get_factory: Some(get_factory),
};
