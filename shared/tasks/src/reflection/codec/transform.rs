//! The cosine transform (DCT-II, orthonormal) of squares of 1, 2, 4 or 8, as plain products in a stated order, so
//! that its roundings are the same everywhere.

/// Cosines of multiples of a sixteenth of half a turn.
const COSINES: [f32; 9] = [
    1.0,
    0.980_785_3,
    0.923_879_5,
    0.831_469_6,
    std::f32::consts::FRAC_1_SQRT_2,
    0.555_570_2,
    0.382_683_43,
    0.195_090_32,
    0.0,
];

const fn cosine(sixteenths: usize) -> f32 {
    match sixteenths % 32 {
        way @ 0..=8 => COSINES[way],
        way @ 9..=16 => -COSINES[16 - way],
        way @ 17..=24 => -COSINES[way - 16],
        way => COSINES[32 - way],
    }
}

/// `[k][x]`: the value at place `x` of the `k`th wave over `N` places, of length one.
const fn waves<const N: usize>() -> [[f32; N]; N] {
    let mut waves = [[0.0; N]; N];
    // The square roots of 1/N and 2/N.
    let (flat, wave) = match N {
        1 => (1.0, 1.0),
        2 => (COSINES[4], 1.0),
        4 => (0.5, COSINES[4]),
        _ => (0.5 * COSINES[4], 0.5),
    };
    let mut k = 0;
    while k < N {
        let mut x = 0;
        while x < N {
            waves[k][x] = cosine((2 * x + 1) * k * (8 / N)) * if k == 0 { flat } else { wave };
            x += 1;
        }
        k += 1;
    }
    waves
}

/// `out[row][column] = Σ in[row][i] · waves[i][column]`, transposed, twice: rows, then columns. Each sum from the first `i`
/// to the last; all columns of a row at once, which are a vector.
fn both_ways<const N: usize>(square: &mut [f32], waves: &[[f32; N]; N]) {
    for _ in 0..2 {
        let mut out = [[0.0f32; N]; N];
        for (row, values) in square.chunks_exact(N).enumerate() {
            let mut sums = [0.0f32; N];
            for (value, wave) in values.iter().zip(waves) {
                for (sum, wave) in sums.iter_mut().zip(wave) {
                    *sum += value * wave;
                }
            }
            for (column, sum) in sums.into_iter().enumerate() {
                out[column][row] = sum;
            }
        }
        square.copy_from_slice(out.as_flattened());
    }
}

const fn transposed<const N: usize>(waves: [[f32; N]; N]) -> [[f32; N]; N] {
    let mut out = [[0.0; N]; N];
    let mut k = 0;
    while k < N {
        let mut x = 0;
        while x < N {
            out[x][k] = waves[k][x];
            x += 1;
        }
        k += 1;
    }
    out
}

const EIGHT: [[f32; 8]; 8] = waves();
const FOUR: [[f32; 4]; 4] = waves();
const TWO: [[f32; 2]; 2] = waves();

/// From values to coefficients, in place: `square` is row-major, `size` (1, 2, 4 or 8) its edge.
pub(super) fn forward(square: &mut [f32], size: usize) {
    match size {
        8 => both_ways(square, &const { transposed(EIGHT) }),
        4 => both_ways(square, &const { transposed(FOUR) }),
        2 => both_ways(square, &const { transposed(TWO) }),
        _ => {}
    }
}

/// Undoes [`forward`].
pub(super) fn backward(square: &mut [f32], size: usize) {
    match size {
        8 => both_ways(square, &EIGHT),
        4 => both_ways(square, &FOUR),
        2 => both_ways(square, &TWO),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transform_keeps_lengths_and_is_undone() {
        for size in [1, 2, 4, 8] {
            let values: Vec<f32> = (0..size * size).map(|i| ((i * 7919) % 101) as f32 / 50.0 - 1.0).collect();
            let mut square = values.clone();
            forward(&mut square, size);
            let length = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>();
            assert!((length(&square) - length(&values)).abs() < 1e-4);
            let mean = values.iter().sum::<f32>() / values.len() as f32;
            assert!((square[0] - size as f32 * mean).abs() < 1e-5);
            backward(&mut square, size);
            assert!(square.iter().zip(&values).all(|(a, b)| (a - b).abs() < 1e-5), "{square:?}");
        }
        // A wave along rows is one coefficient in the first row.
        let mut square: Vec<f32> =
            (0..64).map(|i| (std::f32::consts::PI / 16.0 * ((2 * (i % 8) + 1) * 3) as f32).cos()).collect();
        forward(&mut square, 8);
        assert!((square[3].abs() - 4.0 * 2f32.sqrt()).abs() < 1e-5, "{square:?}");
        assert!(square.iter().enumerate().all(|(i, c)| i == 3 || c.abs() < 1e-5));
    }
}
