//! Which system calls a kernel process may make.
//!
//! A process that computes on a core may make only the few listed calls. One that computes on a graphics processor runs
//! a driver with unknown needs, so there the forbidden calls are listed instead, and those too new to be listed are absent.

mod lists;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter, sock_filter,
};

use lists::{HARMLESS, NEWEST, SETS_ATTRIBUTES, SIGNALS_OTHERS, WAYS_OUT};

/// Rules for each system call's arguments: the filter matches if any rule does, or if there is no rule.
type Calls = BTreeMap<i64, Vec<SeccompRule>>;

/// A refused call fails with a permission error: libraries handle that, and the process's tests can report it.
const REFUSED: SeccompAction = SeccompAction::Errno(libc::EPERM as u32);

/// The call fails as on a system that lacks it, for which libraries have a fallback.
const ABSENT: SeccompAction = SeccompAction::Errno(libc::ENOSYS as u32);

/// The option of `prctl` by which allocators name memory areas for debuggers (`linux/prctl.h`).
const PR_SET_VMA: u64 = 0x5356_4d41;
/// `ioprio_set` on one thread (`linux/ioprio.h`).
const IOPRIO_WHO_PROCESS: u64 = 1;

/// From now on this thread, and those it starts, may compute, and send and receive on the sockets with these numbers.
/// Other open files can be closed, and nothing else.
pub(super) fn allow_computing(lines: &[u64]) -> Result<(), String> {
    put_in_place(&computing(lines)?)
}

/// From now on this thread, and those it starts, may make any call except the ways out.
pub(super) fn forbid_reaching_out() -> Result<(), String> {
    put_in_place(&driving()?)
}

fn put_in_place(filters: &[BpfProgram]) -> Result<(), String> {
    filters.iter().try_for_each(|filter| {
        apply_filter(filter).map_err(|error| format!("seccomp cannot be had ({error})"))
    })
}

/// The filters of a process that computes on a core.
fn computing(lines: &[u64]) -> Result<[BpfProgram; 2], String> {
    let mut allowed: Calls = HARMLESS.iter().map(|call| (*call, Vec::new())).collect();
    for call in [libc::SYS_recvfrom, libc::SYS_sendto] {
        let rules: Result<Vec<_>, _> = lines.iter().map(|line| rule(&[equals(0, *line)])).collect();
        allowed.insert(call, rules?);
    }
    // Lets an aborting process write its message to standard error, which leads nowhere.
    allowed.insert(libc::SYS_write, vec![rule(&[equals(0, 2)])?]);
    let own = u64::from(std::process::id());
    allowed.insert(libc::SYS_tgkill, vec![rule(&[equals(0, own)])?]);
    allowed.insert(libc::SYS_clone, vec![rule(&[has(0, libc::CLONE_THREAD as u64)])?]);
    let no_code = |argument| lacks(argument, libc::PROT_EXEC as u64);
    allowed.insert(libc::SYS_mprotect, vec![rule(&[no_code(2)])?]);
    // The limit on memory counts private anonymous mappings only: neither those that processes could share nor those
    // that grow downwards like a stack.
    let (of_its_own, kind) = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, libc::MAP_TYPE | libc::MAP_GROWSDOWN);
    let counted = among(3, (of_its_own | kind) as u64, of_its_own as u64);
    allowed.insert(libc::SYS_mmap, vec![rule(&[no_code(2), counted])?]);
    let named = [libc::PR_SET_NAME as u64, PR_SET_VMA].map(|option| rule(&[equals(0, option)]));
    allowed.insert(libc::SYS_prctl, named.into_iter().collect::<Result<_, _>>()?);
    Ok([without_clone3()?, filter(allowed, SeccompAction::Allow, REFUSED)?])
}

/// The filters of a process that runs a driver.
fn driving() -> Result<[BpfProgram; 3], String> {
    Ok([without_unknown_calls(), without_clone3()?, filter(ways_out()?, REFUSED, SeccompAction::Allow)?])
}

/// [`WAYS_OUT`], and the calls that are ways out with certain arguments only: starting a process; signalling, limiting
/// or scheduling another one; having signals sent to another one; and setting attributes of a file that is open for
/// reading only.
fn ways_out() -> Result<Calls, String> {
    let mut calls: Calls = WAYS_OUT.iter().map(|call| (*call, Vec::new())).collect();
    calls.insert(libc::SYS_clone, vec![rule(&[lacks(0, libc::CLONE_THREAD as u64)])?]);
    let own = u64::from(std::process::id());
    calls.insert(libc::SYS_tgkill, vec![rule(&[differs(0, own)])?]);
    // 0 stands for the calling thread.
    let another = |argument| rule(&[differs(argument, own), differs(argument, 0)]);
    for call in [
        libc::SYS_prlimit64,
        libc::SYS_sched_setaffinity,
        libc::SYS_sched_setattr,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setscheduler,
    ] {
        calls.insert(call, vec![another(0)?]);
    }
    // A group of processes, or all of a user's, would include others.
    let (priority, io_priority) = (libc::PRIO_PROCESS as u64, IOPRIO_WHO_PROCESS);
    calls.insert(libc::SYS_setpriority, vec![rule(&[differs(0, priority)])?, another(1)?]);
    calls.insert(libc::SYS_ioprio_set, vec![rule(&[differs(0, io_priority)])?, another(1)?]);
    for (call, commands) in [(libc::SYS_fcntl, SIGNALS_OTHERS), (libc::SYS_ioctl, SETS_ATTRIBUTES)] {
        let rules: Result<Vec<_>, _> = commands.iter().map(|command| rule(&[equals(1, *command)])).collect();
        calls.insert(call, rules?);
    }
    Ok(calls)
}

/// Makes calls that the lists do not know fail as on a system without them: those newer than the lists, and on x86-64 the
/// second numbers that calls have for programs with 32-bit addresses (x32), which are higher.
fn without_unknown_calls() -> BpfProgram {
    let instruction = |code: u32, (jt, jf): (u8, u8), k: u32| sock_filter { code: code as u16, jt, jf, k };
    // The number is the first word of what a filter sees.
    vec![
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, (0, 0), 0),
        instruction(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, (0, 1), NEWEST as u32),
        instruction(libc::BPF_RET | libc::BPF_K, (0, 0), ABSENT.into()),
        instruction(libc::BPF_RET | libc::BPF_K, (0, 0), SeccompAction::Allow.into()),
    ]
}

/// Makes `clone3` fail as on a system without it, so that libraries use `clone`: its flags are in memory, where no
/// filter can see whether a thread or a process is asked for.
fn without_clone3() -> Result<BpfProgram, String> {
    filter(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), ABSENT, SeccompAction::Allow)
}

fn filter(calls: Calls, on_match: SeccompAction, otherwise: SeccompAction) -> Result<BpfProgram, String> {
    let failed = |reason: String| format!("seccomp cannot be had ({reason})");
    let machine = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| failed(error.to_string()))?;
    let filter = SeccompFilter::new(calls, otherwise, on_match, machine);
    filter.and_then(TryInto::try_into).map_err(|error| failed(error.to_string()))
}

fn rule(conditions: &[Result<SeccompCondition, String>]) -> Result<SeccompRule, String> {
    let conditions = conditions.iter().cloned().collect::<Result<Vec<_>, _>>()?;
    SeccompRule::new(conditions).map_err(|error| error.to_string())
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, String> {
    // These arguments have 32 bits, and the system ignores the upper half.
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
        .map_err(|error| error.to_string())
}

/// The argument is this number.
fn equals(argument: u8, value: u64) -> Result<SeccompCondition, String> {
    condition(argument, SeccompCmpOp::Eq, value)
}

/// The argument is another number.
fn differs(argument: u8, from: u64) -> Result<SeccompCondition, String> {
    condition(argument, SeccompCmpOp::Ne, from)
}

/// Of these bits the argument has exactly those in `set`.
fn among(argument: u8, bits: u64, set: u64) -> Result<SeccompCondition, String> {
    condition(argument, SeccompCmpOp::MaskedEq(bits), set)
}

/// The argument has all these bits.
fn has(argument: u8, bits: u64) -> Result<SeccompCondition, String> {
    among(argument, bits, bits)
}

/// The argument has none of these bits.
fn lacks(argument: u8, bits: u64) -> Result<SeccompCondition, String> {
    among(argument, bits, 0)
}
