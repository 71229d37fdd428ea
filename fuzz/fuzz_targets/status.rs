//! Fuzzes what the processes of a start tell each other: no bytes make a success of a failure.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/status/mod.rs"]
mod property;

fuzz_target!(|data: &[u8]| property::check(data));
