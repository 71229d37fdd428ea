//! Skipped tests, which report that on the real standard error.
//!
//! The harness captures `eprintln!`, but not writes to `std::io::stderr()`.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::Write;
use std::sync::{Mutex, Once};

/// The skipped tests, and those of which a part was skipped.
static SKIPPED: Mutex<[BTreeSet<String>; 2]> = Mutex::new([BTreeSet::new(), BTreeSet::new()]);

/// Reports that the running test is skipped. The test must return after this.
pub fn skip(why: impl Display) {
    report(0, "skipped", &why);
}

/// Reports that a part of the running test is skipped. Only the first such part is reported.
pub fn skip_part(why: impl Display) {
    report(1, "skipped in part", &why);
}

fn report(kind: usize, how: &str, why: &dyn Display) {
    static AT_EXIT: Once = Once::new();
    AT_EXIT.call_once(|| {
        // SAFETY: the function exists until the process exits.
        assert_eq!(unsafe { libc::atexit(print_summary) }, 0);
    });
    // The harness runs each test in a thread with the test's name.
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a thread of a test");
    if SKIPPED.lock().unwrap()[kind].insert(test.to_owned()) {
        print(&format!("{how}: {test}: {why}"));
    }
}

/// Runs when the process exits, after the summary of the harness.
extern "C" fn print_summary() {
    let Ok(skipped) = SKIPPED.lock() else {
        return;
    };
    let [whole, part] = skipped.each_ref().map(BTreeSet::len);
    print(&format!("{whole} tests skipped, {part} in part"));
}

/// Prints a line by one write, since other tests print too.
fn print(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
