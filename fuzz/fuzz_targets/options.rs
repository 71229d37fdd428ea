//! Fuzzes the command's arguments: no list of them breaks the parser.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/options/mod.rs"]
mod property;

fuzz_target!(|data: &[u8]| property::check(data));
