//! What a coordinator takes over from the one before it, read from the ledger.

use p2c2r_protocol::Micros;
use tracing::info;

use crate::core::Event;
use crate::error::ServerError;
use crate::ledger::Ledger;

/// Outcomes to reuse and patient tasks to queue again, as events for the core. The oldest outcome comes first, because the
/// cache evicts in insertion order.
pub fn found(ledger: &Ledger) -> Result<Vec<(Micros, Event)>, ServerError> {
    let outcomes = ledger.take_cached_outcomes();
    let mut events: Vec<Event> = outcomes.into_iter().rev().map(Event::Kept).collect();
    let patient = ledger.take_patient_tasks();
    if !patient.is_empty() {
        info!(tasks = patient.len(), "patient tasks from before wait for a worker");
    }
    for task in patient {
        let account = Box::new(ledger.account(task.gamer)?);
        events.push(Event::Requeued { task: Box::new(task), account });
    }
    Ok(events.into_iter().map(|event| (Micros(0), event)).collect())
}
