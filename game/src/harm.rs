//! What the player is told about a lost ship: what destroyed it, and what to do against that.

use p2c2r_arena::{EnemyRole, Harm};

/// One sentence that stands below a title: what destroyed the ship, and what to do against it.
pub(crate) fn lesson(by: Harm) -> &'static str {
    match by {
        Harm::Rammed(EnemyRole::Rammer) => "A rammer flew into you: one bolt stops it.",
        Harm::Rammed(EnemyRole::Gunner) => "You touched a gunner: keep your distance, two bolts stop it.",
        Harm::Rammed(EnemyRole::Carrier) => "You touched a carrier: shoot it from afar.",
        Harm::Rammed(EnemyRole::Boss) => "You touched the boss: fly around it, and fire from behind.",
        Harm::Shot => "A bolt hit you: keep moving, with a rock in between.",
        Harm::Reflected => "The boss's mirrors threw a bolt back: fly around it.",
        Harm::Crashed => "You flew into a rock too fast: brake, or turn away in time.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_a_lesson_of_its_own() {
        let all = [
            Harm::Rammed(EnemyRole::Rammer),
            Harm::Rammed(EnemyRole::Gunner),
            Harm::Rammed(EnemyRole::Carrier),
            Harm::Rammed(EnemyRole::Boss),
            Harm::Shot,
            Harm::Reflected,
            Harm::Crashed,
        ]
        .map(lesson);
        for (index, words) in all.iter().enumerate() {
            assert!(words.contains(':') && !all[..index].contains(words), "{words}");
        }
    }
}
