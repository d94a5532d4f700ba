//! What the filters say of calls, without making any: they are run here as the system runs them.

use libc::c_long;

use super::*;

/// A call's first arguments.
type Arguments = [u64; 4];

/// Where the system puts what a filter sees of a call (`linux/seccomp.h`): its number, the machine, the instruction, and
/// six arguments of two words each.
fn seen(call: c_long, arguments: Arguments) -> Vec<u32> {
    // As in `linux/audit.h`.
    let machine = match std::env::consts::ARCH {
        "x86_64" => 0xc000_003e,
        "aarch64" => 0xc000_00b7,
        "riscv64" => 0xc000_00f3,
        other => panic!("filters for {other}"),
    };
    let mut words = vec![call as u32, machine, 0, 0];
    for argument in arguments.into_iter().chain([0, 0]) {
        words.extend([argument as u32, (argument >> 32) as u32]);
    }
    words
}

/// The number with which a filter ends, by the instructions that filters are made of here.
fn run(filter: &[sock_filter], seen: &[u32]) -> u32 {
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let sock_filter { code, jt, jf, k } = filter[at];
        let jump = |holds: bool| if holds { usize::from(jt) } else { usize::from(jf) };
        at += 1;
        match u32::from(code) {
            code if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => accumulator = seen[k as usize / 4],
            code if code == libc::BPF_ALU | libc::BPF_AND | libc::BPF_K => accumulator &= k,
            code if code == libc::BPF_JMP | libc::BPF_JA => at += k as usize,
            code if code == libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K => at += jump(accumulator == k),
            code if code == libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K => at += jump(accumulator > k),
            code if code == libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K => at += jump(accumulator >= k),
            code if code == libc::BPF_RET | libc::BPF_K => return k,
            other => panic!("an instruction {other} that nothing here uses"),
        }
    }
}

/// The error that a call ends with under these filters; 0 for none. Of several errors the last filter's counts.
fn error(filters: &[BpfProgram], call: c_long, arguments: Arguments) -> i32 {
    let allow = u32::from(SeccompAction::Allow);
    let said = filters.iter().rev().map(|filter| run(filter, &seen(call, arguments)));
    said.filter(|said| *said != allow).map(|said| (said & 0xffff) as i32).next().unwrap_or_default()
}

fn core(call: c_long, arguments: Arguments) -> i32 {
    error(&computing(&[5, 6]).unwrap(), call, arguments)
}

fn driver(call: c_long, arguments: Arguments) -> i32 {
    error(&driving().unwrap(), call, arguments)
}

const NOTHING: Arguments = [0; 4];

#[test]
fn a_driver_signals_limits_and_shares_memory_with_nobody_but_itself() {
    let own = u64::from(std::process::id());
    let other = own + 1;
    for (call, arguments) in [
        (libc::SYS_tgkill, [other, other, 9, 0]),
        (libc::SYS_tkill, [other, 9, 0, 0]),
        (libc::SYS_kill, [other, 9, 0, 0]),
        (libc::SYS_prlimit64, [other, 7, 0, 0]),
        (libc::SYS_shmat, NOTHING),
        (libc::SYS_shmctl, NOTHING),
        (libc::SYS_semctl, NOTHING),
        (libc::SYS_semget, NOTHING),
        (libc::SYS_msgctl, NOTHING),
        (libc::SYS_msgrcv, NOTHING),
        (libc::SYS_mq_unlink, NOTHING),
        (libc::SYS_clone, [libc::SIGCHLD as u64, 0, 0, 0]),
        (libc::SYS_fcntl, [3, libc::F_SETOWN as u64, other, 0]),
        (libc::SYS_fcntl, [3, 15, 0, 0]),
        (libc::SYS_fcntl, [3, 10, 9, 0]),
        (libc::SYS_ioctl, [3, 0x8901, 0, 0]),
        (libc::SYS_ioctl, [3, 0x8902, 0, 0]),
    ] {
        assert_eq!(driver(call, arguments), libc::EPERM, "{call} {arguments:?}");
    }
    for (call, arguments) in [
        (libc::SYS_tgkill, [own, own, 6, 0]),
        (libc::SYS_prlimit64, [0, 7, 0, 0]),
        (libc::SYS_clone, [libc::CLONE_THREAD as u64, 0, 0, 0]),
        (libc::SYS_fcntl, [3, libc::F_SETFL as u64, 0, 0]),
        (libc::SYS_ioctl, [3, 0xc020_6440, 0, 0]),
    ] {
        assert_eq!(driver(call, arguments), 0, "{call} {arguments:?}");
    }
}

#[test]
fn a_driver_schedules_nobody_but_itself() {
    let own = u64::from(std::process::id());
    let of_one = [
        libc::SYS_sched_setaffinity,
        libc::SYS_sched_setattr,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setscheduler,
    ];
    for call in of_one {
        assert_eq!(driver(call, [own + 1, 0, 0, 0]), libc::EPERM, "{call}");
        assert_eq!([driver(call, NOTHING), driver(call, [own, 0, 0, 0])], [0, 0], "{call}");
    }
    let (of_process, of_group, of_user) = (0, 1, 2);
    for (which, who, right) in [
        (of_process, 0, 0),
        (of_process, own, 0),
        (of_process, own + 1, libc::EPERM),
        (of_group, 0, libc::EPERM),
        (of_user, 0, libc::EPERM),
    ] {
        assert_eq!(driver(libc::SYS_setpriority, [which, who, 19, 0]), right, "{which} {who}");
        // The same three, counted from one.
        assert_eq!(driver(libc::SYS_ioprio_set, [which + 1, who, 0, 0]), right, "{which} {who}");
    }
}

#[test]
fn a_driver_changes_no_file_by_ways_that_landlock_does_not_close() {
    let mut ways = vec![
        libc::SYS_fchmod,
        libc::SYS_fchmodat,
        libc::SYS_fchown,
        libc::SYS_fchownat,
        libc::SYS_utimensat,
        libc::SYS_setxattr,
        libc::SYS_lsetxattr,
        libc::SYS_fsetxattr,
        libc::SYS_removexattr,
        libc::SYS_lremovexattr,
        libc::SYS_fremovexattr,
        libc::SYS_truncate,
    ];
    #[cfg(target_arch = "x86_64")]
    ways.extend([
        libc::SYS_chmod,
        libc::SYS_chown,
        libc::SYS_lchown,
        libc::SYS_utime,
        libc::SYS_utimes,
        libc::SYS_futimesat,
    ]);
    for call in ways {
        assert_eq!(driver(call, NOTHING), libc::EPERM, "{call}");
    }
    for attributes in [0x4008_6602, 0x401c_5820] {
        assert_eq!(driver(libc::SYS_ioctl, [3, attributes, 0, 0]), libc::EPERM, "{attributes}");
    }
    assert_eq!(driver(libc::SYS_openat, NOTHING), 0, "Landlock says which");
}

#[test]
fn a_call_too_new_to_be_listed_is_absent_and_so_is_one_by_its_other_number() {
    // `fchmodat2`, `setxattrat`, and whatever comes next.
    for call in [452, 463, 9_999, 0x4000_0000 | libc::SYS_getpid] {
        assert_eq!(driver(call, NOTHING), libc::ENOSYS, "{call}");
    }
    assert_eq!(driver(libc::SYS_clone3, NOTHING), libc::ENOSYS);
    assert_eq!(driver(libc::SYS_getpid, NOTHING), 0);
}

#[test]
fn a_core_computes_on_its_own_lines_and_starts_threads_alone() {
    let own = u64::from(std::process::id());
    for (call, arguments, right) in [
        (libc::SYS_recvfrom, [5, 0, 0, 0], 0),
        (libc::SYS_sendto, [6, 0, 0, 0], 0),
        (libc::SYS_sendto, [7, 0, 0, 0], libc::EPERM),
        (libc::SYS_write, [2, 0, 0, 0], 0),
        (libc::SYS_write, [1, 0, 0, 0], libc::EPERM),
        (libc::SYS_clone, [libc::CLONE_THREAD as u64, 0, 0, 0], 0),
        (libc::SYS_clone, [libc::SIGCHLD as u64, 0, 0, 0], libc::EPERM),
        (libc::SYS_clone3, NOTHING, libc::ENOSYS),
        (libc::SYS_tgkill, [own, own, 6, 0], 0),
        (libc::SYS_tgkill, [own + 1, own + 1, 6, 0], libc::EPERM),
        (libc::SYS_openat, NOTHING, libc::EPERM),
        (libc::SYS_fchmodat, NOTHING, libc::EPERM),
        (libc::SYS_setpriority, NOTHING, libc::EPERM),
        (452, NOTHING, libc::EPERM),
    ] {
        assert_eq!(core(call, arguments), right, "{call} {arguments:?}");
    }
}

#[test]
fn a_core_has_no_memory_that_its_limit_does_not_count() {
    let (writable, code) = (libc::PROT_READ | libc::PROT_WRITE, libc::PROT_READ | libc::PROT_EXEC);
    let maps =
        |protection: i32, flags: i32| core(libc::SYS_mmap, [0, 1 << 20, protection as u64, flags as u64]);
    let own = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    assert_eq!(maps(writable, own), 0);
    assert_eq!(maps(libc::PROT_NONE, own | libc::MAP_NORESERVE | libc::MAP_STACK), 0, "a thread's stack");
    for flags in [
        libc::MAP_SHARED | libc::MAP_ANONYMOUS,
        libc::MAP_SHARED_VALIDATE | libc::MAP_ANONYMOUS,
        own | libc::MAP_GROWSDOWN,
        libc::MAP_PRIVATE,
        libc::MAP_ANONYMOUS,
    ] {
        assert_eq!(maps(writable, flags), libc::EPERM, "{flags:#x}");
    }
    assert_eq!([maps(code, own), core(libc::SYS_mprotect, [0, 0, code as u64, 0])], [libc::EPERM; 2]);
    assert_eq!(
        core(libc::SYS_mremap, NOTHING),
        libc::EPERM,
        "a stack would grow by it, which is not counted"
    );
}
