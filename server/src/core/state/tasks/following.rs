//! Following: a task equal to one under way waits for that one's outcome instead of being computed as well.
//!
//! One open task per key leads, and others may follow it. A follower is in no queue and has no attempt: it ends with
//! its leader's outcome, inherits the leader's attempts if that ends without one, or stops following and is assigned by
//! itself.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem::swap;

use p2c2r_protocol::{Digest, Micros, SeededHash, TaskNo};

use super::{Following, LiveAttempt, Task, TaskTable};

/// Followers of one task. Bounded because all of them end in the same event; further equal tasks are computed by
/// themselves.
pub const FOLLOWERS_MAX: usize = 256;

/// The leaders, by the first 8 bytes of their key. Of two keys with the same start only one leader is found, and
/// followers of the other are computed by themselves.
#[derive(Default)]
pub(super) struct Leaders(HashMap<u64, TaskNo, SeededHash>);

impl Leaders {
    /// Makes the task a leader, if it shares its outcome and its key has none.
    pub(super) fn add(&mut self, no: TaskNo, task: &Task) {
        if task.shares {
            self.0.entry(task.key.first_u64()).or_insert(no);
        }
    }
}

impl Task {
    /// Which task it follows, if any.
    pub fn follows(&self) -> Option<Following> {
        self.follows
    }

    /// The tasks that follow it.
    pub fn followers(&self) -> &[TaskNo] {
        &self.followers
    }

    /// Takes the followers from a task that has ended.
    pub fn take_followers(&mut self) -> Vec<TaskNo> {
        std::mem::take(&mut self.followers)
    }
}

impl TaskTable {
    /// The open task with this key that others may follow.
    pub fn leader(&self, key: Digest) -> Option<(TaskNo, &Task)> {
        let no = *self.leaders.0.get(&key.first_u64())?;
        let task = self.get(no).filter(|task| task.key == key)?;
        Some((no, task))
    }

    /// Makes the task a leader, unless its key has one.
    fn lead(&mut self, no: TaskNo) {
        if let Some(task) = self.tasks.get(&no) {
            self.leaders.add(no, task);
        }
    }

    /// Makes a waiting task a follower.
    pub(super) fn follow(&mut self, no: TaskNo, following: Following) {
        let Some(leader) = self.tasks.get_mut(&following.leader) else { return };
        assert!(leader.follows.is_none(), "nobody follows a follower");
        leader.followers.push(no);
        let Some(task) = self.tasks.get_mut(&no) else { return };
        assert!(task.is_waiting() && task.followers.is_empty(), "whoever follows does nothing else");
        task.follows = Some(following);
    }

    /// Stops following and queues the task.
    pub(crate) fn go_alone(&mut self, no: TaskNo) {
        let Some(following) = self.tasks.get_mut(&no).and_then(|task| task.follows.take()) else { return };
        if let Some(leader) = self.tasks.get_mut(&following.leader) {
            leader.followers.retain(|other| *other != no);
        }
        self.lead(no);
        self.wait(no);
    }

    /// Handles followers whose leader ended without an outcome for them: the first is queued, and the others follow it.
    /// Returns the first.
    pub(crate) fn regroup(&mut self, followers: &[TaskNo]) -> Option<TaskNo> {
        let (first, others) = followers.split_first()?;
        self.go_alone(*first);
        for no in others {
            let Some(following) = self.tasks.get_mut(no).and_then(|task| task.follows.take()) else {
                continue;
            };
            self.follow(*no, Following { leader: *first, ..following });
        }
        Some(*first)
    }

    /// The first follower inherits the attempts of its leader `no`, under that number. Returns the task that was
    /// requested under `no` before, without its attempts, and the follower's former number. The work stays counted
    /// once, as served to the account that it was assigned for.
    pub(crate) fn succeed(&mut self, no: TaskNo) -> Option<(Box<Task>, TaskNo)> {
        let heir_no = *self.tasks.get(&no)?.followers.first()?;
        let mut ended = self.tasks.remove(&heir_no)?;
        let task = self.tasks.get_mut(&no)?;
        self.load.remove(task.weighed());
        self.ids.remove(&(task.account, task.id));
        // The request is exchanged; the attempts stay.
        swap(&mut task.id, &mut ended.id);
        swap(&mut task.account, &mut ended.account);
        swap(&mut task.gamer, &mut ended.gamer);
        swap(&mut task.price, &mut ended.price);
        swap(&mut task.received_at, &mut ended.received_at);
        swap(&mut task.deliver_by, &mut ended.deliver_by);
        swap(&mut task.in_books, &mut ended.in_books);
        task.followers.retain(|other| *other != heir_no);
        (task.begun, task.unwanted, ended.follows) = (0, false, None);
        if task.deliver_by.is_none() && ended.deliver_by.is_some() {
            // Expired attempts count for a timely task, but must not end a patient one.
            task.failures = 0;
        }
        let (account, id) = (task.account, task.id);
        self.ids.insert((account, id), no);
        assert!(
            self.ids.len() == self.tasks.len() && self.load.sum().tasks == self.tasks.len(),
            "every open task has one id and counts once"
        );
        Some((ended, heir_no))
    }

    /// Sets how many work units were begun, in each live attempt in their order and by the own kernel, when a task inherited
    /// them.
    pub(crate) fn begun_before(&mut self, no: TaskNo, in_attempts: &[u64], own: u64) {
        let Some(task) = self.tasks.get_mut(&no) else { return };
        for (live, begun) in task.live.iter_mut().zip(in_attempts) {
            live.begun_before = live.begun_before.max(*begun);
        }
        task.own_begun_before = task.own_begun_before.max(own);
    }

    /// Sets new ends for the leases that a task has inherited.
    pub(crate) fn renew_leases(&mut self, no: TaskNo, until: impl Fn(&LiveAttempt) -> Micros) {
        let live = self.tasks.get_mut(&no).map(|task| &mut task.live).into_iter().flatten();
        for live in live.filter(|live| live.answered_at.is_none()) {
            live.until = until(live);
        }
    }

    /// Unlinks a removed task from the leaders and from its own leader.
    pub(super) fn forget_equal(&mut self, no: TaskNo, task: &Task) {
        if let Some(following) = task.follows
            && let Some(leader) = self.tasks.get_mut(&following.leader)
        {
            leader.followers.retain(|other| *other != no);
        }
        if task.shares
            && let Entry::Occupied(found) = self.leaders.0.entry(task.key.first_u64())
            && *found.get() == no
        {
            found.remove();
        }
    }

    /// Checks that leaders and followers agree.
    ///
    /// # Panics
    /// If a leader and a follower disagree.
    pub fn assert_following(&self) {
        let mut following = 0;
        for (no, task) in &self.tasks {
            if let Some(Following { leader, .. }) = task.follows {
                let knows = |leader: &Task| leader.followers.contains(no) && leader.key == task.key;
                assert!(self.get(leader).is_some_and(knows), "a follower has an open leader: {}", no.0);
                assert!(
                    task.live.is_empty() && task.computing.is_none(),
                    "a follower does nothing: {}",
                    no.0
                );
                following += 1;
            }
            let leads = !task.followers.is_empty();
            assert!(!leads || task.follows.is_none() && task.shares, "a leader follows nobody: {}", no.0);
            assert!(task.followers.len() <= FOLLOWERS_MAX, "followers are bounded: {}", no.0);
        }
        let listed: usize = self.tasks.values().map(|task| task.followers.len()).sum();
        assert_eq!(listed, following, "every follower is its leader's once");
        let leads = |no: &TaskNo| self.get(*no).is_some_and(|task| task.shares && task.follows.is_none());
        assert!(self.leaders.0.values().all(leads), "whoever can be followed is open");
    }
}
