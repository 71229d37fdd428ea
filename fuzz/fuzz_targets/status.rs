//! Fuzzes the records, datagrams and wait statuses that decide the result of a start.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/status/mod.rs"]
mod property;

fuzz_target!(|data: &[u8]| property::check(data));
