//! Coordinators that end, in order or not, and what the next one finds.

use std::path::{Path, PathBuf};

use super::{Audit, Event, World, broken, file, open_ledger, policy, seed};
use crate::core::Core;
use crate::ledger;
use crate::restart;
use crate::simulation::auditor::{BrokenPromise, StepCause};

/// The file beside a ledger whose name has this ending.
fn beside(ledger: &Path, ending: &str) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

impl World {
    /// The coordinator dies: what it has not recorded is lost, and the next one opens the file as it is on disk.
    pub(super) fn crash(&mut self) -> Audit {
        self.unrecorded.clear();
        let (before, after) = (file(&self.folder, self.starts), file(&self.folder, self.starts + 1));
        for ending in ["", "-wal"] {
            if beside(&before, ending).exists() {
                std::fs::copy(beside(&before, ending), beside(&after, ending))
                    .map_err(|error| broken("files are copied", error))?;
            }
        }
        self.starts += 1;
        self.start()?;
        // A long world has thousands of crashes, and its files grow. Nobody has the old ones open any more.
        for ending in ["", "-wal", "-shm", ".lock"] {
            match std::fs::remove_file(beside(&before, ending)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(broken("files are removed", error));
                }
                _ => {}
            }
        }
        let recovery = self.ledger.recovery();
        if recovery.closed_in_order {
            Err(broken("a crash is noticed", format!("{recovery:?}")))
        } else {
            Ok(())
        }
    }

    /// The coordinator closes: timely tasks are given up, and everything is recorded.
    pub(super) fn restart(&mut self) -> Audit {
        self.close()?;
        self.start()?;
        let recovery = self.ledger.recovery();
        let is_fine = recovery.closed_in_order && recovery.holds_voided == 0;
        if is_fine {
            Ok(())
        } else {
            Err(broken("an end in order leaves nothing to do", format!("{recovery:?}")))
        }
    }

    fn close(&mut self) -> Audit {
        self.tell(StepCause::Other, Event::Closing { reason: "so it goes".to_owned() })?;
        self.tell(StepCause::GivingUp, Event::GivingUp)?;
        if self.core.tasks().timely_tasks().next().is_some() {
            return Err(broken("what is timely does not outlive its coordinator", "there is some left"));
        }
        self.record(usize::MAX)?;
        let report = self.ledger.close().map_err(|error| broken("the book closes", error))?;
        if report.sum.0 == 0 { Ok(()) } else { Err(broken("the books balance", format!("{report:?}"))) }
    }

    /// Another coordinator starts with what the ledger has; everybody is disconnected.
    fn start(&mut self) -> Audit {
        (self.ledger, self.reader) = open_ledger(&self.folder, self.starts, &self.now, &self.wall_s)?;
        self.slow_reads.clear();
        // Its clock has not stepped back.
        self.behind = 0;
        self.core = Core::new(
            policy(&self.setup),
            self.ledger.next_task_no(),
            seed(&self.setup, self.auditor.tally.restarts + 1),
        );
        self.connections.clear();
        self.up.clear();
        self.down.clear();
        self.held.clear();
        self.answers.clear();
        self.checks.clear();
        self.kernels.clear();
        let mut patient = self.auditor.restarted();
        self.agree()?;
        let found = restart::found(&self.ledger).map_err(|error| broken("the ledger answers", error))?;
        let mut requeued = Vec::new();
        for (_, event) in found {
            if let Event::Requeued { task, .. } = &event {
                requeued.push(task.task);
            }
            self.tell(StepCause::Other, event)?;
        }
        patient.sort_unstable();
        requeued.sort_unstable();
        let in_flight = self.core.tasks().len();
        if patient == requeued && in_flight == patient.len() {
            Ok(())
        } else {
            Err(broken(
                "patient tasks survive",
                format!("{patient:?}; found {requeued:?}, and {in_flight} are in flight"),
            ))
        }
    }

    /// The world ends: everything comes to its end, the coordinator closes, and the ledger's own check finds nothing.
    pub fn end(&mut self) -> Audit {
        self.calm()?;
        self.record(usize::MAX)?;
        self.tell_recorded()?;
        self.agree()?;
        self.core.assert_whole_state();
        self.close()?;
        let report: Result<_, BrokenPromise> = ledger::check(&file(&self.folder, self.starts))
            .map_err(|error| broken("the ledger can be checked", error));
        let report = report?;
        if report.ok { Ok(()) } else { Err(broken("the ledger's own check finds nothing", report)) }
    }
}
