//! The params extension is nice-plug's but for one thing: a parameter that counts in steps tells whole
//! numbers. nice-plug keeps a share of the range in single precision, so that seed 777 comes back as
//! 776.99997, and a host that cuts fractions off would have another seed.

use clap_sys::ext::params::{CLAP_EXT_PARAMS, CLAP_PARAM_IS_STEPPED, clap_param_info, clap_plugin_params};
use clap_sys::id::clap_id;
use clap_sys::plugin::clap_plugin;

use super::Shim;

/// The extension that a host is given.
pub(super) struct Values {
    /// nice-plug's functions with ours among them.
    pub extension: clap_plugin_params,
    inner: clap_plugin_params,
    /// The parameters that count in steps.
    stepped: Vec<clap_id>,
}

impl Values {
    /// Of a new instance; None when it has no parameters, which this version of nice-plug never says.
    ///
    /// # Safety
    /// `plugin` is nice-plug's and alive; this is its main thread.
    pub unsafe fn of(plugin: &clap_plugin) -> Option<Self> {
        // SAFETY: the caller's promise; the id is the struct's, and zeros are a valid info.
        unsafe {
            let inner =
                *plugin.get_extension?(plugin, CLAP_EXT_PARAMS.as_ptr()).cast::<clap_plugin_params>().as_ref()?;
            let (count, get) = (inner.count?, inner.get_info?);
            let stepped = |index| {
                let mut info: clap_param_info = std::mem::zeroed();
                (get(plugin, index, &mut info) && info.flags & CLAP_PARAM_IS_STEPPED != 0).then_some(info.id)
            };
            let stepped = (0..count(plugin)).filter_map(stepped).collect();
            Some(Self { extension: clap_plugin_params { get_value: Some(get_value), ..inner }, inner, stepped })
        }
    }
}

unsafe extern "C" fn get_value(plugin: *const clap_plugin, id: clap_id, value: *mut f64) -> bool {
    // SAFETY: the host's pointers, valid for this call; nice-plug has checked the value's when it says true.
    unsafe {
        let Some(values) = Shim::of(plugin).map(|shim| &shim.values) else { return false };
        let told = values.inner.get_value.is_some_and(|get| get(plugin, id, value));
        if told && values.stepped.contains(&id) {
            *value = (*value).round();
        }
        told
    }
}
