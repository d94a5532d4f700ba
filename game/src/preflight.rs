//! Looks for a display and a graphics adapter before the engine does, because the engine panics without them.

use bevy::tasks::block_on;

use crate::GameError;
use crate::cli::{Cli, QualityChoice, Screen};

/// How much is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// For software rendering: no glow pass, no smoothing, few particles.
    Low,
    /// Everything.
    High,
}

/// Finds out whether `cli.screen()` can be had on this machine, and how well it may be drawn.
pub fn check(cli: &Cli) -> Result<Quality, GameError> {
    if cli.screen() == Screen::None {
        return Ok(Quality::Low);
    }
    if cli.screen() == Screen::Window && !has_display() {
        return Err(GameError::NoDisplay);
    }
    let software = adapter_is_software().ok_or(GameError::NoAdapter)?;
    Ok(match cli.quality {
        QualityChoice::Low => Quality::Low,
        QualityChoice::Auto if software => Quality::Low,
        QualityChoice::High | QualityChoice::Auto => Quality::High,
    })
}

/// Whether an X server answers (a Wayland desktop has one too, as XWayland; this build speaks X11 only).
#[cfg(target_os = "linux")]
fn has_display() -> bool {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixStream};

    let Ok(display) = std::env::var("DISPLAY") else { return false };
    let Some(local) = display.strip_prefix("unix:").or_else(|| display.strip_prefix(':')) else {
        // A server on another machine: whether it answers shows when the window opens.
        return !display.is_empty();
    };
    let number = local.split('.').next().unwrap_or(local);
    let path = format!("/tmp/.X11-unix/X{number}");
    UnixStream::connect(&path).is_ok()
        || SocketAddr::from_abstract_name(&path)
            .is_ok_and(|address| UnixStream::connect_addr(&address).is_ok())
}

/// Elsewhere the desktop is always there.
#[cfg(not(target_os = "linux"))]
fn has_display() -> bool {
    true
}

/// Whether the adapter the engine will pick is a software renderer; `None` if there is none at all.
fn adapter_is_software() -> Option<bool> {
    let instance = wgpu::Instance::default();
    let adapter = block_on(instance.request_adapter(&wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        ..Default::default()
    }))
    .ok()?;
    Some(adapter.get_info().device_type == wgpu::DeviceType::Cpu)
}
