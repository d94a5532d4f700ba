//! What a restart finds: holds that a crash left open, patient tasks to queue again, outcomes for the cache.

use p2c2r_protocol::{Attempt, Digest, KindId, Nanos, TaskId, TaskNo, WorkUnits};
use rusqlite::{Connection, OptionalExtension as _, Result};

use super::account::{CachedOutcome, PatientTask, Recovery};
use super::accounts::load_account;
use super::book::{Book, OpenTask, Try};
use super::entry::{AccountId, Admission, Entry, PatientPayload, Verdict, VoidReason, verdict};
use super::meta::{closing, timing};
use super::options::TASK_NO_GAP;
use super::outcomes::KeptOutcomes;
use super::queue::Batch;
use super::sql::{Statements, split_blobs};
use super::writer::{GroupReplies, WriterState};

/// What recovery hands to the coordinator.
pub(super) struct Recovered {
    pub recovery: Recovery,
    pub next_task_no: TaskNo,
    pub outcomes: Vec<CachedOutcome>,
    pub patient: Vec<PatientTask>,
}

/// Voids open holds of timely tasks, ends attempts that were running, and collects patient tasks and outcomes.
pub(super) fn recover(connection: &Connection, writer: &mut WriterState) -> Result<Recovered> {
    let closed_in_order = matches!(closing::read(connection)?, None | Some(closing::IN_ORDER | closing::NEW));
    let newest: Option<i64> = connection.query_row("SELECT max(no) FROM tasks", [], |row| row.get(0))?;
    // Task numbers skipped after a crash stay skipped, even if the ledger is closed in order later.
    let floor = connection
        .query_row("SELECT value FROM meta WHERE name = 'task_no_floor'", [], |row| row.get::<_, i64>(0))
        .optional()?;
    let gap = if closed_in_order { 0 } else { TASK_NO_GAP };
    let newest = newest.unwrap_or(0).max(writer.folding.checkpoint().task);
    let next_task_no = TaskNo((newest + 1).max(floor.unwrap_or(1)) as u64 + gap);
    closing::write(connection, closing::OPEN)?;
    timing::write_opened(connection, writer.opened_ms, writer.options.clock.boot())?;
    connection.execute(
        "INSERT OR REPLACE INTO meta (name, value) VALUES ('task_no_floor', ?1)",
        [next_task_no.0 as i64],
    )?;

    let patient = read_open_tasks(connection, &mut writer.book)?;
    let mut entries = Vec::new();
    let mut holds_voided = 0;
    for (number, task) in &writer.book.open {
        let no = TaskNo(*number);
        let kind = task.admission.kind;
        entries.extend(task.tries.iter().filter(|made| made.verdict == verdict::RUNNING).map(|made| {
            Entry::AttemptEnded {
                task: no,
                kind,
                attempt: Attempt(made.number.into()),
                verdict: Verdict::Lost,
            }
        }));
        if !task.patient {
            holds_voided += 1;
            entries.push(Entry::TaskVoided { task: no, reason: VoidReason::Crashed });
        }
    }
    let mut sql = Statements::prepare(connection)?;
    let mut batch = Batch { entries, ..Batch::default() };
    writer.write_group(&mut sql, &mut batch, &mut GroupReplies::default(), &|| true)?;
    writer.book.patient_closed = 0;
    writer.book.take_changed();
    writer.entries = 0;
    writer.groups_written = 0;
    let outcomes = KeptOutcomes::newest(connection, &writer.options, writer.now_ms())?;
    let recovery = Recovery {
        closed_in_order,
        holds_voided,
        patient_tasks: patient.len() as u64,
        outcomes: outcomes.len() as u64,
    };
    Ok(Recovered { recovery, next_task_no, outcomes, patient })
}

/// Brings every open task into memory; returns the patient ones with what is needed to queue them.
fn read_open_tasks(connection: &Connection, book: &mut Book) -> Result<Vec<PatientTask>> {
    let mut select = connection.prepare(
        "SELECT t.no, t.gamer, t.game_task, t.kind, t.kernel_version, t.key, t.units, t.price, t.price_list,
             p.spec, p.blobs
         FROM tasks t LEFT JOIN patient p ON p.task = t.no
         WHERE t.state = 1 ORDER BY t.no",
    )?;
    let mut rows = select.query([])?;
    let mut patient = Vec::new();
    while let Some(row) = rows.next()? {
        let admission = Admission {
            task: TaskNo(row.get::<_, i64>(0)? as u64),
            gamer: AccountId(row.get(1)?),
            game_task: TaskId(row.get::<_, i64>(2)? as u64),
            kind: KindId(row.get(3)?),
            kernel_version: row.get(4)?,
            key: Digest(row.get(5)?),
            units: WorkUnits(row.get::<_, i64>(6)? as u64),
            price: Nanos(row.get(7)?),
            price_list: row.get(8)?,
            patient: None,
        };
        load_account(connection, book, admission.gamer)?;
        let tries = read_tries(connection, book, admission.task)?;
        // A task whose payload is unreadable counts as timely: its hold is voided.
        let blobs = row.get_ref(10)?.as_blob_or_null()?.and_then(split_blobs);
        let payload = row.get_ref(9)?.as_blob_or_null()?.zip(blobs);
        if let Some((spec, blobs)) = &payload {
            let payload = PatientPayload { spec: (*spec).into(), blobs: blobs.clone() };
            patient.push(patient_task(&admission, &tries, payload));
        }
        let task = OpenTask {
            patient: payload.is_some(),
            recorded: true,
            touched: false,
            tries: tries.into(),
            end: None,
            admission,
        };
        book.open.insert(task.admission.task.0, task);
    }
    Ok(patient)
}

fn read_tries(connection: &Connection, book: &mut Book, task: TaskNo) -> Result<Vec<Try>> {
    let first = (task.0 as i64) << 8;
    let mut select =
        connection.prepare_cached("SELECT id, worker, verdict FROM attempts WHERE id BETWEEN ?1 AND ?2")?;
    let mut rows = select.query([first, first | 255])?;
    let mut tries = Vec::new();
    while let Some(row) = rows.next()? {
        let worker = row.get::<_, Option<i64>>(1)?.map(AccountId);
        if let Some(worker) = worker {
            load_account(connection, book, worker)?;
        }
        let verdict = row.get(2)?;
        tries.push(Try {
            number: (row.get::<_, i64>(0)? & 255) as u8,
            worker,
            recorded: Some(verdict),
            verdict,
            reason: None,
        });
    }
    Ok(tries)
}

fn patient_task(admission: &Admission, tries: &[Try], payload: PatientPayload) -> PatientTask {
    PatientTask {
        task: admission.task,
        gamer: admission.gamer,
        game_task: admission.game_task,
        kind: admission.kind,
        kernel_version: admission.kernel_version,
        key: admission.key,
        units: admission.units,
        price: admission.price,
        price_list: admission.price_list,
        next_attempt: Attempt(tries.iter().map(|made| u32::from(made.number)).max().unwrap_or(0) + 1),
        payload,
    }
}
