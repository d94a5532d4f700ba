//! Rays end in the same places as with a plain test of every triangle.

use crate::contest::{Race, Ray};

/// Möller and Trumbore's test, front faces only, in f64.
fn meets(triangle: &[[f32; 3]; 3], ray: &Ray) -> Option<f64> {
    let wide = |from: [f32; 3]| from.map(f64::from);
    let [a, b, c] = triangle.map(wide);
    let (origin, towards) = (wide(ray.origin), wide(ray.direction));
    let sub = |a: [f64; 3], b: [f64; 3]| [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let cross = |a: [f64; 3], b: [f64; 3]| {
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    };
    let (ab, ac) = (sub(b, a), sub(c, a));
    let p = cross(towards, ac);
    let det = dot(ab, p);
    if det <= 0.0 {
        return None;
    }
    let from = sub(origin, a);
    let (u, q) = (dot(from, p) / det, cross(from, ab));
    let v = dot(towards, q) / det;
    let at = dot(ac, q) / det;
    (u >= 0.0 && v >= 0.0 && u + v <= 1.0 && at > 0.0).then_some(at)
}

#[test]
fn rays_end_where_the_rocks_triangles_are() {
    let race = Race::new(40, 16);
    let (mut met, mut off) = (0, 0);
    for ray in race.primary.iter().chain(&race.secondary) {
        let right = race.triangles.iter().filter_map(|triangle| meets(triangle, ray)).min_by(f64::total_cmp);
        let given = race.end(ray);
        met += usize::from(right.is_some());
        // Rays along an edge may pass it on either side.
        off += usize::from((f64::from(given) - right.unwrap_or(-1.0)).abs() > 2e-3);
    }
    assert!(met > 100 && off <= 2, "{off} of {met} end elsewhere");
    assert!(race.rate(&race.primary[..64], 1) > 0.0);
    assert_eq!(race.bytes().len(), 12 + 36 * race.triangles.len() + 28 * 2 * race.primary.len());
}
