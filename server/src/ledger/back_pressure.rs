//! Back-pressure of the ledger on admission: how many tasks it has room for, asked once for a whole batch of them.

use bincode::{Decode, Encode};

/// Admissions that the ledger has room for. Only the coordinator appends, so the room stays until it does; entries
/// about admitted tasks are always taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AdmissionRoom {
    /// Tasks.
    pub admissions: usize,
    /// Patient ones among them.
    pub patient: usize,
    /// Bytes of payload; the last task that finds any left may exceed them.
    pub bytes: usize,
    /// An account with this many tasks recorded one by one gets no further task admitted.
    pub tasks_per_account: u64,
}

impl AdmissionRoom {
    /// Takes the room of one task, of a patient one with `patient_bytes` of payload; false if there is none.
    pub fn take(&mut self, patient_bytes: Option<usize>) -> bool {
        if self.admissions == 0 || self.bytes == 0 || patient_bytes.is_some() && self.patient == 0 {
            return false;
        }
        self.admissions -= 1;
        if let Some(bytes) = patient_bytes {
            self.patient -= 1;
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_until_tasks_patient_ones_or_bytes_have_none_left() {
        let mut room = AdmissionRoom { admissions: 9, patient: 1, bytes: 10, tasks_per_account: 1 };
        assert!(room.take(Some(4)) && !room.take(Some(0)), "one patient task");
        assert!(room.take(None), "and others beside it");
        let mut room = AdmissionRoom { patient: 9, ..room };
        assert!(room.take(Some(100)) && !room.take(None), "no bytes are left");
    }
}
