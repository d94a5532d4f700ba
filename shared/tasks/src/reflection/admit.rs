//! Decides which specs are computed at all: those in every range.

use super::outcome::{STREAM_BYTES_MAX, stream_bytes_max};
use super::spec::{Form, Object, ReflectionSpec, Viewpoint};
use super::{
    BOUNCES_MAX, FACE_LOG2_MAX, FACE_LOG2_MIN, LEVELS_MAX, OBJECTS_MAX, POWER_MAX, SAMPLES_MAX, SURFACES_MAX,
    VIEWPOINTS_MAX,
};
use crate::admission::{counted, refuse};
use crate::kind::SpecError;
use crate::physics::{ShapeId, ShapeKind};

/// Largest face, as a power of two, that allows any number of levels. Each number of levels needs its own
/// weights, which for the largest face take 40 MB and over a second; up to this size all numbers together
/// take 10 MB.
const ANY_LEVELS_FACE_LOG2: u8 = 5;

/// Checks every documented range.
pub(crate) fn in_range(spec: &ReflectionSpec) -> Result<(), SpecError> {
    counted("probes", 1 + spec.others.len(), 1..=VIEWPOINTS_MAX)?;
    spec.viewpoints().try_for_each(|viewpoint| viewpoint_in_range(&viewpoint))?;
    // All cubes together may take as many bytes as the largest cube alone, so that they fit into one outcome, on
    // one device and into the time of a check.
    let bytes: usize = spec.viewpoints().map(|viewpoint| stream_bytes_max(viewpoint.face_log2)).sum();
    if bytes > STREAM_BYTES_MAX {
        return refuse(format!("probes of up to {bytes} bytes where {STREAM_BYTES_MAX} are allowed"));
    }
    counted("bounces", spec.bounces.into(), 1..=BOUNCES_MAX.into())?;
    counted("surfaces", spec.surfaces.len(), 0..=SURFACES_MAX)?;
    counted("objects", spec.objects.len(), 0..=OBJECTS_MAX)?;
    if let Some(sun) = spec.sun
        && (sun.direction == [0; 3] || sun.power > POWER_MAX)
    {
        return refuse("the sun has no direction or is too strong");
    }
    if let Some(surface) = spec.surfaces.iter().position(|surface| surface.power > POWER_MAX) {
        return refuse(format!("surface {surface} glows too strongly"));
    }
    for (number, object) in spec.objects.iter().enumerate() {
        object_in_range(spec, object).or_else(|what| refuse(format!("object {number}: {what}")))?;
    }
    Ok(())
}

fn viewpoint_in_range(viewpoint: &Viewpoint) -> Result<(), SpecError> {
    let &Viewpoint { face_log2, levels, samples, .. } = viewpoint;
    counted("as the face's logarithm", face_log2.into(), FACE_LOG2_MIN.into()..=FACE_LOG2_MAX.into())?;
    counted("levels", levels.into(), 1..=LEVELS_MAX.into())?;
    if face_log2 > ANY_LEVELS_FACE_LOG2 && (2..=face_log2).contains(&levels) {
        return refuse("so large a face has one level or all");
    }
    counted("samples", samples.into(), 1..=SAMPLES_MAX.into())
}

fn object_in_range(spec: &ReflectionSpec, object: &Object) -> Result<(), &'static str> {
    if usize::from(object.surface) >= spec.surfaces.len() {
        return Err("no such surface");
    }
    match object.form {
        Form::Sphere { radius: 0 } | Form::Capsule { radius: 0, .. } => Err("no radius"),
        Form::Rock { shape, .. } if shape.0 >= ShapeId::COUNT || shape.kind() == ShapeKind::Ball => {
            Err("no such rock")
        }
        Form::Rock { rotation, .. } if !rotation.is_legal() => Err("the rotation is invalid"),
        _ => Ok(()),
    }
}
