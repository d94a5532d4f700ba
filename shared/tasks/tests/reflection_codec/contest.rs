//! Bytes, error and speed: the figures by which the codec is chosen, for the bench and the tests.

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use p2c2r_tasks::reflection::{CubeMap, LUMINANCE, Probe, RADIANCE_FLOOR, ReflectionOutcome};

/// Octaves of a texel's luminance above nothing, as the codec takes it.
pub fn level(texel: [f32; 3]) -> f64 {
    let luminance: f32 = texel.iter().zip(LUMINANCE).map(|(c, share)| c * share).sum();
    f64::from(luminance.max(0.0) + RADIANCE_FLOOR).log2()
}

/// Peak signal to noise ratio of log-luminance, in decibels. The peak is the range that the original itself has
/// (at least one octave), which is stricter than the 24 octaves that the codec can hold.
pub fn psnr(original: &[CubeMap], decoded: &[CubeMap]) -> f64 {
    let texels = |cubes: &'_ [CubeMap]| -> Vec<f64> {
        cubes.iter().flat_map(|cube| cube.texels().iter().map(|texel| level(*texel))).collect()
    };
    let (original, decoded) = (texels(original), texels(decoded));
    assert_eq!(original.len(), decoded.len());
    let mean =
        original.iter().zip(&decoded).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() / original.len() as f64;
    let range =
        original.iter().copied().fold(f64::MIN, f64::max) - original.iter().copied().fold(f64::MAX, f64::min);
    10.0 * (range.max(1.0).powi(2) / mean.max(1e-12)).log10()
}

/// Least time of `repeats`, in microseconds, and the result.
pub fn timed<T>(repeats: u32, mut work: impl FnMut() -> T) -> (f64, T) {
    let mut best = f64::MAX;
    loop {
        let mut result = None;
        for _ in 0..repeats {
            let start = Instant::now();
            result = Some(black_box(work()));
            best = best.min(start.elapsed().as_secs_f64() * 1e6);
        }
        if let Some(result) = result {
            return (best, result);
        }
    }
}

pub struct Row {
    pub name: String,
    pub face: u32,
    pub bytes: usize,
    pub base_bytes: usize,
    pub psnr: f64,
    pub filter_us: f64,
    pub of_us: f64,
    pub parallel_us: f64,
    pub unfold_us: f64,
    pub base_unfold_us: f64,
}

pub fn contest(name: &str, cube: &CubeMap, repeats: u32) -> Row {
    let levels = cube.face().ilog2() as u8 + 1;
    let (filter_us, original) = timed(repeats, || Probe::filtered(cube.clone(), levels));
    let (of_us, outcome) = timed(repeats, || ReflectionOutcome::of(levels, cube));
    let (parallel_us, parallel) = timed(repeats, || ReflectionOutcome::of_parallel(levels, cube));
    assert!(parallel == outcome, "{name}: threads make no difference");
    let base = ReflectionOutcome::of(1, cube);
    let (unfold_us, probe) = timed(repeats, || outcome.unfold().unwrap().remove(0));
    let (base_unfold_us, sharp) = timed(repeats, || base.unfold().unwrap().remove(0));
    // The wildest of the largest cubes travel with coarser steps if they have all their levels.
    let is_same = sharp.levels[0] == probe.levels[0];
    assert!(is_same || name == "wild", "{name}: the sharp level does not depend on the others");
    Row {
        name: name.into(),
        face: cube.face(),
        bytes: outcome.bytes(),
        base_bytes: base.bytes(),
        psnr: psnr(&original.levels, &probe.levels),
        filter_us,
        of_us,
        parallel_us,
        unfold_us,
        base_unfold_us,
    }
}

pub fn table(rows: &[Row]) -> String {
    let mut table = String::from(
        "| cube | face | bytes | sharp alone | dB | filter us | filter and pack us | the same, all cores | unfold us | unfold sharp us |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {:.1} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} |",
            row.name,
            row.face,
            row.bytes,
            row.base_bytes,
            row.psnr,
            row.filter_us,
            row.of_us,
            row.parallel_us,
            row.unfold_us,
            row.base_unfold_us
        );
    }
    table
}
