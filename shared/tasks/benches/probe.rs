//! The codec and the filter of the kind `reflection`: `cargo bench -p p2c2r_tasks --bench probe`.
//!
//! "bytes" is a whole outcome with all levels, "sharp alone" one without filtered levels, "dB" the peak signal to noise
//! ratio on log-luminance over all levels against the filtered original. All times are the least of the repeats.

#[path = "../tests/reflection_codec/contest.rs"]
mod contest;
#[path = "../tests/reflection_codec/skies.rs"]
mod skies;

fn main() {
    // `cargo bench` says so; `cargo test --benches` does not, and wants to be done soon.
    let whole = std::env::args().any(|word| word == "--bench");
    let (faces, repeats): (&[u32], _) = if whole { (&[16, 32, 64, 128], 15) } else { (&[8], 1) };
    let rows: Vec<_> = faces
        .iter()
        .flat_map(|&face| skies::all(face))
        .map(|(name, cube)| contest::contest(name, &cube, repeats))
        .collect();
    println!("{}", contest::table(&rows));
}
