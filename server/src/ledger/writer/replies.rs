//! The requests that are answered once a group is durable.

use std::sync::mpsc::SyncSender;

use super::super::account::{Account, CloseReport};
use super::super::accounts::Ask;
use super::super::error::LedgerError;
use super::super::queue::{self, WriterRequest};

type Reply<T> = SyncSender<Result<T, LedgerError>>;

/// Requests that are owed an answer once a group is durable. They outlive a group that failed, so that whoever waits learns
/// of the failure only after the ledger's state says so.
#[derive(Default)]
pub(in crate::ledger) struct GroupReplies {
    pub(super) accounts: Vec<AskedAccount>,
    flushed: Vec<Reply<()>>,
    pub(super) close: Vec<Reply<CloseReport>>,
}

/// An account that was asked for, and what was found.
pub(super) struct AskedAccount {
    pub ask: Ask,
    pub found: Option<Result<Account, LedgerError>>,
    reply: queue::Reply<Account>,
}

impl GroupReplies {
    pub fn owe(&mut self, requests: &mut Vec<WriterRequest>) {
        for request in requests.drain(..) {
            match request {
                WriterRequest::Account { ask, reply } => {
                    self.accounts.push(AskedAccount { ask, found: None, reply });
                }
                WriterRequest::Flush(reply) => self.flushed.push(reply),
                WriterRequest::Close(reply) => self.close.push(reply),
            }
        }
    }

    /// Whether anyone is owed an answer.
    pub fn is_owed(&self) -> bool {
        !(self.accounts.is_empty() && self.flushed.is_empty() && self.close.is_empty())
    }

    /// Answers all requests but those to close.
    pub fn give(&mut self) {
        for asked in self.accounts.drain(..) {
            asked.reply.send(asked.found.unwrap_or(Err(LedgerError::Closed)));
        }
        for reply in self.flushed.drain(..) {
            let _ = reply.send(Ok(()));
        }
    }
}
