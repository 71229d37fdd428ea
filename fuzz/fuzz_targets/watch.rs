//! Fuzzes the datagrams and events from which the verdict of a start follows.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/watch.rs"]
mod property;

fuzz_target!(|data: &[u8]| property::check(data));
