//! Equal specs give equal fields, whole or as changes, and on every machine.

use p2c2r_protocol::Digest;
use p2c2r_tasks::lightfield::{Lightfield, LightfieldSpec, Probes};
use p2c2r_tasks::{Blobs, TaskKind as _};

use crate::fields::{arena, based, field, later, listed, run};

/// One of each sort.
pub fn cases() -> Vec<(&'static str, LightfieldSpec)> {
    vec![
        ("arena", arena(60, 16, 1)),
        ("sky", arena(0, 0, 2)),
        ("list", listed(3)),
        ("deep", LightfieldSpec { bounces: 8, paths: 16, ..arena(120, 30, 4) }),
        (
            "layers",
            LightfieldSpec {
                probes: Probes::Grid { origin: [-640, -300, -640], spacing: 150, counts: [9, 4, 9] },
                sun: None,
                ..arena(20, 12, 5)
            },
        ),
    ]
}

#[test]
fn on_repeat_and_whatever_the_base() {
    for (name, spec) in cases() {
        let whole = run(&spec, &Blobs::default());
        assert_eq!(whole, run(&spec, &Blobs::default()), "{name}");
        let ours = field(&spec);
        assert_eq!(ours.count(), spec.probes.count());
        for base in [field(&later(&spec)), ours.clone()] {
            let (changed, blobs) = based(&spec, &base);
            let outcome = run(&changed, &blobs);
            assert_eq!(outcome.unfold(&changed, &blobs).unwrap(), ours, "{name}");
        }
        for number in 0..ours.count() {
            let up = ours.probe(number).irradiance_over_pi([0.0, 1.0, 0.0]);
            assert!(up.iter().all(|part| part.is_finite() && *part >= 0.0), "{name}: {up:?}");
        }
    }
}

#[test]
fn unchanged_light_takes_hardly_any_bytes() {
    let before = arena(60, 16, 1);
    let whole = run(&before, &Blobs::default()).bytes();
    let (still, blobs) = based(&before, &field(&before));
    assert!(run(&still, &blobs).bytes() < 40);
    let (moved, blobs) = based(&later(&before), &field(&before));
    let changes = run(&moved, &blobs).bytes();
    println!("256 probes: {whole} bytes whole, {changes} where one thing moved");
    assert!(2 * changes < whole, "{changes} of {whole} bytes");
}

#[test]
fn light_comes_from_where_the_lamp_is() {
    let mut spec = arena(0, 1, 1);
    spec.sun = None;
    let lamp = spec.objects.last_mut().unwrap();
    (lamp.position, lamp.surface) = ([0, 64, 0], 5);
    lamp.form = p2c2r_tasks::reflection::Form::Sphere { radius: 128 };
    spec.paths = 512;
    let field = field(&spec);
    // Four metres beside it in x: the ninth of the row, the seventh is as far on the other side.
    let towards = |number: usize| field.probe(number).towards[0][0] / field.probe(number).mean[0];
    let row = 16 * 7;
    let (left, right) = ((0..8).map(|x| towards(row + x)), (8..16).map(|x| towards(row + x)));
    assert!(left.fold(0.0, f32::max) > 0.3 && right.fold(0.0, f32::min) < -0.3);
}

/// All arithmetic is + - * / and square roots of `f32`, in one order, so these digests hold on every machine
/// whose `f32` is IEEE 754's. A change of a digest must raise the kernel's version.
#[test]
fn golden() {
    let digest = |spec: &LightfieldSpec| {
        let bytes = Lightfield::encode_outcome(&run(spec, &Blobs::default()));
        Digest::of(&bytes).to_string()[..16].to_string()
    };
    let mut found: Vec<_> = cases().iter().map(|(name, spec)| (*name, digest(spec))).collect();
    let (changed, blobs) = based(&later(&cases()[0].1), &field(&cases()[0].1));
    let bytes = Lightfield::encode_outcome(&run(&changed, &blobs));
    found.push(("changes", Digest::of(&bytes).to_string()[..16].to_string()));
    let right = [
        ("arena", "fac5c07ebf2894a1"),
        ("sky", "49bc95b25c1dd424"),
        ("list", "eacf89763e4bf65c"),
        ("deep", "405fcd59952b6795"),
        ("layers", "1d2376f0dba470af"),
        ("changes", "118ca16b2470cda6"),
    ];
    assert_eq!(found, right.map(|(name, digest)| (name, digest.to_string())));
}
