//! Fuzzes the search for a command in PATH, and for the interpreter of its file.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/search.rs"]
mod property;

fuzz_target!(|data: &[u8]| property::check(data));
