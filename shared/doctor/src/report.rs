//! What was found, and what to do about it.

use std::fmt;

/// How good something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// As it should be.
    Good,
    /// It could not be examined, because of something before it.
    Skipped,
    /// It works, less well than it might.
    Fair,
    /// It keeps people from playing or helping.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// How good it is.
    pub grade: Grade,
    /// What was found.
    pub found: String,
    /// What to do, unless it is good.
    pub advice: Option<String>,
}

impl Finding {
    /// It is as it should be.
    pub fn good(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, grade: Grade::Good, found: found.into(), advice: None }
    }

    /// It works, less well than it might.
    pub fn fair(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what, grade: Grade::Fair, found: found.into(), advice: Some(advice.into()) }
    }

    /// It keeps people from playing or helping.
    pub fn bad(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what, grade: Grade::Bad, found: found.into(), advice: Some(advice.into()) }
    }

    /// It could not be examined, because of something before it.
    pub fn skipped(what: &'static str) -> Self {
        Self { what, grade: Grade::Skipped, found: "not examined".to_owned(), advice: None }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grade = match self.grade {
            Grade::Good => "ok",
            Grade::Skipped => "-",
            Grade::Fair => "fair",
            Grade::Bad => "BAD",
        };
        write!(f, "{grade:<5} {:<11} {}", self.what, self.found)?;
        match &self.advice {
            Some(advice) => write!(f, "\n{:18}-> {advice}", ""),
            None => Ok(()),
        }
    }
}

/// Everything that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoctorReport {
    /// In the order in which it was looked at.
    pub findings: Vec<Finding>,
}

impl DoctorReport {
    /// Whether nothing keeps people from playing or helping.
    pub fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.grade != Grade::Bad)
    }

    /// The whole in one sentence.
    pub fn verdict(&self) -> String {
        let count = |grade| self.findings.iter().filter(|finding| finding.grade == grade).count();
        let skipped = self.findings.iter().filter(|finding| finding.grade == Grade::Skipped);
        let skipped: Vec<_> = skipped.map(|finding| finding.what).collect();
        match (count(Grade::Bad), count(Grade::Fair)) {
            (0, 0) if skipped.is_empty() => "Everything is as it should be.".to_owned(),
            (0, 0) => format!("What was examined is as it should be; not examined: {}.", skipped.join(", ")),
            (0, fair) => format!("It works; {fair} thing(s) could be better."),
            (bad, _) => format!("It does not work: {bad} thing(s) above have to be mended first."),
        }
    }

    /// The finding about something.
    pub fn about(&self, what: &str) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.what == what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_says_what_was_not_examined_and_what_is_wrong() {
        let verdict = |findings: &[Finding]| DoctorReport { findings: findings.to_vec() }.verdict();
        let (good, skipped) = (Finding::good("tcp", "it answers"), Finding::skipped("bandwidth"));
        let (fair, bad) = (Finding::fair("loss", "some", "a cable"), Finding::bad("udp", "none", "open it"));
        assert_eq!(verdict(std::slice::from_ref(&good)), "Everything is as it should be.");
        let said = verdict(&[good.clone(), skipped.clone()]);
        assert_eq!(said, "What was examined is as it should be; not examined: bandwidth.");
        assert!(verdict(&[good, skipped.clone(), fair.clone()]).starts_with("It works; 1 "));
        assert!(verdict(&[fair, skipped, bad]).starts_with("It does not work: 1 "));
    }
}
