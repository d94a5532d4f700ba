//! Which channel each message travels on and which ranges its fields must keep: what a decoder checks before
//! anyone else sees the message.

use super::{
    Beat, ComputedBy, GameToServer, Refusal, Routed, ServerToGame, ServerToWorker, SpareToken,
    WorkerStatement, WorkerToServer,
};
use crate::channels::Channel;
use crate::limits::{
    BATCH_MAX, BLOB_BYTES_MAX, BLOBS_PER_SPEC_MAX, CONNECT_TOKEN_BYTES_MAX, DEADLINE_US_MAX, KINDS_MAX,
    NAME_BYTES_MAX, OUTCOME_BYTES_MAX, REASON_BYTES_MAX, SLOTS_PER_WORKER_MAX, SPEC_BYTES_MAX,
};
use crate::money::{Nanos, PriceList};
use crate::region::Region;
use crate::wire::Bounded;

impl Routed for GameToServer {
    fn channel(&self) -> Channel {
        match self {
            Self::Submit(_) | Self::Cancel { .. } => Channel::Tasks,
            Self::Leaving => Channel::Control,
        }
    }
}

impl Routed for ServerToGame {
    fn channel(&self) -> Channel {
        match self {
            Self::Welcome(_) | Self::Statement(_) | Self::Closing { .. } => Channel::Control,
            Self::Spare(_) => Channel::Spare,
            Self::Refused { .. } | Self::Failed { .. } | Self::Done(_) => Channel::Tasks,
        }
    }
}

impl Routed for ServerToWorker {
    fn channel(&self) -> Channel {
        match self {
            Self::Welcome(_) | Self::Statement(_) | Self::Closing { .. } => Channel::Control,
            Self::Spare(_) => Channel::Spare,
            Self::Assign(_) | Self::Revoke { .. } => Channel::Tasks,
        }
    }
}

impl Routed for WorkerToServer {
    fn channel(&self) -> Channel {
        match self {
            Self::Ready(_) | Self::Draining => Channel::Control,
            Self::Answer(_) | Self::BlobsMissing { .. } => Channel::Tasks,
        }
    }
}

fn within(len: usize, max: usize, what: &'static str) -> Result<(), &'static str> {
    if len <= max { Ok(()) } else { Err(what) }
}

fn blobs_within(blobs: &[Vec<u8>]) -> Result<(), &'static str> {
    within(blobs.len(), BLOBS_PER_SPEC_MAX, "number of blobs")?;
    blobs.iter().try_for_each(|blob| within(blob.len(), BLOB_BYTES_MAX, "bytes of a blob"))
}

fn prices_within(prices: &PriceList) -> Result<(), &'static str> {
    within(prices.nanos_per_mega_unit.len(), KINDS_MAX, "kinds in the price list")?;
    within(
        prices.graphics_nanos_per_mega_unit.len(),
        KINDS_MAX,
        "kinds with a price on graphics processors",
    )?;
    within(prices.fee_basis_points as usize, 10_000, "fee")
}

fn spare_within(spare: &SpareToken) -> Result<(), &'static str> {
    within(spare.0.len(), CONNECT_TOKEN_BYTES_MAX, "bytes of a connect token")
}

fn region_within(region: Option<Region>) -> Result<(), &'static str> {
    if region.is_none_or(|region| region.is_valid()) { Ok(()) } else { Err("region") }
}

fn worker_statement_within(statement: &WorkerStatement) -> Result<(), &'static str> {
    within(statement.verdicts.len(), BATCH_MAX, "verdicts in a statement")?;
    statement
        .verdicts
        .iter()
        .filter_map(|notice| notice.rejected.as_ref())
        .try_for_each(|reason| within(reason.len(), REASON_BYTES_MAX, "bytes of a reason"))
}

impl Bounded for GameToServer {
    fn check_bounds(&self) -> Result<(), &'static str> {
        let Self::Submit(submit) = self else { return Ok(()) };
        within(submit.spec.len(), SPEC_BYTES_MAX, "bytes of the spec")?;
        within(submit.budget_us.unwrap_or(0) as usize, DEADLINE_US_MAX as usize, "time budget")?;
        if submit.price_cap < Nanos::ZERO {
            return Err("price cap");
        }
        blobs_within(&submit.blobs)
    }
}

impl Bounded for ServerToGame {
    fn check_bounds(&self) -> Result<(), &'static str> {
        match self {
            Self::Welcome(welcome) => {
                within(welcome.name.len(), NAME_BYTES_MAX, "bytes of the name")?;
                region_within(welcome.statement.nearest_worker_region)?;
                prices_within(&welcome.prices)
            }
            Self::Statement(statement) => region_within(statement.nearest_worker_region),
            Self::Refused { refusal: Refusal::BadSpec { reason }, .. } | Self::Closing { reason } => {
                within(reason.len(), REASON_BYTES_MAX, "bytes of a reason")
            }
            Self::Refused { refusal: Refusal::BlobsMissing { missing }, .. } => {
                within(missing.len(), BLOBS_PER_SPEC_MAX, "missing blobs")
            }
            Self::Done(done) => {
                within(done.outcome.len(), OUTCOME_BYTES_MAX, "bytes of the outcome")?;
                match &done.receipt.computed_by {
                    ComputedBy::Worker(name) | ComputedBy::Cache(Some(name)) => {
                        within(name.len(), NAME_BYTES_MAX, "bytes of the name")
                    }
                    ComputedBy::Coordinator | ComputedBy::Cache(None) => Ok(()),
                }
            }
            Self::Spare(spare) => spare_within(spare),
            Self::Refused { .. } | Self::Failed { .. } => Ok(()),
        }
    }
}

impl Bounded for ServerToWorker {
    fn check_bounds(&self) -> Result<(), &'static str> {
        match self {
            Self::Welcome(welcome) => {
                within(welcome.name.len(), NAME_BYTES_MAX, "bytes of the name")?;
                prices_within(&welcome.prices)?;
                worker_statement_within(&welcome.statement)
            }
            Self::Assign(assign) => {
                within(assign.spec.len(), SPEC_BYTES_MAX, "bytes of the spec")?;
                blobs_within(&assign.blobs)
            }
            Self::Statement(statement) => worker_statement_within(statement),
            Self::Closing { reason } => within(reason.len(), REASON_BYTES_MAX, "bytes of a reason"),
            Self::Spare(spare) => spare_within(spare),
            Self::Revoke { .. } => Ok(()),
        }
    }
}

impl Bounded for WorkerToServer {
    fn check_bounds(&self) -> Result<(), &'static str> {
        match self {
            Self::Ready(offer) => {
                within(offer.kernels.len(), KINDS_MAX, "kernels offered")?;
                region_within(offer.region)?;
                if offer.slots == 0 || offer.slots > SLOTS_PER_WORKER_MAX {
                    return Err("slots");
                }
                Ok(())
            }
            Self::Answer(answer) => match &answer.result {
                Ok(outcome) => within(outcome.len(), OUTCOME_BYTES_MAX, "bytes of the outcome"),
                Err(_) => Ok(()),
            },
            Self::BlobsMissing { missing, .. } => within(missing.len(), BLOBS_PER_SPEC_MAX, "missing blobs"),
            Self::Draining => Ok(()),
        }
    }
}

impl Bounded for Beat {
    fn check_bounds(&self) -> Result<(), &'static str> {
        Ok(())
    }
}
