//! Tasks that are equal to one under way wait for its outcome instead of being done as well.
//!
//! One open task of each key leads, and others may follow it. A follower is in nobody's queue and has no attempt: it ends with
//! its leader's outcome, or takes its place when that ends without one, or goes on alone.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem::swap;

use p2c2r_protocol::{Digest, Micros, SeededHash, TaskNo};

use super::{Following, LiveAttempt, Task, TaskTable};

/// Tasks that may follow one: all of them end in the same event. Those beyond are done by themselves.
pub const FOLLOWERS_MAX: usize = 256;

/// The open tasks whose outcomes others may wait for, by the start of their key. Of two keys that start alike the later one is
/// not found, and its tasks are done one by one.
#[derive(Default)]
pub(super) struct Leaders(HashMap<u64, TaskNo, SeededHash>);

fn start_of(key: Digest) -> u64 {
    let mut start = [0; 8];
    start.copy_from_slice(&key.0[..8]);
    u64::from_le_bytes(start)
}

impl Task {
    /// What it waits for, if it follows another task.
    pub fn follows(&self) -> Option<Following> {
        self.follows
    }

    /// Equal tasks that wait for its outcome.
    pub fn followers(&self) -> &[TaskNo] {
        &self.followers
    }

    /// The same, taken from a task that has ended.
    pub fn take_followers(&mut self) -> Vec<TaskNo> {
        std::mem::take(&mut self.followers)
    }
}

impl TaskTable {
    /// The open task with this key that others may follow.
    pub fn leader(&self, key: Digest) -> Option<(TaskNo, &Task)> {
        let no = *self.leaders.0.get(&start_of(key))?;
        let task = self.get(no).filter(|task| task.key == key)?;
        Some((no, task))
    }

    /// Others may follow it from now on, unless they follow another one of its key already.
    pub(super) fn lead(&mut self, no: TaskNo) {
        let Some(task) = self.tasks.get(&no).filter(|task| task.shares) else { return };
        self.leaders.0.entry(start_of(task.key)).or_insert(no);
    }

    /// It waits for the outcome of another task.
    pub(super) fn follow(&mut self, no: TaskNo, following: Following) {
        let Some(leader) = self.tasks.get_mut(&following.leader) else { return };
        assert!(leader.follows.is_none(), "nobody follows a follower");
        leader.followers.push(no);
        let Some(task) = self.tasks.get_mut(&no) else { return };
        assert!(task.is_waiting() && task.followers.is_empty(), "whoever follows does nothing else");
        task.follows = Some(following);
    }

    /// A follower goes on alone, and waits to be handed out.
    pub(crate) fn go_alone(&mut self, no: TaskNo) {
        let Some(following) = self.tasks.get_mut(&no).and_then(|task| task.follows.take()) else { return };
        if let Some(leader) = self.tasks.get_mut(&following.leader) {
            leader.followers.retain(|other| *other != no);
        }
        self.lead(no);
        self.wait(no);
    }

    /// The task that these waited for has ended without an outcome for them: the first goes on alone, and the others follow
    /// it. Returns which one that is.
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

    /// The first follower takes the place of its leader `no`, whose attempts go on for it. What comes out is the task that was
    /// asked for there before, without the attempts, and the number that its successor had. The work counts as served to
    /// whom it was handed out for, once.
    pub(crate) fn succeed(&mut self, no: TaskNo) -> Option<(Box<Task>, TaskNo)> {
        let heir_no = *self.tasks.get(&no)?.followers.first()?;
        let mut ended = self.tasks.remove(&heir_no)?;
        let task = self.tasks.get_mut(&no)?;
        self.load.remove(task.weighed());
        self.ids.remove(&(task.account, task.id));
        // What was asked for changes hands, what is being done stays.
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
            // Silence counts against a timely task, and must not end a patient one.
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

    /// The own kernel gave no outcome, which is one attempt that failed: the task waits again.
    pub(crate) fn computed_in_vain(&mut self, no: TaskNo) -> Option<&Task> {
        let task = self.tasks.get_mut(&no).filter(|task| task.computing.is_some())?;
        (task.computing, task.own_kernel) = (None, None);
        task.failures += 1;
        self.wait(no);
        self.get(no)
    }

    /// Gives the leases of a task that has taken another one's place their new ends.
    pub(crate) fn renew_leases(&mut self, no: TaskNo, until: impl Fn(&LiveAttempt) -> Micros) {
        let live = self.tasks.get_mut(&no).map(|task| &mut task.live).into_iter().flatten();
        for live in live.filter(|live| live.answered_at.is_none()) {
            live.until = until(live);
        }
    }

    /// The task has left the table: nobody finds it as a leader, and its own leader does not know it any more.
    pub(super) fn forget_equal(&mut self, no: TaskNo, task: &Task) {
        if let Some(following) = task.follows
            && let Some(leader) = self.tasks.get_mut(&following.leader)
        {
            leader.followers.retain(|other| *other != no);
        }
        if task.shares
            && let Entry::Occupied(found) = self.leaders.0.entry(start_of(task.key))
            && *found.get() == no
        {
            found.remove();
        }
    }

    /// Derives again from the tasks who follows whom.
    ///
    /// # Panics
    /// If leaders and followers do not say the same of each other.
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
