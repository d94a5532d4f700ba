//! Finds the graphics processors of this machine, and opens the one that is used.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wgpu::{Adapter, Backends, DeviceType, Instance, InstanceDescriptor, InstanceFlags};

use super::{Gpu, GpuChoice, GpuError};

/// The result of a search for a graphics processor.
pub enum GpuSearch {
    /// A graphics processor, ready for use.
    Gpu(Gpu),
    /// None; the text says why, as the end of a sentence.
    None(String),
}

impl Gpu {
    /// Looks for a graphics processor. It is an error only if a named one does not exist or cannot be opened.
    pub fn find(choice: &GpuChoice) -> Result<GpuSearch, GpuError> {
        match choice {
            GpuChoice::Off => Ok(GpuSearch::None("a graphics processor is not wanted".into())),
            GpuChoice::Auto => Ok(find_fastest(adapters())),
            GpuChoice::Named(name) => {
                let all = adapters();
                let wanted = name.to_lowercase();
                let place = all.iter().position(|adapter| called(adapter).to_lowercase().contains(&wanted));
                match place {
                    Some(place) => Gpu::open(&all[place]).map(GpuSearch::Gpu),
                    None => Err(GpuError::NotFound {
                        wanted: name.clone(),
                        found: all.iter().map(called).collect(),
                    }),
                }
            }
        }
    }
}

/// All adapters of the backends we compile shaders for, in the order their drivers name them. Loading drivers can
/// take some hundred milliseconds.
fn adapters() -> Vec<Adapter> {
    let instance = Instance::new(InstanceDescriptor {
        backends: Backends::VULKAN | Backends::METAL | Backends::DX12,
        // No validation layers: wgpu itself validates, and layers that a developer installed would slow us.
        flags: InstanceFlags::empty(),
        ..InstanceDescriptor::new_without_display_handle()
    });
    at_once(instance.enumerate_adapters(Backends::all())).unwrap_or_default()
}

/// The name an adapter is found by.
fn called(adapter: &Adapter) -> String {
    adapter.get_info().name
}

/// The first discrete adapter that opens, else the first integrated one, else the first of a virtual machine.
fn find_fastest(adapters: Vec<Adapter>) -> GpuSearch {
    let rank = |adapter: &Adapter| match adapter.get_info().device_type {
        DeviceType::DiscreteGpu => Some(0),
        DeviceType::IntegratedGpu => Some(1),
        DeviceType::VirtualGpu => Some(2),
        DeviceType::Cpu | DeviceType::Other => None,
    };
    let mut real: Vec<_> = adapters.iter().filter_map(|adapter| Some((rank(adapter)?, adapter))).collect();
    real.sort_by_key(|(rank, _)| *rank);
    let mut reasons = Vec::new();
    for (_, adapter) in real {
        match Gpu::open(adapter) {
            Ok(gpu) => return GpuSearch::Gpu(gpu),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    if !reasons.is_empty() {
        return GpuSearch::None(reasons.join("; "));
    }
    GpuSearch::None(match adapters.first() {
        Some(software) => {
            let name = called(software);
            format!("there is only {name}, software on the same cores, which is used only if named")
        }
        None => "no driver offers one".into(),
    })
}

/// The value of a future that is ready at the first poll, as all of wgpu's are outside a browser.
pub(super) fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
