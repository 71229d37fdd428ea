//! Fuzzes changes to the environment of a command.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/environment.rs"]
mod property;

fuzz_target!(|data: &[u8]| property::check(data));
