//! Which system calls a kernel process may make.
//!
//! A process that computes on a core may make only the few listed calls. One that computes on a graphics processor runs
//! a driver with unknown needs, so there the forbidden calls are listed instead.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};

/// Rules for each system call's arguments: the filter matches if any rule does, or if there is no rule.
type Calls = BTreeMap<i64, Vec<SeccompRule>>;

/// A refused call fails with a permission error: libraries handle that, and the process's tests can report it.
const REFUSED: SeccompAction = SeccompAction::Errno(libc::EPERM as u32);

/// `prctl` that names memory areas for those who debug (`linux/prctl.h`); an allocator's.
const PR_SET_VMA: u64 = 0x5356_4d41;

/// Calls of threads, time and memory that reach nothing outside the process, whatever their arguments.
const HARMLESS: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    // Refused by the filter before this one, see `refuse_clone3`.
    libc::SYS_clone3,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getcpu,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_ppoll,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// Ways out of a process that runs a driver: to the network, to other processes, to other rights, and around filters.
const WAYS_OUT: &[c_long] = &[
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_add_key,
    libc::SYS_bind,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_connect,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_io_uring_setup,
    libc::SYS_keyctl,
    libc::SYS_kill,
    libc::SYS_listen,
    libc::SYS_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_request_key,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_setns,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
];

/// From now on this thread, and those it starts, may compute, and send and receive on the sockets with these numbers.
/// Other open files can be closed, and nothing else.
pub(super) fn allow_computing(lines: &[u64]) -> Result<(), String> {
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
    allowed.insert(libc::SYS_mmap, vec![rule(&[no_code(2), has(3, libc::MAP_ANONYMOUS as u64)])?]);
    let named = [libc::PR_SET_NAME as u64, PR_SET_VMA].map(|option| rule(&[equals(0, option)]));
    allowed.insert(libc::SYS_prctl, named.into_iter().collect::<Result<_, _>>()?);
    refuse_clone3()?;
    apply(allowed, SeccompAction::Allow, REFUSED)
}

/// From now on this thread, and those it starts, may do anything but [`WAYS_OUT`] and starting processes.
pub(super) fn forbid_reaching_out() -> Result<(), String> {
    let mut forbidden: Calls = WAYS_OUT.iter().map(|call| (*call, Vec::new())).collect();
    forbidden.insert(libc::SYS_clone, vec![rule(&[lacks(0, libc::CLONE_THREAD as u64)])?]);
    refuse_clone3()?;
    apply(forbidden, REFUSED, SeccompAction::Allow)
}

/// Makes `clone3` fail as on a system without it, so that libraries use `clone`: its flags are in memory, where no
/// filter can see whether a thread or a process is asked for.
fn refuse_clone3() -> Result<(), String> {
    let absent = SeccompAction::Errno(libc::ENOSYS as u32);
    apply(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), absent, SeccompAction::Allow)
}

fn apply(calls: Calls, on_match: SeccompAction, otherwise: SeccompAction) -> Result<(), String> {
    let failed = |reason: String| format!("seccomp cannot be had ({reason})");
    let machine = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| failed(error.to_string()))?;
    let filter = SeccompFilter::new(calls, otherwise, on_match, machine);
    let program: BpfProgram =
        filter.and_then(TryInto::try_into).map_err(|error| failed(error.to_string()))?;
    apply_filter(&program).map_err(|error| failed(error.to_string()))
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

/// The argument has all these bits.
fn has(argument: u8, bits: u64) -> Result<SeccompCondition, String> {
    condition(argument, SeccompCmpOp::MaskedEq(bits), bits)
}

/// The argument has none of these bits.
fn lacks(argument: u8, bits: u64) -> Result<SeccompCondition, String> {
    condition(argument, SeccompCmpOp::MaskedEq(bits), 0)
}
