//! Fuzzes what identifies the daemon of a pidfile: `/proc/PID/stat`, pids, and times.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/pidfile.rs"]
mod property;

fuzz_target!(|data: &[u8]| property::check(data));
