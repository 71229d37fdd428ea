//! Races: processes start and end, and pids are reused, while the command looks for the daemon.

use std::fs;
use std::path::Path;

use crate::support::control::{ask, ask_on, kernels, says, start_script, start_unlocked};
use crate::support::{
    Place, eventually, has, is_root, pid_in, skip_part, tested_command, without_pidfds,
};
use rustix::process::Signal;

#[test]
fn a_start_that_fails_later_is_not_the_daemon() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let daemon = start_unlocked(&place);
    std::thread::scope(|scope| {
        // The start has the lock, and has not found the daemon without one yet.
        let start = scope.spawn(|| {
            let path = place.path("pid");
            let delay = "--inject=read:delay_enter=3s:when=1";
            let options = ["-P", path.to_str().unwrap(), delay];
            crate::support::under_strace(&place, &options, &["-p", "pid", "sleep", "1000"])
        });
        eventually("it has the lock", || {
            let output = place.run(&mut place.rawdaemon(["-p", "pid", "true"]));
            !output
                .stderr
                .ends_with(&format!(" as pid {}\n", daemon.pid))
        });
        // The other daemon is still the one of the pidfile.
        let pid = format!("{}\n", daemon.pid);
        says(&ask(&place, &["--status"]), 0, &pid, "");
        says(&ask(&place, &["--signal=URG"]), 0, "", "");
        assert_eq!(start.join().unwrap().code(), 12);
    });
    daemon.assert_alive();
}

#[test]
fn stops_at_once_all_succeed() {
    for kernel in kernels() {
        let place = Place::new();
        let slow = "trap 'sleep 0.3; exit' TERM; echo up >>log; while :; do sleep 0.01; done";
        let daemon = start_script(&place, slow);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(ask_on(&place, kernel, &["-qK"]).code(), 0));
            }
        });
        daemon.ended();
        assert!(!place.path("pid").exists());
    }
}

#[test]
fn a_daemon_that_is_replaced_during_a_stop_is_found() {
    if !has("strace") {
        return;
    }
    // As a zombie, the first daemon still has its pid: only the second answer shows that it is not the daemon.
    for is_zombie in [false, true] {
        let place = Place::new();
        let first = place.start(["-p", "pid", "sleep", "1000"]);
        let (_first, second) = std::thread::scope(|scope| {
            // The command has asked once for the owner, and is delayed before it asks again.
            let stop = scope.spawn(|| {
                let delay = "--inject=pidfd_open:delay_enter=4s:when=1";
                let mut command = place.program(Path::new("strace"), ["-qq", "-o", "trace", delay]);
                command.arg(tested_command());
                place.run(command.args(["-v", "--stop", "-p", "pid"]))
            });
            eventually("it has the first answer", || {
                fs::read_to_string(place.path("trace"))
                    .is_ok_and(|said| said.contains("pidfd_open"))
            });
            let number = first.pid.to_string();
            first.signal(Signal::KILL);
            first.ended();
            let first = is_zombie.then_some(first);
            let second = place.start(["-p", "pid", "sleep", "1000"]);
            let line = format!("rawdaemon: stopped pid {} with SIGTERM\n", second.pid);
            assert_ne!(second.pid.to_string(), number);
            says(&stop.join().unwrap(), 0, "", &line);
            (first, second)
        });
        second.ended();
        assert!(!place.path("pid").exists());
    }
}

#[test]
fn a_daemon_that_is_started_after_the_end_of_the_other_is_not_stopped() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let first = place.start(["-p", "pid", "sleep", "1000"]);
    let second = std::thread::scope(|scope| {
        // The command learns of the end when the next daemon runs.
        let stop = scope.spawn(|| {
            let delay = "--inject=ppoll:delay_exit=4s:when=1";
            crate::support::under_strace(&place, &[delay], &["--stop", "-p", "pid"])
        });
        first.ended();
        let second = place.start(["-p", "pid", "sleep", "1000"]);
        says(&stop.join().unwrap(), 0, "", "");
        second
    });
    second.assert_alive();
    assert_eq!(pid_in(&place.path("pid")), second.pid);
}

#[test]
fn a_stop_during_a_start_is_reported_by_both() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    std::thread::scope(|scope| {
        let start = scope.spawn(|| {
            // The daemon has written its pidfile, and is delayed before the next step.
            let delay = "--inject=setpriority:delay_exit=4s";
            let arguments = ["-p", "pid", "-n", "19", "sleep", "1000"];
            crate::support::under_strace(&place, &[delay], &arguments)
        });
        eventually("it has its pidfile", || {
            fs::read_to_string(place.path("pid")).is_ok_and(|text| text.ends_with('\n'))
        });
        says(&ask(&place, &["--stop"]), 0, "", "");
        let output = start.join().unwrap();
        assert_eq!(output.code(), 5, "{output:?}");
        assert!(
            output.stderr.contains("killed by signal 15 (SIGTERM)"),
            "{output:?}"
        );
    });
    assert!(!place.path("pid").exists());
    eventually("no process is left", || place.processes().is_empty());
}

#[test]
fn a_reused_pid_is_not_signalled() {
    if !is_root() || !has("unshare") {
        return;
    }
    let place = Place::new();
    // In its own pid namespace, the script can choose the next pid.
    let script = place.script(
        "reuse",
        "#!/bin/sh
        rawdaemon() { \"$RAWDAEMON\" \"$@\"; }
        rawdaemon -p pid sleep 1000 || exit 1
        pid=$(cat pid)
        kill -9 $pid
        while kill -0 $pid 2>/dev/null; do sleep 0.01; done
        # The time of the file is exact to a second.
        sleep 2.1
        echo $((pid - 1)) >/proc/sys/kernel/ns_last_pid
        sleep 1000 &
        [ $! = $pid ] || exit 2
        for options in --status --stop '-s KILL' '--stop --trust-pidfile'; do
            rawdaemon -p pid $options 2>>said
            echo $options: $? >>said
        done
        kill -0 $pid || exit 3
        grep -q 'State:.[RSD]' /proc/$pid/status || exit 4
        rawdaemon -v -p pid sleep 1000 2>/dev/null || exit 5
        rawdaemon --stop -p pid || exit 6
        kill -0 $pid || exit 7
        ",
    );
    let ids = "/proc/sys/kernel/ns_last_pid";
    for mount in ["--mount-proc", "--mount"] {
        // With its own `/proc`, the namespace may always write to it.
        if mount == "--mount" && fs::OpenOptions::new().write(true).open(ids).is_err() {
            skip_part(format!("{ids} cannot be written to"));
            continue;
        }
        let _ = fs::remove_file(place.path("said"));
        let mut command = place.program(Path::new("unshare"), ["--pid", "--fork", mount]);
        command.arg(&script);
        command.env("RAWDAEMON", tested_command());
        if mount == "--mount" {
            // `/proc` belongs to another namespace, and shows other processes.
            let text = fs::read_to_string(&script).unwrap();
            let text = text.replace("grep -q", "true");
            // Without evidence in `/proc`, --trust-pidfile decides alone.
            fs::write(&script, text.replace(" '--stop --trust-pidfile'", "")).unwrap();
        }
        let output = place.run(&mut command);
        assert_eq!(output.code(), 0, "{mount}: {output:?}");
        let said = place.read("said");
        let codes: Vec<_> = said
            .lines()
            .filter_map(|line| line.rsplit_once(": "))
            .collect();
        let expected = [
            ("--status", "4"),
            ("--stop", "4"),
            ("-s KILL", "4"),
            ("--stop --trust-pidfile", "4"),
        ];
        if mount == "--mount-proc" {
            let codes: Vec<_> = codes
                .iter()
                .filter(|(name, _)| name.starts_with('-'))
                .collect();
            assert_eq!(codes, expected.iter().collect::<Vec<_>>(), "{said}");
        }
    }
}

#[test]
fn a_daemon_that_starts_during_the_look_is_found() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    fs::write(place.path("pid"), format!("{}\n", std::process::id())).unwrap();
    std::thread::scope(|scope| {
        // The command has found no lock, and is delayed before it reads the file.
        let status = scope.spawn(|| {
            let delay = "--inject=read:delay_enter=4s:when=1";
            let mut command = place.program(Path::new("strace"), ["-qq", "-o", "trace", delay]);
            command.args(["-P", place.path("pid").to_str().unwrap()]);
            command.arg(tested_command());
            place.run(command.arg("--status").arg("-p").arg(place.path("pid")))
        });
        eventually("it has asked", || {
            fs::read_to_string(place.path("trace")).is_ok_and(|said| said.contains("GETLK"))
        });
        let daemon = place.start(["-p", "pid", "sleep", "1000"]);
        says(&status.join().unwrap(), 0, &format!("{}\n", daemon.pid), "");
    });
}

#[test]
fn a_pid_that_is_reused_during_a_stop_is_not_signalled() {
    if !is_root() || !has("unshare") || !has("strace") {
        return;
    }
    let place = Place::new();
    let script = place.script(
        "replace",
        "#!/bin/sh
        sleep 1000 &
        victim=$!
        echo $victim >pid
        # The time of the file is exact to a second.
        sleep 1.1
        # The third call opens what gets the signal, before the second look. Other calls are not traced, so
        # the clocks are read fast.
        strace -f --seccomp-bpf -qq -o trace --trace=pidfd_open \
            --inject=pidfd_open:delay_enter=3s:when=3 \
            \"$RAWDAEMON\" --stop --trust-pidfile -p pid &
        stop=$!
        until [ \"$(grep -c pidfd_open trace 2>/dev/null)\" = 3 ]; do sleep 0.01; done
        kill -9 $victim
        wait $victim 2>/dev/null
        echo $((victim - 1)) >/proc/sys/kernel/ns_last_pid
        sleep 1000 &
        [ $! = $victim ] || exit 2
        wait $stop
        [ $? = 4 ] || exit 3
        kill -0 $victim || exit 4
        grep -q 'State:.[RSD]' /proc/$victim/status || exit 5
        ",
    );
    let mut command = place.program(Path::new("unshare"), ["--pid", "--fork", "--mount-proc"]);
    command.arg(&script).env("RAWDAEMON", tested_command());
    let output = place.run(&mut command);
    assert_eq!(output.code(), 0, "{output:?}");
}

#[test]
fn a_pid_that_is_reused_after_the_second_look_is_not_signalled() {
    if !is_root() || !has("unshare") || !has("strace") {
        return;
    }
    // Without pidfds, the last look comes after the second one: at the fingerprint, or without `/proc` at the lock.
    for (hide, path, call, count) in [
        ("", "-P /proc/self/stat", "openat", 5),
        // Without `/proc`, each look asks for two locks.
        ("mount -t tmpfs none /proc", "", "fcntl", 7),
    ] {
        let place = Place::new();
        let text = format!(
            "#!/bin/sh
            exec 9>/proc/sys/kernel/ns_last_pid
            {hide}
            \"$RAWDAEMON\" -p pid sleep 1000 || exit 1
            pid=$(cat pid)
            strace -f --seccomp-bpf -qq -o trace {path} --trace={call} \
                --inject={call}:delay_enter=3s:when={count} \"$RAWDAEMON\" --stop -p pid &
            stop=$!
            until [ \"$(grep -c {call} trace 2>/dev/null)\" = {count} ]; do sleep 0.01; done
            kill -9 $pid
            while kill -0 $pid 2>/dev/null; do sleep 0.01; done
            echo $((pid - 1)) >&9
            sleep 1000 &
            [ $! = $pid ] || exit 2
            wait $stop || exit 3
            kill -9 $pid
            wait $pid
            # It was alive.
            [ $? = 137 ] || exit 4
            [ ! -e pid ] || exit 5
            "
        );
        let script = place.script("replace", &text);
        let mut command = place.program(Path::new("unshare"), ["--pid", "--fork", "--mount-proc"]);
        command.arg(&script).env("RAWDAEMON", tested_command());
        without_pidfds(&mut command);
        let output = place.run(&mut command);
        assert_eq!(output.code(), 0, "{output:?}: {}", place.read("trace"));
    }
}
