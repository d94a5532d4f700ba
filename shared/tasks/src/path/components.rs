//! Connected components of a grid: labels for the runs of free cells in its rows.
//!
//! A legal diagonal step needs both orthogonal neighbours free, so cells that eight directions join, four
//! directions join.

/// Labels of a grid's free runs.
pub(super) struct Components {
    words: usize,
    /// Where each row's free runs begin, as bits.
    starts: Vec<u64>,
    /// Number of the first run that begins in a word.
    first_run: Vec<u32>,
    /// Label of every run.
    label: Vec<u32>,
}

impl Components {
    /// Labels the grid whose rows are `free`, `words` words each.
    pub(super) fn new(free: &[u64], words: usize) -> Self {
        let mut starts = vec![0; free.len()];
        let mut first_run = vec![0; free.len()];
        let mut runs = 0;
        for at in 0..free.len() {
            starts[at] = first_of_each_run(free, words, at, |at| free[at]);
            first_run[at] = runs;
            runs += starts[at].count_ones();
        }
        let mut made = Self { words, starts, first_run, label: (0..runs).collect() };
        for at in words..free.len() {
            let both = |at: usize| free[at] & free[at - words];
            let mut touching = first_of_each_run(free, words, at, both);
            while touching != 0 {
                let bit = touching.trailing_zeros();
                touching &= touching - 1;
                made.join(made.run(at, bit), made.run(at - words, bit));
            }
        }
        // A run's label is never above its own number, so one pass in order leaves every run at its root.
        for run in 0..made.label.len() {
            made.label[run] = made.label[made.label[run] as usize];
        }
        made
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.starts) + size_of_val(&*self.first_run) + size_of_val(&*self.label)
    }

    /// Whether a path joins two free cells, given as (line, position) with lines counted from 1.
    pub(super) fn joined(&self, a: (usize, usize), b: (usize, usize)) -> bool {
        let label = |(line, at): (usize, usize)| {
            self.label[self.run(line * self.words + at / 64, (at % 64) as u32) as usize]
        };
        label(a) == label(b)
    }

    /// Number of the run that covers bit `bit` of the word at `at`.
    fn run(&self, at: usize, bit: u32) -> u32 {
        let begun = self.starts[at] & (u64::MAX >> (63 - bit));
        self.first_run[at] + begun.count_ones() - 1
    }

    fn root(&mut self, mut run: u32) -> u32 {
        while self.label[run as usize] != run {
            let above = self.label[self.label[run as usize] as usize];
            self.label[run as usize] = above;
            run = above;
        }
        run
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.label[a.max(b) as usize] = a.min(b);
    }
}

/// The first bit of each run of set bits in `bits` of the word at `at`, runs going on over words of a row.
fn first_of_each_run(free: &[u64], words: usize, at: usize, bits: impl Fn(usize) -> u64) -> u64 {
    debug_assert!(at < free.len());
    let carried = if at.is_multiple_of(words) { 0 } else { bits(at - 1) >> 63 };
    bits(at) & !(bits(at) << 1 | carried)
}
