//! Other ways to pack a cube, measured beside the codec.

use p2c2r_tasks::reflection::{CubeMap, FACES, LUMINANCE, RADIANCE_FLOOR, ReflectionOutcome};

use crate::contest::{psnr, timed};

/// The figures of packing the sharp level one way.
pub struct Way {
    pub name: &'static str,
    pub bytes: f64,
    pub psnr: f64,
    /// Packing and unpacking, microseconds; `None` if only the size is estimated.
    pub us: Option<(f64, f64)>,
}

/// The codec of this crate and its rivals on the sharp level of one cube.
pub fn ways(cube: &CubeMap, repeats: u32) -> Vec<Way> {
    let (pack, outcome) = timed(repeats, || ReflectionOutcome::of(1, cube));
    let (unpack, probe) = timed(repeats, || outcome.unfold().unwrap().remove(0));
    let bytes = outcome.bytes() as f64;
    let ours = Way {
        name: "transform and range coder",
        bytes,
        psnr: psnr(std::slice::from_ref(cube), &probe.levels),
        us: Some((pack, unpack)),
    };
    // The first step gives about the codec's PSNR where there are edges, the second where there are none.
    let coarse = predicted(cube, "predicted from neighbours, 0.35 octaves", 0.35);
    let fine = predicted(cube, "predicted from neighbours, 0.12 octaves", 0.12);
    vec![ours, deflated(cube, repeats), coarse, fine]
}

/// Shared exponents (the GPU format `Rgb9e5Ufloat`), planes of bytes one after the other, deflated at level 8.
fn deflated(cube: &CubeMap, repeats: u32) -> Way {
    let (pack, packed) = timed(repeats, || {
        let words: Vec<u32> = cube.texels().iter().map(|texel| rgb9e5(*texel)).collect();
        let planes: Vec<u8> =
            (0..4).flat_map(|plane| words.iter().map(move |word| (word >> (8 * plane)) as u8)).collect();
        miniz_oxide::deflate::compress_to_vec(&planes, 8)
    });
    let (unpack, decoded) = timed(repeats, || {
        let planes = miniz_oxide::inflate::decompress_to_vec(&packed).unwrap();
        let mut cube = CubeMap::black(cube.face());
        let count = cube.texels().len();
        for (place, texel) in cube.texels_mut().iter_mut().enumerate() {
            let byte = |plane: usize| u32::from(planes[plane * count + place]) << (8 * plane);
            *texel = of_rgb9e5(byte(0) | byte(1) | byte(2) | byte(3));
        }
        cube
    });
    let psnr = psnr(std::slice::from_ref(cube), &[decoded]);
    Way { name: "RGB9E5, deflated", bytes: packed.len() as f64, psnr, us: Some((pack, unpack)) }
}

fn rgb9e5(texel: [f32; 3]) -> u32 {
    let largest = texel.iter().copied().fold(0.0f32, f32::max).max(2f32.powi(-16));
    let exponent = largest.log2().floor() as i32 + 1;
    let word = |value: f32| (value / 2f32.powi(exponent - 9)).round().min(511.0) as u32;
    word(texel[0]) | word(texel[1]) << 9 | word(texel[2]) << 18 | ((exponent + 15) as u32) << 27
}

fn of_rgb9e5(word: u32) -> [f32; 3] {
    let scale = 2f32.powi((word >> 27) as i32 - 15 - 9);
    [0, 9, 18].map(|place| (word >> place & 511) as f32 * scale)
}

/// Step of roots of shares.
const SHARE_STEP: f64 = 0.1;

/// The same quantities as the codec's, but rounded texel by texel and predicted from their neighbours (the
/// median of LOCO-I), with colour at half the resolution. The size is what an ideal adaptive arithmetic coder
/// takes, with eight contexts by how much the neighbours vary.
fn predicted(cube: &CubeMap, name: &'static str, step: f64) -> Way {
    let face = cube.face() as usize;
    let mut decoded = CubeMap::black(cube.face());
    let mut bits = 0.0;
    let mut planes = [Adaptive::default(), Adaptive::default(), Adaptive::default()];
    for side in 0..FACES {
        let parts = |x: usize, y: usize| {
            let texel = cube.texels()[cube.index(side, x as u32, y as u32)];
            [0, 1, 2].map(|c| f64::from(texel[c] * LUMINANCE[c]))
        };
        let level =
            |x: usize, y: usize| (parts(x, y).iter().sum::<f64>() + f64::from(RADIANCE_FLOOR)).log2() + 12.0;
        let levels = rounded(face, step, level);
        bits += planes[0].bits(face, &levels);
        let half = (face / 2).max(1);
        let shares = [0, 2].map(|channel| {
            rounded(half, SHARE_STEP, |x, y| {
                let (mut part, mut all) = (0.0, 1e-9);
                for near in 0..4 {
                    let parts = parts((2 * x + near % 2).min(face - 1), (2 * y + near / 2).min(face - 1));
                    part += parts[channel];
                    all += parts.iter().sum::<f64>();
                }
                (part / all).sqrt()
            })
        });
        bits += planes[1].bits(half, &shares[0]) + planes[2].bits(half, &shares[1]);
        for (place, rounded) in levels.iter().enumerate() {
            let (x, y) = (place % face, place / face);
            let luminance = (f64::from(*rounded) * step - 12.0).exp2() - f64::from(RADIANCE_FLOOR);
            let at = decoded.index(side, x as u32, y as u32);
            // Only the luminance is compared.
            decoded.texels_mut()[at] = [luminance.max(0.0) as f32; 3];
        }
    }
    let psnr = psnr(std::slice::from_ref(cube), &[decoded]);
    Way { name, bytes: bits / 8.0, psnr, us: None }
}

fn rounded(edge: usize, step: f64, value: impl Fn(usize, usize) -> f64) -> Vec<i32> {
    (0..edge * edge).map(|place| (value(place % edge, place / edge) / step).round() as i32).collect()
}

/// How often each difference was seen, per context.
struct Adaptive(Vec<[f64; 257]>);

impl Default for Adaptive {
    fn default() -> Self {
        // Small differences are likelier before any was seen.
        let first = std::array::from_fn(|n| 2.0 * (-0.7 * (n as f64 - 128.0).abs()).exp() + 0.002);
        Self(vec![first; 8])
    }
}

impl Adaptive {
    fn bits(&mut self, edge: usize, values: &[i32]) -> f64 {
        let mut bits = 0.0;
        for place in 0..values.len() {
            let (x, y) = (place % edge, place / edge);
            let at = |dx: usize, dy: usize| {
                if x < dx || y < dy { None } else { Some(values[place - dy * edge - dx]) }
            };
            let left = at(1, 0).or(at(0, 1)).unwrap_or(0);
            let up = at(0, 1).unwrap_or(left);
            let corner = at(1, 1).unwrap_or(up);
            let expected = (left + up - corner).clamp(left.min(up), left.max(up));
            let restless = ((left - corner).abs() + (up - corner).abs()).min(7) as usize;
            let counts = &mut self.0[restless];
            let symbol = (values[place] - expected + 128).clamp(0, 256) as usize;
            bits -= (counts[symbol] / counts.iter().sum::<f64>()).log2();
            counts[symbol] += 1.0;
        }
        bits
    }
}
