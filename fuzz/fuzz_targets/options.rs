//! Fuzzes the parser of the command's arguments.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/command/args/mod.rs"]
#[allow(dead_code)]
mod args;
#[path = "../../tests/properties/options/mod.rs"]
mod property;

fuzz_target!(|data: &[u8]| property::check(data));
