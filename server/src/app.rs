//! The coordinator's app.

use bevy_app::{App, Plugin};
use p2c2r_link::ServerTransport;

use crate::config::ServerConfig;
use crate::error::ServerError;

/// Everything the coordinator is, but for the link.
pub struct CoordinatorPlugins {
    /// Its settings.
    pub config: ServerConfig,
}

impl Plugin for CoordinatorPlugins {
    fn build(&self, app: &mut App) {
        let _ = app;
    }
}

/// Builds the coordinator over the given transport. Tests build the very same app with a
/// [`MemoryHub`](p2c2r_link::MemoryHub) and manual time; the program adds
/// [`EventDrivenPlugin`](p2c2r_link::EventDrivenPlugin) and runs it.
pub fn build_app(config: ServerConfig, transport: ServerTransport) -> Result<App, ServerError> {
    config.validate()?;
    let mut app = App::new();
    let _ = transport;
    app.add_plugins(CoordinatorPlugins { config });
    Ok(app)
}
