//! Bytes from strangers: whatever they hold, decoding neither panics nor reserves much, and every value has
//! one encoding.

use p2c2r_protocol::limits::{BLOB_BYTES_MAX, OUTCOME_BYTES_MAX, SPEC_BYTES_MAX};
use p2c2r_tasks::path::{
    Cell, Cost, GRID_SIDE_MAX, Grid, GridError, Path, PathOutcome, PathSpec, Query, QueryAnswer,
};
use p2c2r_tasks::physics::{BodyMaterial, Physics, PhysicsBase, PhysicsSpec};
use p2c2r_tasks::{Blob, Blobs, KernelError, KindRegistry, Prepared, SpecError, Stop, TaskKind};

use crate::maps;
use crate::seeded::Seeded;

fn grids() -> Vec<Grid> {
    let mut grids = vec![Grid::new(1, 1), Grid::new(1_024, 1_024), Grid::new(1_024, 1), Grid::new(1, 1_024)];
    grids.push(maps::moving_ai("arena").grid);
    grids.push(maps::moving_ai("rmtst01").grid);
    for side in [7, 8, 9, 63, 64, 65, 200] {
        grids.push(maps::noise(side, 50, 0, side.into()).grid);
        grids.push(maps::rocks(side, 10, 3, 0, side.into()).grid);
    }
    let mut full = Grid::new(65, 3);
    (0..65 * 3).for_each(|cell| full.set_blocked(Cell::new(cell % 65, cell / 65), true));
    grids.push(full);
    grids
}

#[test]
fn grids_survive_and_no_prefix_or_extension_of_one_decodes() {
    for grid in grids() {
        let bytes = grid.to_blob();
        assert_eq!(Grid::from_blob(&bytes).as_ref(), Ok(&grid));
        for cut in 0..bytes.len() {
            assert!(Grid::from_blob(&bytes[..cut]).is_err(), "{cut} of {} bytes", bytes.len());
        }
        for extra in [0, 1, 0x80, 0xff] {
            let longer = [&bytes[..], &[extra]].concat();
            assert_eq!(Grid::from_blob(&longer), Err(GridError::BadCells));
        }
    }
}

#[test]
fn the_shorter_encoding_is_taken() {
    assert!(Grid::new(1_024, 1_024).to_blob().len() < 10);
    let cluttered = maps::noise(510, 50, 0, 1).grid.to_blob();
    assert_eq!(cluttered.len(), 5 + (510usize * 510).div_ceil(8));
    assert!(cluttered.len() <= BLOB_BYTES_MAX, "any grid up to 510 by 510 must fit");
    let large = maps::noise(1_024, 50, 0, 1).grid.to_blob();
    assert!(matches!(Grid::from_blob(&large), Err(GridError::TooLarge { .. })));
}

#[test]
fn claims_of_great_size_are_refused() {
    let blob = |tag: u8, width: u16, height: u16, cells: &[u8]| {
        let header = [&[tag][..], &width.to_le_bytes(), &height.to_le_bytes()].concat();
        Grid::from_blob(&[&header[..], cells].concat())
    };
    for (width, height) in
        [(u16::MAX, u16::MAX), (GRID_SIDE_MAX + 1, 1), (1, GRID_SIDE_MAX + 1), (0, 5), (5, 0)]
    {
        for tag in [0, 1] {
            assert_eq!(blob(tag, width, height, &[]), Err(GridError::BadSize { width, height }));
        }
    }
    assert_eq!(blob(2, 8, 1, &[0]), Err(GridError::UnknownEncoding(2)));
    assert_eq!(blob(0, 7, 1, &[0x80]), Err(GridError::BadCells), "bits beyond the last cell");
    assert_eq!(blob(1, 8, 1, &[9]), Err(GridError::BadCells), "a run beyond the last cell");
    assert_eq!(blob(1, 8, 1, &[0xff, 0xff, 0xff, 0xff, 0x0f]), Err(GridError::BadCells));
    assert_eq!(blob(1, 8, 1, &[4, 0, 4]), Err(GridError::BadCells), "an empty run");
    assert_eq!(blob(1, 8, 1, &[0x84, 0, 4]), Err(GridError::BadCells), "a number in a longer form");
    assert!(blob(1, 8, 1, &[0, 8]).is_ok(), "a first run may be empty: the first cell is blocked");
}

#[test]
fn random_and_mutated_blobs_are_refused_or_usable() {
    let (mut seeded, originals) = (Seeded(11), grids());
    for round in 0..4_000 {
        let mut bytes = if round % 4 == 0 {
            let mut bytes = vec![(round / 4 % 2) as u8, seeded.below(40) as u8, 0, seeded.below(40) as u8, 0];
            bytes.extend((0..seeded.below(250)).map(|_| seeded.bits() as u8));
            bytes
        } else {
            originals[seeded.below(originals.len() as u64) as usize].to_blob()
        };
        for _ in 0..seeded.below(4) {
            let at = seeded.below(bytes.len() as u64) as usize;
            bytes[at] = seeded.bits() as u8;
        }
        bytes.truncate(BLOB_BYTES_MAX);
        let Ok(grid) = Grid::from_blob(&bytes) else { continue };
        let blob = Blob::new(bytes);
        let mut query = || Query { from: seeded.cell(&grid), to: seeded.cell(&grid) };
        let spec = PathSpec { grid: blob.digest(), queries: (0..3).map(|_| query()).collect() };
        let blobs = Blobs::new(vec![blob]);
        Path::admit(&spec, &blobs).unwrap();
        let outcome = Path::run(&spec, &blobs, &Stop::never()).unwrap();
        Path::check(&spec, &blobs, &outcome).unwrap();
    }
}

#[test]
fn a_blob_that_is_no_grid_or_not_at_hand_is_a_typed_refusal() {
    let blob = Blob::new(vec![1, 2, 3]);
    let spec =
        PathSpec { grid: blob.digest(), queries: vec![Query { from: Cell::new(0, 0), to: Cell::new(0, 0) }] };
    assert!(matches!(Path::admit(&spec, &Blobs::default()), Err(SpecError::BlobMissing(_))));
    let blobs = Blobs::new(vec![blob]);
    assert!(matches!(Path::admit(&spec, &blobs), Err(SpecError::BadBlob { .. })));
    assert!(matches!(
        Path::run(&spec, &blobs, &Stop::never()),
        Err(KernelError::Spec(SpecError::BadBlob { .. }))
    ));
}

/// Any game may name any blob as the base of its bodies. A coordinator keeps one copy of a blob for all games, so a
/// grid that is no snapshot must stay a grid: otherwise honest answers to other games would fail their check.
#[test]
fn a_grid_that_a_spec_of_another_kind_names_is_still_a_grid() {
    // Larger than the grids that admission prepares.
    let case = maps::rocks(300, 150, 12, 5, 1);
    let (spec, of_worker) = case.spec(&case.queries);
    let outcome = Path::run(&spec, &of_worker, &Stop::never()).unwrap();
    let (_, kept) = case.spec(&case.queries);
    let base = PhysicsBase { digest: spec.grid, gone: Vec::new() };
    let named = PhysicsSpec {
        base: Some(base),
        segments: 1,
        steps: 1,
        planar: false,
        walls: None,
        attractors: Vec::new(),
        materials: vec![BodyMaterial::ROCK],
        bodies: Vec::new(),
    };
    assert!(matches!(Physics::admit(&named, &kept), Err(SpecError::BadBlob { .. })));
    Path::admit(&spec, &kept).unwrap();
    Path::check(&spec, &kept, &outcome).unwrap();
    Path::deep_check(&spec, &kept, &outcome, 1).unwrap();
}

/// A program that asks whether a check begins at once asks about the forms of the check's own kind.
#[test]
fn a_blob_that_another_kind_has_prepared_is_not_prepared_for_paths() {
    struct Foreign;
    impl Prepared for Foreign {
        fn bytes(&self) -> usize {
            1
        }
    }
    let case = maps::rocks(300, 150, 12, 5, 1);
    let (spec, blobs) = case.spec(&case.queries);
    let job = KindRegistry::builtin().by_name("path").unwrap().decode(&Path::encode_spec(&spec)).unwrap();
    blobs.get(spec.grid).unwrap().prepared(|_| Ok(Foreign)).unwrap();
    job.admit(&blobs).unwrap();
    assert!(!job.is_prepared(&blobs), "admission has only surveyed so large a grid");
    assert!(!job.admission_prepares(&blobs));
    job.run(&blobs, &Stop::never()).unwrap();
    assert!(job.is_prepared(&blobs));
    assert!(!job.admission_prepares(&blobs), "what others have prepared since does not count");
}

/// Outcomes true and false: the type can hold more than any kernel gives.
fn outcomes() -> Vec<PathOutcome> {
    let found = |straight, diagonal, points: &[(u16, u16)]| QueryAnswer::Found {
        cost: Cost { straight, diagonal },
        waypoints: points.iter().map(|&(x, y)| Cell::new(x, y)).collect(),
    };
    let (far, all) = (u16::MAX, u32::MAX);
    let mut outcomes = vec![
        PathOutcome::default(),
        PathOutcome { answers: vec![QueryAnswer::Unreachable; 256] },
        PathOutcome {
            answers: vec![
                found(0, 0, &[]),
                found(all, all, &[(far, far)]),
                found(1, 2, &[(0, 0), (0, 0), (5, 1), (5, 7), (9, 3), (far, 0), (0, 0), (far, far), (0, 0)]),
                found(
                    128,
                    16_384,
                    &[(3, 9), (2, 9), (1, 10), (1, 0), (0, 1), (1, 1), (2, 2), (1, 3), (17, 3)],
                ),
            ],
        },
    ];
    for case in
        [maps::rocks(64, 30, 4, 20, 1), maps::maze(63, 20, 2), maps::moving_ai("rmtst01").shortened(200)]
    {
        let (spec, blobs) = case.spec(&case.queries);
        outcomes.push(Path::run(&spec, &blobs, &Stop::never()).unwrap());
    }
    outcomes
}

#[test]
fn outcomes_survive_and_no_prefix_or_extension_of_one_decodes() {
    for outcome in outcomes() {
        let bytes = Path::encode_outcome(&outcome);
        assert_eq!(Path::decode_outcome(&bytes).unwrap(), outcome);
        for cut in 0..bytes.len() {
            assert!(Path::decode_outcome(&bytes[..cut]).is_err());
        }
        assert!(Path::decode_outcome(&[&bytes[..], &[0]].concat()).is_err());
    }
}

#[test]
fn random_and_mutated_outcomes_are_refused_or_have_just_this_encoding() {
    let (mut seeded, originals) = (Seeded(12), outcomes());
    let originals: Vec<_> = originals.iter().map(Path::encode_outcome).collect();
    let case = maps::rocks(64, 30, 4, 20, 1);
    let (spec, blobs) = case.spec(&case.queries);
    let mut decoded = 0;
    for round in 0..30_000 {
        let mut bytes = if round % 3 == 0 {
            (0..seeded.below(60)).map(|_| (seeded.bits() >> seeded.below(60)) as u8).collect()
        } else {
            originals[seeded.below(originals.len() as u64) as usize].clone()
        };
        for _ in 0..=seeded.below(3) {
            if !bytes.is_empty() {
                let at = seeded.below(bytes.len() as u64) as usize;
                bytes[at] = seeded.bits() as u8;
            }
        }
        if let Ok(outcome) = Path::decode_outcome(&bytes) {
            assert_eq!(Path::encode_outcome(&outcome), bytes, "round {round}");
            // Mostly false; judging must never panic.
            let _ = Path::check(&spec, &blobs, &outcome);
            let _ = Path::deep_check(&spec, &blobs, &outcome, round);
            decoded += 1;
        }
    }
    assert!(decoded > 1_000, "only {decoded} outcomes decoded: too few for this test");
}

#[test]
fn counts_without_elements_are_refused() {
    for bytes in
        [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0x81, 0x02], &[1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0]]
    {
        assert!(Path::decode_outcome(bytes).is_err());
    }
    assert!(Path::decode_outcome(&vec![0; OUTCOME_BYTES_MAX + 1]).is_err());
    let mut spec = vec![7; 32];
    spec.extend([253, 255, 255, 255, 255, 255, 255, 255, 255]);
    assert!(Path::decode_spec(&spec).is_err());
    assert!(Path::decode_spec(&vec![0; SPEC_BYTES_MAX + 1]).is_err());
}

#[test]
fn specs_survive_and_random_ones_are_refused_or_judged() {
    let mut seeded = Seeded(13);
    let case = maps::rocks(64, 30, 4, 20, 1);
    let (spec, blobs) = case.spec(&case.queries);
    let original = Path::encode_spec(&spec);
    assert_eq!(Path::decode_spec(&original).unwrap(), spec);
    for _ in 0..10_000 {
        let mut bytes = original.clone();
        for _ in 0..=seeded.below(3) {
            // The digest stays, so that what decodes also reaches the grid.
            let at = 32 + seeded.below(bytes.len() as u64 - 32) as usize;
            bytes[at] = seeded.bits() as u8;
        }
        if let Ok(spec) = Path::decode_spec(&bytes) {
            assert_eq!(Path::admit(&spec, &blobs).is_ok(), Path::run(&spec, &blobs, &Stop::never()).is_ok());
        }
    }
}

#[test]
fn paths_too_long_for_an_outcome_fail_alike_everywhere() {
    let case = maps::maze(401, 256, 3);
    let (spec, blobs) = case.spec(&case.queries);
    Path::admit(&spec, &blobs).unwrap();
    let failed = Path::run(&spec, &blobs, &Stop::never()).unwrap_err();
    assert_eq!(failed, KernelError::OutOfFuel);
    let (spec, blobs) = case.spec(&case.queries[..20]);
    let bytes = Path::encode_outcome(&Path::run(&spec, &blobs, &Stop::never()).unwrap());
    Path::check(&spec, &blobs, &Path::decode_outcome(&bytes).unwrap()).unwrap();
}
