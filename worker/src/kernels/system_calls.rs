//! Which system calls a kernel process may make.
//!
//! A process that computes on a core may make only the few listed calls. One that computes on a graphics processor runs
//! a driver with unknown needs, so there the forbidden calls are listed instead.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter, sock_filter,
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

/// Ways out of a process that runs a driver, whatever their arguments: to the network, to other processes and what they
/// share, to other rights, and around filters.
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
    libc::SYS_mq_open,
    libc::SYS_msgget,
    libc::SYS_msgrcv,
    libc::SYS_msgsnd,
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
    libc::SYS_shmat,
    libc::SYS_shmget,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_tkill,
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

/// From now on this thread, and those it starts, may do anything but go one of the [`ways_out`].
pub(super) fn forbid_reaching_out() -> Result<(), String> {
    refuse_other_numbers()?;
    refuse_clone3()?;
    apply(ways_out()?, REFUSED, SeccompAction::Allow)
}

/// [`WAYS_OUT`], and those that only their arguments make one: starting a process, and signalling or limiting another.
fn ways_out() -> Result<Calls, String> {
    let mut calls: Calls = WAYS_OUT.iter().map(|call| (*call, Vec::new())).collect();
    calls.insert(libc::SYS_clone, vec![rule(&[lacks(0, libc::CLONE_THREAD as u64)])?]);
    let own = u64::from(std::process::id());
    calls.insert(libc::SYS_tgkill, vec![rule(&[differs(0, own)])?]);
    // 0 is the process that asks.
    calls.insert(libc::SYS_prlimit64, vec![rule(&[differs(0, own), differs(0, 0)])?]);
    Ok(calls)
}

/// On x86-64 each system call may have a second number, that of programs with 32-bit addresses (x32, with this bit set),
/// which a list of what is forbidden does not name. None of ours are such programs.
fn refuse_other_numbers() -> Result<(), String> {
    const X32_BIT: u32 = 0x4000_0000;
    if cfg!(not(target_arch = "x86_64")) {
        return Ok(());
    }
    let instruction = |code: u32, (jt, jf): (u8, u8), k: u32| sock_filter { code: code as u16, jt, jf, k };
    // The number is the first word of what a filter sees.
    let program: BpfProgram = vec![
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, (0, 0), 0),
        instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, (0, 1), X32_BIT),
        instruction(libc::BPF_RET | libc::BPF_K, (0, 0), REFUSED.into()),
        instruction(libc::BPF_RET | libc::BPF_K, (0, 0), SeccompAction::Allow.into()),
    ];
    apply_filter(&program).map_err(|error| format!("seccomp cannot be had ({error})"))
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

/// The argument is another number.
fn differs(argument: u8, from: u64) -> Result<SeccompCondition, String> {
    condition(argument, SeccompCmpOp::Ne, from)
}

/// The argument has all these bits.
fn has(argument: u8, bits: u64) -> Result<SeccompCondition, String> {
    condition(argument, SeccompCmpOp::MaskedEq(bits), bits)
}

/// The argument has none of these bits.
fn lacks(argument: u8, bits: u64) -> Result<SeccompCondition, String> {
    condition(argument, SeccompCmpOp::MaskedEq(bits), 0)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// The errors that calls end with in a program that this thread starts, under the filters of this thread; 0 for none.
    /// `None` where there is no perl to make them.
    fn errors(calls: &[(c_long, &str)]) -> Option<Vec<i32>> {
        let one = |(number, arguments): &(c_long, &str)| {
            format!("$! = 0; syscall({number}, {arguments}); print 0 + $!, qq(\\n);")
        };
        let text = calls.iter().map(one).collect::<Vec<_>>().concat();
        let Ok(output) = Command::new("perl").args(["-e", &text]).output() else {
            println!("skipped: there is no perl");
            return None;
        };
        let said = String::from_utf8(output.stdout).unwrap();
        let errors: Vec<i32> = said.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(errors.len(), calls.len(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        Some(errors)
    }

    #[test]
    fn a_driver_signals_limits_and_shares_memory_with_nobody_but_itself() {
        let mut ways = ways_out().unwrap();
        // Whoever tries them has to be started.
        for call in [libc::SYS_clone, libc::SYS_execve] {
            ways.remove(&call);
        }
        #[cfg(target_arch = "x86_64")]
        for call in [libc::SYS_fork, libc::SYS_vfork] {
            ways.remove(&call);
        }
        apply(ways, REFUSED, SeccompAction::Allow).unwrap();
        let own = std::process::id();
        let (signal_own, no_segment) = (format!("{own}, {own}, 0"), "0x7fffffff, 0, 0");
        let tried = [
            (libc::SYS_tgkill, "0 + $$, 0 + $$, 0"),
            (libc::SYS_tkill, "0 + $$, 0"),
            (libc::SYS_kill, "0 + $$, 0"),
            (libc::SYS_prlimit64, "0 + $$, 7, 0, 0"),
            (libc::SYS_shmat, no_segment),
            (libc::SYS_msgrcv, "0x7fffffff, 0, 0, 0, 0"),
        ];
        let allowed = [(libc::SYS_tgkill, signal_own.as_str()), (libc::SYS_prlimit64, "0, 7, 0, 0")];
        let Some(errors) = errors(&[&tried[..], &allowed].concat()) else { return };
        assert_eq!(errors[..tried.len()], [libc::EPERM; 6], "what reaches others");
        assert_eq!(errors[tried.len()..], [0; 2], "what a process does to itself");
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_call_by_its_other_number_is_refused() {
        refuse_other_numbers().unwrap();
        let x32 = 0x4000_0000 | libc::SYS_getpid;
        let Some(errors) = errors(&[(x32, ""), (libc::SYS_getpid, "")]) else { return };
        assert_eq!(errors, [libc::EPERM, 0]);
    }
}
