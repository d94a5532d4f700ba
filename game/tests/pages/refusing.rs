//! A coordinator that lets nobody in, for what the game says then.

use std::sync::Arc;

use p2c2r_link::{ClientTransport, LinkProblem, NoToken, TokenAnswer, TokenSource};

#[derive(Debug)]
struct Refusing(LinkProblem);

impl TokenSource for Refusing {
    fn ask(&self, answer: TokenAnswer) {
        answer.give(Err(NoToken::Refused { reason: self.0.clone() }));
    }
}

/// The way to a coordinator that refuses the game because of this problem.
pub fn refusing(problem: LinkProblem) -> ClientTransport {
    ClientTransport::Udp(Arc::new(Refusing(problem)))
}
