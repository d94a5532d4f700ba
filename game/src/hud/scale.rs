//! Scales the HUD with the height of the picture, so that it is as readable in a small window as in a large one.

use bevy::prelude::*;

use crate::settings::Settings;

/// The height at which sizes are as written, in logical pixels.
const DESIGN_HEIGHT: f32 = 720.0;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, follow_height);
}

fn follow_height(camera: Single<&Camera>, settings: Res<Settings>, mut scale: ResMut<UiScale>) {
    if let Some(size) = camera.logical_target_size() {
        // Below 0.7 text of 15 pixels is no longer legible; above 4 nobody sits close enough.
        let wanted = (size.y / DESIGN_HEIGHT * f32::from(settings.display.scale) / 100.0).clamp(0.7, 4.0);
        if scale.0 != wanted {
            scale.0 = wanted;
        }
    }
}
