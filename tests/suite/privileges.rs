//! The daemon's capabilities, securebits and scheduling.

use std::fs;
use std::process::Command;

use rawdaemon::{
    Capabilities, CpuSet, DaemonizeOptions, IoPriority, SchedPolicy, Securebits, argv,
};
use rustix::process::Pid;

use crate::support::{
    Daemon, Place, before_exec, eventually, filter, has, has_filters, has_test_programs, is_root,
    is_root_for, run, skip, skip_part, status_line,
};

const SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

/// CAP_KILL and CAP_SETGID, as the tests set them.
const TWO: &str = "0000000000000060";
/// CAP_CHECKPOINT_RESTORE and CAP_KILL.
const HIGH: &str = "0000010000000020";
const NONE: &str = "0000000000000000";

fn assert_capabilities(pid: Pid, expected: &str) {
    for set in SETS {
        assert_eq!(status_line(pid, set), [expected], "{set}");
    }
}

/// Leaves the process that will be executed only these capabilities, if it is root.
fn limited(command: &mut Command, kept: &'static [u32]) {
    before_exec(command, move || {
        for capability in (0..64).filter(|number| !kept.contains(number)) {
            // SAFETY: numbers. The call fails for those that the kernel lacks.
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability) };
        }
        Ok(())
    });
}

#[test]
fn a_daemon_has_the_capabilities_that_it_is_given_and_no_others() {
    if !is_root() {
        return;
    }
    let two = "--capabilities=kill,CAP_setgid";
    for (options, expected) in [
        (&["-u", "5033:5034", two][..], TWO),
        (&["-u", "5033:5034", "--no-new-privs", two], TWO),
        (&["-u", "5033:5034", "--capabilities=5,6"], TWO),
        (&["-u", "5033:5034", "--capabilities=none"], NONE),
        // A program that root executes gets the bounding set, too.
        (&[two], TWO),
        (&[two, "--securebits=noroot,noroot-locked"], TWO),
        (&["--capabilities=none"], NONE),
        (&["-u", "5033:5034", "--capabilities=40,kill"], HIGH),
    ] {
        if expected == HIGH
            && !status_line(rustix::process::getpid(), "CapEff")[0].starts_with("000001")
        {
            skip_part("CAP_CHECKPOINT_RESTORE is missing");
            continue;
        }
        let place = Place::new();
        let daemon = place.start_by(place.rawdaemon(options).args(["-v", "sleep", "1000"]));
        assert_capabilities(daemon.pid, expected);
    }
    let place = Place::new();
    let mut command = place.rawdaemon(["-f", "-u", "5033:5034", two, "sleep", "1000"]);
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_child(&child);
    eventually("it is executed", || {
        fs::read_to_string(format!("/proc/{pid}/comm")).unwrap() == "sleep\n"
    });
    assert_capabilities(pid, TWO);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn capabilities_that_the_launcher_lacks_are_an_error() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let says = "rawdaemon: cannot set a limit (capabilities): Operation not permitted (EPERM)";
    // Only CAP_SETPCAP can reduce the bounding set.
    for (kept, options) in [
        (&[5, 8][..], "--capabilities=kill,setgid"),
        (&[5, 6], "--capabilities=kill"),
        (&[5, 8], "--capabilities=63"),
    ] {
        let mut command = place.rawdaemon(["-p", "pid", options, "sleep", "1000"]);
        limited(&mut command, kept);
        place.fails(&mut command, 17, says);
        assert!(!place.path("pid").exists());
    }
    // There is nothing to reduce.
    let mut command = place.rawdaemon(["-v", "--capabilities=kill,setgid", "sleep", "1000"]);
    limited(&mut command, &[5, 6]);
    let daemon = place.start_by(&mut command);
    assert_capabilities(daemon.pid, TWO);
}

#[test]
fn securebits_are_set() {
    if !is_root() || !has("setpriv") {
        return;
    }
    for (options, expected) in [
        (&["--securebits=noroot"][..], "noroot"),
        (
            &["--securebits=noroot-locked,noroot", "-u", "5033:5034"],
            "noroot,noroot_locked",
        ),
        (
            &[
                "--securebits=no-setuid-fixup,keep-caps-locked",
                "--capabilities=kill",
                "-u",
                "5033:5034",
            ],
            "no_setuid_fixup,keep_caps_locked",
        ),
        (&["--capabilities=kill", "-u", "5033:5034"], "[none]"),
        (&["--securebits=none"], "[none]"),
    ] {
        let place = Place::new();
        let mut command = place.rawdaemon(options);
        command.args(["-o", "dump", "setpriv", "--dump"]);
        let output = place.run(&mut command);
        assert_eq!(output.code(), 0, "{output:?}");
        let line = || {
            let dump = fs::read_to_string(place.path("dump")).unwrap();
            let mut lines = dump.lines();
            lines.find_map(|line| Some(line.strip_prefix("Securebits: ")?.to_owned()))
        };
        eventually("the securebits are printed", || line().is_some());
        assert_eq!(line().as_deref(), Some(expected), "{options:?}");
        eventually("it has ended", || place.processes().is_empty());
    }
    // A user other than root has no capability but those that were asked for.
    let place = Place::new();
    let options = ["-v", "-u", "5033:5034", "--securebits=no-setuid-fixup"];
    let daemon = place.start_by(place.rawdaemon(options).args(["sleep", "1000"]));
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status_line(daemon.pid, set), [NONE], "{set}");
    }
    let says = "rawdaemon: cannot set a limit (securebits): Operation not permitted (EPERM)";
    let mut command = place.rawdaemon(["--securebits=noroot", "sleep", "1000"]);
    limited(&mut command, &[5, 6]);
    drop(daemon);
    place.fails(&mut command, 17, says);
}

/// The scheduling policy and the real-time priority of a process.
fn policy(pid: Pid) -> (String, String) {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    (fields[38].to_owned(), fields[37].to_owned())
}

/// The class and the level of I/O scheduling.
fn io_priority(pid: Pid) -> (i64, i64) {
    // SAFETY: numbers. 1 stands for a process.
    let number = unsafe { libc::syscall(libc::SYS_ioprio_get, 1, pid.as_raw_nonzero().get()) };
    assert!(number >= 0, "{}", std::io::Error::last_os_error());
    (number >> 13, number & 0x1fff)
}

/// The last CPU on which this process may run.
fn last_cpu() -> String {
    let own = rustix::process::getpid();
    let [cpus] = &status_line(own, "Cpus_allowed_list")[..] else {
        panic!("no CPUs");
    };
    cpus.rsplit([',', '-']).next().unwrap().to_owned()
}

/// Whether the tests may run on several CPUs. If not, a part of the test is skipped.
fn has_several_cpus() -> bool {
    let [cpus] = &status_line(rustix::process::getpid(), "Cpus_allowed_list")[..] else {
        panic!("no CPUs");
    };
    let are_several = cpus.contains(['-', ',']);
    if !are_several {
        skip_part("CPUs: there is only one");
    }
    are_several
}

#[test]
fn scheduling_is_set_as_requested() {
    let place = Place::new();
    let cpu = last_cpu();
    // The machine lacks the second one.
    let cpus = format!("--cpus={cpu},1023");
    let options = ["--sched=batch", "--ionice=best-effort:2", &cpus, "-n", "7"];
    let daemon = place.start_by(place.rawdaemon(options).args(["-v", "sleep", "1000"]));
    assert_eq!(policy(daemon.pid), ("3".into(), "0".into()));
    assert_eq!(io_priority(daemon.pid), (2, 2));
    assert_eq!(status_line(daemon.pid, "Cpus_allowed_list"), [cpu]);
    drop(daemon);
    let options = ["--sched=idle", "--ionice=idle"];
    let daemon = place.start_by(place.rawdaemon(options).args(["-v", "sleep", "1000"]));
    assert_eq!(policy(daemon.pid), ("5".into(), "0".into()));
    assert_eq!(io_priority(daemon.pid), (3, 7));
    drop(daemon);
    let says = "rawdaemon: cannot set a limit (cpus): Invalid argument (EINVAL)";
    let mut command = place.rawdaemon(["--cpus=1000-1023", "sleep", "1000"]);
    place.fails(&mut command, 17, says);
    if !is_root_for("a real-time policy") {
        let says = "rawdaemon: cannot set a limit (sched): Operation not permitted (EPERM)";
        let mut command = place.rawdaemon(["--sched=fifo:99", "sleep", "1000"]);
        place.fails(&mut command, 17, says);
        return;
    }
    let options = ["--sched=rr:3", "--ionice=realtime:1", "-u", "5033:5034"];
    let output = place.run(place.rawdaemon(options).args(["-v", "sleep", "1000"]));
    if output.code() == 17 && output.stderr.contains("(sched)") {
        // Of CAP_SYS_NICE and a share of the group's real-time, one may be missing.
        skip_part("a real-time policy is not allowed here");
        return;
    }
    let daemon = Daemon::new(output.pid());
    assert_eq!(policy(daemon.pid), ("2".into(), "3".into()));
    assert_eq!(io_priority(daemon.pid), (1, 1));
}

#[test]
fn what_a_sandbox_only_pretends_to_set_is_an_error() {
    if !has_filters() {
        return;
    }
    let place = Place::new();
    let not_permitted = "Operation not permitted (EPERM)";
    for (call, option, subject, why) in [
        (
            libc::SYS_sched_setscheduler,
            "--sched=batch",
            "sched",
            not_permitted,
        ),
        (
            libc::SYS_ioprio_set,
            "--ionice=idle",
            "ionice",
            not_permitted,
        ),
        (libc::SYS_setpriority, "--nice=19", "nice", not_permitted),
        (
            libc::SYS_sched_setaffinity,
            &format!("--cpus={}", last_cpu()),
            "cpus",
            not_permitted,
        ),
        (
            libc::SYS_prlimit64,
            "--rlimit=core=4099",
            "core",
            "Value too large for defined data type (EOVERFLOW)",
        ),
    ] {
        if subject == "cpus" && !has_several_cpus() {
            continue;
        }
        let mut command = place.rawdaemon([option, "sleep", "1000"]);
        before_exec(&mut command, filter(call, libc::SECCOMP_RET_ERRNO));
        let says = format!("rawdaemon: cannot set a limit ({subject}): {why}");
        place.fails(&mut command, 17, &says);
    }
}

#[test]
fn capabilities_are_read_back() {
    if !is_root() || !has_filters() {
        return;
    }
    let place = Place::new();
    for errno in [0, libc::EINVAL as u32] {
        for (option, subject) in [
            ("--capabilities=none", "capabilities"),
            ("--capabilities=kill", "capabilities"),
            ("--securebits=noroot", "securebits"),
            ("--no-new-privs", "no_new_privs"),
        ] {
            let mut command = place.rawdaemon([option, "sleep", "1000"]);
            before_exec(
                &mut command,
                filter(libc::SYS_prctl, libc::SECCOMP_RET_ERRNO | errno),
            );
            let output = place.run(&mut command);
            assert_eq!(output.code(), 17, "{option} {errno}: {output:?}");
            assert!(output.stderr.contains(subject), "{output:?}");
            place.assert_no_process();
        }
    }
    // What the kernel does not tell is not what was expected.
    let answer = libc::SECCOMP_RET_ERRNO;
    let mut command = place.rawdaemon(["-u", "5033:5034", "sleep", "1000"]);
    before_exec(&mut command, filter(libc::SYS_capget, answer));
    let says = "rawdaemon: cannot set a limit (capabilities): Operation not permitted (EPERM)";
    place.fails(&mut command, 17, says);
}

#[test]
fn securebits_of_the_launcher_change_no_answer() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let start = |bits: i32, options: &[&str]| {
        let mut command = place.rawdaemon(options);
        before_exec(command.args(["-v", "sleep", "1000"]), move || {
            // SAFETY: numbers.
            let result = unsafe { libc::prctl(libc::PR_SET_SECUREBITS, bits) };
            assert_eq!(result, 0);
            Ok(())
        });
        place.run(&mut command)
    };
    let two = "--capabilities=kill,setgid";
    // SECBIT_NO_SETUID_FIXUP, and SECBIT_KEEP_CAPS_LOCKED without the bit that it locks.
    for (bits, options) in [(0x04, &[two, "-u", "5033:5034"][..]), (0x20, &[two])] {
        let output = start(bits, options);
        assert_eq!(output.code(), 0, "{bits:#x}: {output:?}");
        assert_capabilities(Daemon::new(output.pid()).pid, TWO);
    }
    // The capabilities cannot be kept over the change of the user, or not passed on.
    for (bits, options) in [
        (0x20, &[two, "-u", "5033:5034"]),
        (0xc0, &[two, "-u", "5033:5034"]),
    ] {
        let output = start(bits, options);
        assert_eq!(output.code(), 17, "{bits:#x}: {output:?}");
        place.assert_no_process();
    }
}

#[test]
fn a_caller_that_goes_on_as_another_user_keeps_no_capability() {
    if !is_root() || !has_test_programs() {
        return;
    }
    let output = run(&Place::new(), "refused capabilities");
    let says = format!(
        "cannot set a limit (capabilities): Operation not permitted (EPERM)\n\
         Uid:\t5033\t5033\t5033\t5033\n\
         CapPrm:\t{NONE}\nCapEff:\t{NONE}\nCapInh:\t{NONE}\n"
    );
    assert_eq!(output.stdout, says, "{output:?}");
}

#[test]
fn a_real_time_priority_is_read_back() {
    if !is_root() || !has_filters() {
        return;
    }
    let place = Place::new();
    let mut command = place.rawdaemon(["--sched=fifo:50", "sleep", "1000"]);
    before_exec(&mut command, || {
        let parameter = libc::sched_param { sched_priority: 1 };
        // SAFETY: the kernel reads the parameter.
        match unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameter) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    });
    let pretends = filter(libc::SYS_sched_setscheduler, libc::SECCOMP_RET_ERRNO);
    before_exec(&mut command, pretends);
    if let Err(error) = command.status() {
        skip(format!("a real-time policy is not allowed here: {error}"));
        return;
    }
    let says = "rawdaemon: cannot set a limit (sched): Operation not permitted (EPERM)";
    place.fails(&mut command, 17, says);
}

#[test]
fn a_program_sets_them_too() {
    let cpu: usize = last_cpu().parse().unwrap();
    let mut cpus = CpuSet::new();
    assert!(cpus.insert(cpu));
    let mut options = DaemonizeOptions::new()
        .sched(SchedPolicy::Batch)
        .ionice(IoPriority::BestEffort(6))
        .cpus(cpus);
    let has_capabilities = is_root_for("capabilities");
    if has_capabilities {
        options = options
            .user_ids(5033, 5034, &[])
            .capabilities(Capabilities::KILL | Capabilities::SETGID)
            .securebits(Securebits::NOROOT);
    }
    let own = || {
        let own = rustix::process::getpid();
        let sets = SETS.map(|set| status_line(own, set));
        (
            sets,
            policy(own),
            io_priority(own),
            status_line(own, "Cpus_allowed_list"),
        )
    };
    let before = own();
    let argv = argv![c"sleep", c"1000"];
    let started = options.spawn(c"sleep", argv, argv![c"PATH=/bin:/usr/bin"]);
    let daemon = Daemon::new(Pid::from_raw(started.unwrap().pid().get()).unwrap());
    assert_eq!(own(), before);
    assert_eq!(policy(daemon.pid), ("3".into(), "0".into()));
    assert_eq!(io_priority(daemon.pid), (2, 6));
    assert_eq!(
        status_line(daemon.pid, "Cpus_allowed_list"),
        [cpu.to_string()]
    );
    if has_capabilities {
        assert_capabilities(daemon.pid, TWO);
    }
}
