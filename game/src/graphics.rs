//! Opens the graphics adapter and device, and hands them to the engine. The engine would look for them in the same way,
//! but panic where there are none, or none that can show a window.
//!
//! | variable | value |
//! |---|---|
//! | `WGPU_BACKEND` | the interfaces that may be used, such as `vulkan` or `gl` (all that were built in) |
//! | `WGPU_ADAPTER_NAME` | part of the name of the adapter that is preferred |
//! | `WGPU_POWER_PREF` | `low`, `high` or `none` (`high`): which of several adapters |
//! | `WGPU_FORCE_FALLBACK_ADAPTER` | `1`: a software renderer |
//! | `WGPU_SETTINGS_PRIO` | `functionality`, `webgpu` or `webgl2` (the first): how much of the adapter is used |

use std::sync::Arc;

use bevy::app::{App, Plugin};
use bevy::ecs::resource::Resource;
use bevy::render::RenderPlugin;
use bevy::render::renderer::{
    RenderAdapter, RenderAdapterInfo, RenderDevice, RenderInstance, RenderQueue, WgpuWrapper,
};
use bevy::render::settings::{RenderResources, WgpuSettings, WgpuSettingsPriority};
use bevy::tasks::block_on;
use bevy::winit::DisplayHandleWrapper;
use wgpu::wgt::WgpuHasDisplayHandle;
use wgpu::{
    Adapter, AdapterInfo, Backend, BackendOptions, Backends, DeviceDescriptor, DeviceType, Features,
    Instance, InstanceDescriptor, Limits, RequestAdapterOptions,
};

use crate::GameError;
use crate::cli::QualityChoice;

/// How much is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// For software rendering and for old machines, which have OpenGL only: no glow pass, no smoothing, few particles.
    Low,
    /// Everything.
    High,
}

impl Quality {
    /// What was asked for, or else what the adapter can do. OpenGL gets the lowest quality: the glow is drawn
    /// into a format that it need not support.
    fn of(choice: QualityChoice, device: DeviceType, backend: Backend) -> Self {
        match choice {
            _ if backend == Backend::Gl => Self::Low,
            QualityChoice::Low => Self::Low,
            QualityChoice::Auto if device == DeviceType::Cpu => Self::Low,
            QualityChoice::High | QualityChoice::Auto => Self::High,
        }
    }
}

/// A connection to the X server, if one answers and accepts this program. (A Wayland desktop has XWayland; this build
/// speaks X11 only.) Hold it until the window is open: a server without a desktop restarts when its last client goes,
/// refuses connections meanwhile, and the engine panics when it is refused.
#[cfg(target_os = "linux")]
pub fn display() -> Option<impl Sized> {
    x11rb::connect(None).ok()
}

/// Other systems always have a desktop.
#[cfg(not(target_os = "linux"))]
pub fn display() -> Option<impl Sized> {
    Some(())
}

/// What [`GraphicsPlugin`] found.
#[derive(Resource)]
struct Opened(Result<AdapterInfo, GameError>);

/// Replaces the engine's render plugin in the order of plugins: after the connection to the window system,
/// which OpenGL needs for a window, and before everything that draws.
pub struct GraphicsPlugin {
    /// Whether a frame waits until all its pipelines are compiled. Off-screen frames do: they must be complete, and
    /// nobody notices that they are late.
    pub waits_for_pipelines: bool,
}

impl Plugin for GraphicsPlugin {
    fn build(&self, app: &mut App) {
        let display = app.world().get_resource::<DisplayHandleWrapper>();
        let display = display.map(|DisplayHandleWrapper(handle)| Box::new(handle.clone()) as Box<_>);
        let (found, render_creation) = match open(&WgpuSettings::default(), display) {
            Ok(resources) => (Ok(AdapterInfo::clone(&resources.2)), resources.into()),
            // The app is then never run. The engine allows building the rest of it without a renderer.
            Err(error) => (Err(error), WgpuSettings { backends: None, ..WgpuSettings::default() }.into()),
        };
        app.insert_resource(Opened(found)).add_plugins(RenderPlugin {
            render_creation,
            synchronous_pipeline_compilation: self.waits_for_pipelines,
            ..RenderPlugin::default()
        });
    }
}

/// The drawing quality for `app`, to which [`GraphicsPlugin`] was added, or why it cannot draw.
pub fn quality(app: &mut App, choice: QualityChoice) -> Result<Quality, GameError> {
    let opened = app.world_mut().remove_resource::<Opened>();
    let adapter = opened.map_or(Err(GameError::NoAdapter), |Opened(found)| found)?;
    Ok(Quality::of(choice, adapter.device_type, adapter.backend))
}

/// Opens a device by `settings` and the environment. OpenGL can show a window only on the `display` it was
/// opened for.
fn open(
    settings: &WgpuSettings,
    display: Option<Box<dyn WgpuHasDisplayHandle>>,
) -> Result<RenderResources, GameError> {
    let allowed = settings.backends.unwrap_or(Backends::empty());
    let instance = Instance::new(InstanceDescriptor {
        backends: allowed,
        flags: settings.instance_flags,
        memory_budget_thresholds: settings.instance_memory_budget_thresholds,
        backend_options: BackendOptions::from_env_or_default(),
        display,
    });
    let adapter = find(&instance, allowed, settings).ok_or_else(|| {
        if allowed.contains(Backends::VULKAN) { GameError::NoAdapter } else { GameError::NotAllowed }
    })?;
    let info = adapter.get_info();
    let (features, limits) = match settings.priority {
        // OpenGL drivers report storage buffers and more, with which some of the engine's shaders do not
        // compile there. The engine supports the WebGL 2 subset of OpenGL; only pictures may be larger.
        _ if info.backend == Backend::Gl => (
            settings.features & adapter.features(),
            Limits::downlevel_webgl2_defaults().using_resolution(adapter.limits()),
        ),
        WgpuSettingsPriority::Functionality => (adapter.features(), adapter.limits()),
        WgpuSettingsPriority::WebGPU | WgpuSettingsPriority::WebGL2 => {
            (settings.features & adapter.features(), settings.limits.clone())
        }
    };
    let mut unwanted = Features::all_experimental_mask();
    if info.device_type == DeviceType::DiscreteGpu {
        // Memory mapped by both sides is across the bus on a discrete device.
        unwanted |= Features::MAPPABLE_PRIMARY_BUFFERS;
    }
    let asked = DeviceDescriptor {
        required_features: features - unwanted,
        required_limits: limits,
        memory_hints: settings.memory_hints.clone(),
        ..DeviceDescriptor::default()
    };
    let (device, queue) = block_on(adapter.request_device(&asked))
        .map_err(|error| GameError::NoDevice { adapter: info.name.clone(), reason: error.to_string() })?;
    Ok(RenderResources(
        RenderDevice::from(device),
        RenderQueue(Arc::new(WgpuWrapper::new(queue))),
        RenderAdapterInfo(WgpuWrapper::new(info)),
        RenderAdapter(Arc::new(WgpuWrapper::new(adapter))),
        RenderInstance(Arc::new(WgpuWrapper::new(instance))),
    ))
}

/// The adapter that was named, if it exists, or else the best.
fn find(instance: &Instance, allowed: Backends, settings: &WgpuSettings) -> Option<Adapter> {
    let name = std::env::var("WGPU_ADAPTER_NAME").unwrap_or_default().to_lowercase();
    let fallback = std::env::var("WGPU_FORCE_FALLBACK_ADAPTER").unwrap_or_default();
    let named = if name.is_empty() { Vec::new() } else { block_on(instance.enumerate_adapters(allowed)) };
    named.into_iter().find(|adapter| adapter.get_info().name.to_lowercase().contains(&name)).or_else(|| {
        block_on(instance.request_adapter(&RequestAdapterOptions {
            power_preference: settings.power_preference,
            force_fallback_adapter: !matches!(fallback.as_str(), "" | "0" | "false"),
            compatible_surface: None,
        }))
        .ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_graphics_processor_of_today_is_asked_for_everything() {
        let quality = |device, backend| Quality::of(QualityChoice::Auto, device, backend);
        assert_eq!(quality(DeviceType::IntegratedGpu, Backend::Vulkan), Quality::High);
        assert_eq!(quality(DeviceType::Cpu, Backend::Vulkan), Quality::Low);
        assert_eq!(quality(DeviceType::DiscreteGpu, Backend::Gl), Quality::Low);
    }

    #[test]
    fn who_asks_for_a_quality_gets_it_but_for_opengl() {
        let quality = |choice, backend| Quality::of(choice, DeviceType::Cpu, backend);
        assert_eq!(quality(QualityChoice::High, Backend::Vulkan), Quality::High);
        assert_eq!(quality(QualityChoice::Low, Backend::Vulkan), Quality::Low);
        assert_eq!(quality(QualityChoice::High, Backend::Gl), Quality::Low);
    }

    #[test]
    fn where_no_interface_may_be_used_it_says_so_and_does_not_panic() {
        let settings = WgpuSettings { backends: Some(Backends::empty()), ..WgpuSettings::default() };
        let error = open(&settings, None).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("WGPU_BACKEND"), "{error}");
        assert_eq!(error.exit_code(), 69);
    }
}
