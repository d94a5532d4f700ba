//! The source of a client's connect tokens.
//!
//! Every try to connect takes a fresh token. Getting one may take a name look-up and a few round trips over
//! HTTPS, so it never happens on the app's thread: the dialer asks, goes on updating, and finds the answer
//! later.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use crate::{LinkProblem, Waker, problem};

/// Gets connect tokens for one account.
pub trait TokenSource: fmt::Debug + Send + Sync + 'static {
    /// Starts to get one and returns at once; `answer` may be given later, from any thread. An answer that is
    /// dropped counts as a failure.
    fn ask(&self, answer: TokenAnswer);

    /// The server of an [`Access`] that this source gave did not answer over UDP. A source that knows other places
    /// of the coordinator tries those first from now on.
    fn not_over_udp(&self, _server: SocketAddr) {}

    /// The address of this machine that connections leave from; `None` lets the system choose.
    fn leaves_from(&self) -> Option<IpAddr> {
        None
    }
}

/// A connect token and the server it is for.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// The token, as netcode writes it; its holder can connect once.
    pub token: Vec<u8>,
    /// The coordinator's address: the one that just answered over HTTPS.
    pub server: SocketAddr,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Access({})", self.server)
    }
}

/// Why there is no token, in words that a person can act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoToken {
    /// No valid answer: the dialer tries again after its pause, which grows.
    Unreachable {
        /// What was tried, and what to look at.
        reason: LinkProblem,
    },
    /// The coordinator answered and refuses this client: the dialer tries again after its longest pause.
    Refused {
        /// Why.
        reason: LinkProblem,
    },
}

/// The place a [`TokenSource`] puts its answer.
#[derive(Debug)]
pub struct TokenAnswer {
    sender: Sender<Result<Access, NoToken>>,
    waker: Option<Waker>,
}

impl TokenAnswer {
    /// Delivers the answer and wakes the app; does nothing if it is no longer awaited.
    pub fn give(self, answer: Result<Access, NoToken>) {
        let _ = self.sender.send(answer);
        // Dropping `self` wakes the app.
    }
}

impl Drop for TokenAnswer {
    fn drop(&mut self) {
        if let Some(waker) = &self.waker {
            waker.wake();
        }
    }
}

/// The token source of a client without a coordinator: every request fails.
#[derive(Debug)]
pub(crate) struct Nowhere;

impl TokenSource for Nowhere {
    fn ask(&self, answer: TokenAnswer) {
        drop(answer);
    }
}

/// Gets a token and waits for it, at most `longest`: for programs without an app.
pub fn fetch(source: &dyn TokenSource, longest: Duration) -> Result<Access, NoToken> {
    let asked = PendingToken::of(source, None);
    asked.0.recv_timeout(longest).unwrap_or_else(|_| {
        let reason = problem::too_slow("no connect token came in time");
        Err(NoToken::Unreachable { reason })
    })
}

/// A requested token.
#[derive(Debug)]
pub(crate) struct PendingToken(Receiver<Result<Access, NoToken>>);

impl PendingToken {
    /// Asks `source` for a token.
    pub(crate) fn of(source: &dyn TokenSource, waker: Option<Waker>) -> Self {
        let (sender, receiver) = bounded(1);
        source.ask(TokenAnswer { sender, waker });
        Self(receiver)
    }

    /// The answer, once it is there.
    pub(crate) fn take(&self) -> Option<Result<Access, NoToken>> {
        match self.0.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                Some(Err(NoToken::Unreachable { reason: problem::not_asked() }))
            }
        }
    }
}

/// The tokens requested for one try; the first that comes is used.
#[derive(Debug, Default)]
pub(crate) struct AskedTokens(Vec<PendingToken>);

impl AskedTokens {
    /// Whether no request is pending.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Requests one more.
    pub(crate) fn ask(&mut self, source: &dyn TokenSource, waker: Option<Waker>) {
        self.0.push(PendingToken::of(source, waker));
    }

    /// A token that has come, or why none will.
    pub(crate) fn take(&mut self) -> Option<Result<Access, NoToken>> {
        let (mut came, mut failed) = (None, None);
        self.0.retain(|asked| match asked.take() {
            None => true,
            Some(answer) => {
                match answer {
                    Ok(access) => came = Some(access),
                    Err(cause) => failed = Some(cause),
                }
                false
            }
        });
        came.map(Ok).or_else(|| failed.filter(|_| self.0.is_empty()).map(Err))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn an_answer_that_is_dropped_is_a_failure() {
        let asked = PendingToken::of(&Nowhere, None);
        assert!(matches!(asked.take(), Some(Err(NoToken::Unreachable { .. }))));
    }

    /// Keeps its answers until a test gives them.
    #[derive(Debug, Default)]
    struct Slow(Mutex<Vec<TokenAnswer>>);

    impl TokenSource for Slow {
        fn ask(&self, answer: TokenAnswer) {
            self.0.lock().unwrap().push(answer);
        }
    }

    #[test]
    fn of_two_that_were_asked_for_the_first_that_comes_is_used_and_a_failure_waits_for_the_other() {
        let access = || Access { token: vec![7], server: "192.0.2.1:1".parse().unwrap() };
        for fails in [0, 1] {
            let (source, mut asked) = (Slow::default(), AskedTokens::default());
            asked.ask(&source, None);
            asked.ask(&source, None);
            let mut answers = source.0.into_inner().unwrap();
            drop(answers.remove(fails));
            assert_eq!(asked.take().map(|answer| answer.is_ok()), None, "the other may still come");
            answers.pop().unwrap().give(Ok(access()));
            assert!(matches!(asked.take(), Some(Ok(access)) if access.token == [7]));
        }
        let mut asked = AskedTokens::default();
        asked.ask(&Nowhere, None);
        assert!(matches!(asked.take(), Some(Err(NoToken::Unreachable { .. }))));
    }
}
