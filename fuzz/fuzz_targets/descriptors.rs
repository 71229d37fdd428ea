//! Fuzzes which descriptors are closed.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/descriptors.rs"]
mod property;

fuzz_target!(|data: &[u8]| property::check(data));
