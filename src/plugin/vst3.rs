//! The VST3 entry points: nice-plug's own wrapper behind an object that mends three things.
//!
//! - nice-plug stores a host's buffer set-up before the process mode that comes with it, and does not
//!   look at the mode that comes with each block, the only one that some hosts set for a bounce. Here
//!   the set-up is handed over twice, and each block's mode is kept for [`offline`].
//! - nice-plug does not tell a host that values changed when a state was loaded; some hosts then send
//!   the old values back.
//! - nice-plug maps either all MIDI controllers to hidden parameters, 2,080 of them, or none. Here the
//!   pitch wheel alone is mapped, to the parameter for it.
//!
//! Everything else is handed on as it comes.
// The bindings' integer types differ between systems, so casts that are needless here are not elsewhere.
#![allow(non_snake_case, clippy::too_many_arguments, clippy::unnecessary_cast)]

use std::cell::Cell;
use std::ffi::c_void;
use std::sync::Mutex;

use nice_plug::wrapper::vst3::{PluginInfo, Wrapper, vst3};
use vst3::Steinberg::Vst::CString;
use vst3::Steinberg::Vst::ChannelContext::*;
use vst3::Steinberg::Vst::*;
use vst3::Steinberg::*;
use vst3::{Class, ComPtr, ComRef, ComWrapper, Interface};

use super::Flowloop;
use super::clap::bend::BEND;

thread_local! {
    static OFFLINE: Cell<bool> = const { Cell::new(false) };
}

/// True on an audio thread whose host renders the current block offline.
pub(super) fn offline() -> bool {
    OFFLINE.get()
}

/// The delegating object: nice-plug's wrapper by each of its interfaces.
struct Shim {
    component: ComPtr<IComponent>,
    controller: ComPtr<IEditController>,
    processor: ComPtr<IAudioProcessor>,
    midi: ComPtr<IMidiMapping>,
    expression: ComPtr<INoteExpressionController>,
    requirements: ComPtr<IProcessContextRequirements>,
    units: ComPtr<IUnitInfo>,
    info: ComPtr<IInfoListener>,
    /// Who hears about changed values.
    handler: Mutex<Option<ComPtr<IComponentHandler>>>,
}

impl Shim {
    /// None when the wrapper lacks an interface, which this version of nice-plug never does.
    fn new() -> Option<Self> {
        fn as_<I: Interface>(wrapper: &ComWrapper<Wrapper<Flowloop>>) -> Option<ComPtr<I>> {
            wrapper.to_com_ptr()
        }
        let wrapper = ComWrapper::new(Wrapper::<Flowloop>::new());
        Some(Self {
            component: as_(&wrapper)?,
            controller: as_(&wrapper)?,
            processor: as_(&wrapper)?,
            midi: as_(&wrapper)?,
            expression: as_(&wrapper)?,
            requirements: as_(&wrapper)?,
            units: as_(&wrapper)?,
            info: as_(&wrapper)?,
            handler: Mutex::new(None),
        })
    }
}

impl Class for Shim {
    type Interfaces = (
        IComponent,
        IEditController,
        IAudioProcessor,
        IMidiMapping,
        INoteExpressionController,
        IProcessContextRequirements,
        IUnitInfo,
        IInfoListener,
    );
}

/// Implements an interface by handing calls on to `field`; the second block holds the others.
macro_rules! delegate {
    ($interface:ident to $field:ident { $(fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty;)* } $({ $($own:tt)* })?) => {
        impl $interface for Shim {
            // SAFETY of each: the host's arguments are handed on as they came.
            $(unsafe fn $name(&self, $($arg: $type),*) -> $result { unsafe { self.$field.$name($($arg),*) } })*
            $($($own)*)?
        }
    };
}

delegate!(IPluginBaseTrait to component {
    fn initialize(context: *mut FUnknown) -> tresult;
    fn terminate() -> tresult;
});

delegate!(IComponentTrait to component {
    fn getControllerClassId(class: *mut TUID) -> tresult;
    fn setIoMode(mode: IoMode) -> tresult;
    fn getBusCount(media: MediaType, direction: BusDirection) -> int32;
    fn getBusInfo(media: MediaType, direction: BusDirection, index: int32, bus: *mut BusInfo) -> tresult;
    fn getRoutingInfo(input: *mut RoutingInfo, output: *mut RoutingInfo) -> tresult;
    fn activateBus(media: MediaType, direction: BusDirection, index: int32, state: TBool) -> tresult;
    fn setActive(state: TBool) -> tresult;
    fn getState(state: *mut IBStream) -> tresult;
} {
    unsafe fn setState(&self, state: *mut IBStream) -> tresult {
        // SAFETY: handed on as it came.
        let result = unsafe { self.component.setState(state) };
        let handler = self.handler.lock().unwrap_or_else(|e| e.into_inner()).clone();
        if result == kResultOk
            && let Some(handler) = handler
        {
            // SAFETY: the host gave this handler and the pointer counts its reference.
            unsafe { handler.restartComponent(RestartFlags_::kParamValuesChanged as i32) };
        }
        result
    }
});

delegate!(IEditControllerTrait to controller {
    fn setComponentState(state: *mut IBStream) -> tresult;
    fn setState(state: *mut IBStream) -> tresult;
    fn getState(state: *mut IBStream) -> tresult;
    fn getParameterCount() -> int32;
    fn getParameterInfo(index: int32, info: *mut ParameterInfo) -> tresult;
    fn getParamStringByValue(id: ParamID, value: ParamValue, string: *mut String128) -> tresult;
    fn getParamValueByString(id: ParamID, string: *mut TChar, value: *mut ParamValue) -> tresult;
    fn normalizedParamToPlain(id: ParamID, value: ParamValue) -> ParamValue;
    fn plainParamToNormalized(id: ParamID, value: ParamValue) -> ParamValue;
    fn getParamNormalized(id: ParamID) -> ParamValue;
    fn setParamNormalized(id: ParamID, value: ParamValue) -> tresult;
    fn createView(name: FIDString) -> *mut IPlugView;
} {
    unsafe fn setComponentHandler(&self, handler: *mut IComponentHandler) -> tresult {
        // SAFETY: the host's pointer is null or valid for this call; a counted copy is kept.
        let own = unsafe { ComRef::from_raw(handler) }.map(|h| h.to_com_ptr());
        *self.handler.lock().unwrap_or_else(|e| e.into_inner()) = own;
        // SAFETY: handed on as it came.
        unsafe { self.controller.setComponentHandler(handler) }
    }
});

delegate!(IAudioProcessorTrait to processor {
    fn setBusArrangements(inputs: *mut SpeakerArrangement, ins: int32, outputs: *mut SpeakerArrangement, outs: int32) -> tresult;
    fn getBusArrangement(direction: BusDirection, index: int32, arrangement: *mut SpeakerArrangement) -> tresult;
    fn canProcessSampleSize(size: int32) -> tresult;
    fn getLatencySamples() -> uint32;
    fn setProcessing(state: TBool) -> tresult;
    fn getTailSamples() -> uint32;
} {
    unsafe fn setupProcessing(&self, setup: *mut ProcessSetup) -> tresult {
        // SAFETY: handed on as it came, once for the mode and once for what depends on it.
        unsafe {
            self.processor.setupProcessing(setup);
            self.processor.setupProcessing(setup)
        }
    }
    unsafe fn process(&self, data: *mut ProcessData) -> tresult {
        // SAFETY: null or valid for this call.
        let mode = unsafe { data.as_ref() }.map(|d| d.processMode);
        OFFLINE.set(mode == Some(ProcessModes_::kOffline as i32));
        // SAFETY: handed on as it came.
        unsafe { self.processor.process(data) }
    }
});

delegate!(IMidiMappingTrait to midi {} {
    unsafe fn getMidiControllerAssignment(&self, bus: int32, channel: int16, controller: CtrlNumber, id: *mut ParamID) -> tresult {
        let wheel = controller as i32 == ControllerNumbers_::kPitchBend as i32;
        if !wheel || bus != 0 || !(0..16).contains(&channel) || id.is_null() {
            // SAFETY: handed on as it came.
            return unsafe { self.midi.getMidiControllerAssignment(bus, channel, controller, id) };
        }
        // SAFETY: not null, and the host's to be written by the interface's contract.
        unsafe { id.write(BEND) };
        kResultOk
    }
});

delegate!(INoteExpressionControllerTrait to expression {
    fn getNoteExpressionCount(bus: int32, channel: int16) -> int32;
    fn getNoteExpressionInfo(bus: int32, channel: int16, index: int32, info: *mut NoteExpressionTypeInfo) -> tresult;
    fn getNoteExpressionStringByValue(bus: int32, channel: int16, id: NoteExpressionTypeID, value: NoteExpressionValue, string: *mut String128) -> tresult;
    fn getNoteExpressionValueByString(bus: int32, channel: int16, id: NoteExpressionTypeID, string: *const TChar, value: *mut NoteExpressionValue) -> tresult;
});

delegate!(IProcessContextRequirementsTrait to requirements {
    fn getProcessContextRequirements() -> uint32;
});

delegate!(IUnitInfoTrait to units {
    fn getUnitCount() -> int32;
    fn getUnitInfo(index: int32, info: *mut UnitInfo) -> tresult;
    fn getProgramListCount() -> int32;
    fn getProgramListInfo(index: int32, info: *mut ProgramListInfo) -> tresult;
    fn getProgramName(list: ProgramListID, index: int32, name: *mut String128) -> tresult;
    fn getProgramInfo(list: ProgramListID, index: int32, attribute: CString, value: *mut String128) -> tresult;
    fn hasProgramPitchNames(list: ProgramListID, index: int32) -> tresult;
    fn getProgramPitchName(list: ProgramListID, index: int32, pitch: int16, name: *mut String128) -> tresult;
    fn getSelectedUnit() -> UnitID;
    fn selectUnit(unit: UnitID) -> tresult;
    fn getUnitByBus(media: MediaType, direction: BusDirection, bus: int32, channel: int32, unit: *mut UnitID) -> tresult;
    fn setUnitProgramData(list: int32, index: int32, data: *mut IBStream) -> tresult;
});

delegate!(IInfoListenerTrait to info {
    fn setChannelContextInfos(list: *mut IAttributeList) -> tresult;
});

/// The module's one class.
struct Factory(PluginInfo);

impl Class for Factory {
    type Interfaces = (IPluginFactory, IPluginFactory2, IPluginFactory3);
}

impl IPluginFactoryTrait for Factory {
    unsafe fn getFactoryInfo(&self, info: *mut PFactoryInfo) -> tresult {
        fill(0, info, || self.0.create_factory_info())
    }
    unsafe fn countClasses(&self) -> int32 {
        1
    }
    unsafe fn getClassInfo(&self, index: int32, info: *mut PClassInfo) -> tresult {
        fill(index, info, || self.0.create_class_info())
    }
    unsafe fn createInstance(&self, class: FIDString, interface: FIDString, object: *mut *mut c_void) -> tresult {
        if class.is_null() || interface.is_null() || object.is_null() {
            return kInvalidArgument;
        }
        // SAFETY: ids are 16 bytes by the interface's contract.
        if unsafe { *(class as *const [u8; 16]) } != *self.0.cid {
            return kInvalidArgument;
        }
        let Some(shim) = Shim::new() else { return kInternalError };
        let shim = ComWrapper::new(shim);
        let Some(unknown) = shim.as_com_ref::<FUnknown>() else { return kInternalError };
        // SAFETY: a live object; a reference that the query hands out keeps it alive.
        unsafe { ((*(*unknown.as_ptr()).vtbl).queryInterface)(unknown.as_ptr(), interface as *const TUID, object) }
    }
}

impl IPluginFactory2Trait for Factory {
    unsafe fn getClassInfo2(&self, index: int32, info: *mut PClassInfo2) -> tresult {
        fill(index, info, || self.0.create_class_info_2())
    }
}

impl IPluginFactory3Trait for Factory {
    unsafe fn getClassInfoUnicode(&self, index: int32, info: *mut PClassInfoW) -> tresult {
        fill(index, info, || self.0.create_class_info_unicode())
    }
    unsafe fn setHostContext(&self, _context: *mut FUnknown) -> tresult {
        kResultOk
    }
}

fn fill<T>(index: int32, into: *mut T, value: impl FnOnce() -> T) -> tresult {
    if index != 0 || into.is_null() {
        return kInvalidArgument;
    }
    // SAFETY: not null, and the host's to be written by the interface's contract.
    unsafe { into.write(value()) };
    kResultOk
}

#[unsafe(no_mangle)]
extern "system" fn GetPluginFactory() -> *mut c_void {
    let factory = ComWrapper::new(Factory(PluginInfo::for_plugin::<Flowloop>())).to_com_ptr::<IPluginFactory>();
    factory.map_or(std::ptr::null_mut(), |f| f.into_raw() as *mut c_void)
}

/// A module's entry and exit, named as each system's loader wants them.
macro_rules! entry_points {
    ($abi:literal, $entry:ident($($entry_arg:ident: $entry_type:ty),*), $exit:ident) => {
        #[unsafe(no_mangle)]
        extern $abi fn $entry($($entry_arg: $entry_type),*) -> bool {
            nice_plug::wrapper::setup_logger::<Flowloop>();
            true
        }
        #[unsafe(no_mangle)]
        extern $abi fn $exit() -> bool {
            true
        }
    };
}

#[cfg(all(target_family = "unix", not(target_os = "macos")))]
entry_points!("C", ModuleEntry(_handle: *mut c_void), ModuleExit);
#[cfg(target_os = "macos")]
entry_points!("C", bundleEntry(_handle: *mut c_void), bundleExit);
#[cfg(target_os = "windows")]
entry_points!("system", InitDll(), ExitDll);
