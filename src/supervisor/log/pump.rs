//! The process that reads the output of a daemon.

use super::options::LogOptions;
use super::output::{Log, MEMORY};
use crate::protocol::{Errno, Error, ErrorKind, Nanoseconds, SECOND, Signal, Subject, failed};
use crate::sys::{self, Fd, Mapping, NO_FD, RawFd, SignalSet};

/// How much memory is kept while nothing is read.
const SMALL: usize = 1 << 13;

/// The signals that the process handles.
const SIGNALS: SignalSet =
    SignalSet::of(Signal::TERM.number() as u32).and(SignalSet::of(Signal::USR1.number() as u32));

/// Opens a log for the first time, to find out whether that is possible. An unfinished line that an earlier daemon has left
/// in the file is ended.
///
/// # Errors
///
/// `OpenFailed` for the standard output.
pub(crate) fn open(options: &LogOptions<'_>) -> Result<(), Error> {
    let mut log = Log::new(options);
    log.open()
        .map_err(|errno| failed(ErrorKind::OpenFailed)(errno).about(Subject::Stdout))?;
    log.end_line(b"");
    Ok(())
}

/// Reads a pipe and writes what comes to the log, until the end of the pipe or a SIGTERM. Returns the exit code.
///
/// `supervisor` is the other end of a socket by which a supervisor sends lines of its own. All signals must be blocked.
/// A SIGUSR1 opens the log again. A log that cannot be opened is tried again for each write: the pipe is read as long
/// as this process runs, so that the daemon does not wait.
pub(crate) fn run(options: &LogOptions<'_>, pipe: RawFd, mut supervisor: RawFd) -> u8 {
    let Ok(mut memory) = Mapping::new(MEMORY) else {
        return ErrorKind::OpenFailed as u8;
    };
    let mut log = Log::new(options);
    // It is tried again.
    let _ = log.open();
    // Without it, in a sandbox, the log goes on to the end of the pipe.
    let signals = sys::signalfd(SIGNALS).ok();
    let signals = signals.as_ref().map_or(NO_FD, Fd::raw);
    loop {
        let mut ready = [pipe, signals, supervisor, NO_FD];
        // After a burst, the memory is given back once nothing has come for a second. Then there is no timer.
        let timeout = if log.used > SMALL {
            SECOND
        } else {
            Nanoseconds::MAX
        };
        if sys::ppoll(&mut ready, timeout).is_err() {
            return ErrorKind::WaitFailed as u8;
        }
        let [output, told, heard, _] = ready;
        if heard != NO_FD {
            if !hear(supervisor, pipe, &mut log, &mut memory) {
                supervisor = NO_FD;
            }
            // The pipe may be empty now.
            continue;
        }
        if told != NO_FD {
            match sys::read_signal(signals).and_then(|number| Signal::new(number as u8)) {
                Some(Signal::TERM) => {
                    log.drain(pipe, &mut memory);
                    break;
                }
                Some(_) => log.reopen(),
                None => {}
            }
        }
        if output == NO_FD {
            log.give_back(&mut memory);
        } else if log.transfer(pipe, &mut memory).is_none() {
            break;
        }
    }
    hear(supervisor, pipe, &mut log, &mut memory);
    log.finish(&memory);
    0
}

/// Receives lines of the supervisor's, which stand behind what its daemon has written before. Returns whether there is
/// still a supervisor.
fn hear(supervisor: RawFd, pipe: RawFd, log: &mut Log<'_>, memory: &mut [u8]) -> bool {
    let mut lines = [0; 1024];
    match sys::read(supervisor, &mut lines) {
        Ok(0) => false,
        Ok(count) => {
            log.drain(pipe, memory);
            log.say(lines.get(..count as usize).unwrap_or_default(), memory);
            true
        }
        Err(errno) => errno == Errno::EAGAIN,
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::path::{Path, PathBuf};
    use std::sync::mpsc;
    use std::thread::JoinHandle;
    use std::vec::Vec;

    use super::super::options::{LogOptions, LogTarget, LogTime};
    use super::{open, run};
    use crate::protocol::{ErrorKind, Signal, Subject};
    use crate::sys::{self, NO_FD, Pipe, RawFd, SignalSet};

    /// A log that a thread writes.
    struct Running {
        writer: RawFd,
        thread: JoinHandle<u8>,
        tid: u32,
    }

    impl Running {
        fn start(path: &Path, options: LogOptions<'static>) -> Self {
            let target = LogTarget::File(c_string(path));
            let options = LogOptions { target, ..options };
            let Pipe { reader, writer } = sys::pipe().unwrap();
            sys::set_status_flags(writer, false).unwrap();
            let (sender, receiver) = mpsc::channel();
            let thread = std::thread::spawn(move || {
                sys::block_signals(SignalSet::ALL).unwrap();
                sender.send(sys::gettid()).unwrap();
                let code = run(&options, reader, NO_FD);
                sys::close(reader);
                code
            });
            let tid = receiver.recv().unwrap();
            Self {
                writer,
                thread,
                tid,
            }
        }

        fn write(&self, text: &str) {
            assert_eq!(
                sys::write(self.writer, text.as_bytes()),
                Ok(text.len() as u32)
            );
        }

        #[allow(unsafe_code, reason = "the standard library signals no thread")]
        fn signal(&self, signal: Signal) {
            let number = libc::c_long::from(signal.number());
            // SAFETY: numbers only.
            let result =
                unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), self.tid, number) };
            assert_eq!(result, 0);
        }

        /// Waits until everything that was written has been read, and the thread waits for more.
        fn wait_until_read(&self) {
            let stat = std::format!("/proc/self/task/{}/stat", self.tid);
            while sys::fionread(self.writer).unwrap() > 0
                || !fs::read_to_string(&stat).unwrap().contains(") S ")
            {
                std::thread::yield_now();
            }
        }

        fn end(self) {
            sys::close(self.writer);
            assert_eq!(self.thread.join().unwrap(), 0);
        }
    }

    fn c_string(path: &Path) -> crate::ThinCStr<'static> {
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        crate::ThinCStr::new(std::boxed::Box::leak(path.into_boxed_c_str()))
    }

    /// A folder, and a path in it.
    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        (folder, path)
    }

    fn old(path: &Path, number: u32) -> PathBuf {
        std::format!("{}.{number}", path.display()).into()
    }

    #[test]
    fn lines_are_written_until_the_pipe_ends() {
        let (_folder, path) = place();
        fs::write(&path, "before\n").unwrap();
        let log = Running::start(&path, LogOptions::new());
        log.write("one\ntw");
        log.write("o\nthree");
        log.end();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "before\none\ntwo\nthree"
        );
    }

    #[test]
    fn a_file_is_rotated_between_lines() {
        let (folder, path) = place();
        let options = LogOptions {
            size: 4096,
            keep: 3,
            ..LogOptions::new()
        };
        let log = Running::start(&path, options);
        let lines: Vec<_> = (0..5000)
            .map(|number| std::format!("line {number}\n"))
            .collect();
        let text = lines.concat();
        for piece in text.as_bytes().chunks(1777) {
            log.write(core::str::from_utf8(piece).unwrap());
        }
        log.end();
        let files = [old(&path, 3), old(&path, 2), old(&path, 1), path.clone()];
        let files: Vec<_> = files
            .iter()
            .map(|file| fs::read_to_string(file).unwrap())
            .collect();
        assert!(text.ends_with(&files.concat()));
        for file in &files {
            assert!(file.starts_with("line ") && file.ends_with('\n'));
            assert!(file.len() <= 4096);
        }
        assert!(files[..3].iter().all(|file| file.len() > 4000));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    #[test]
    fn without_old_files_the_log_begins_anew() {
        let (folder, path) = place();
        let options = LogOptions {
            size: 4096,
            keep: 0,
            ..LogOptions::new()
        };
        let log = Running::start(&path, options);
        for number in 0..1000 {
            log.write(&std::format!("line {number}\n"));
        }
        log.end();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("line ") && text.ends_with("line 999\n"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn sigusr1_opens_the_file_anew_after_the_line() {
        let (_folder, path) = place();
        let log = Running::start(&path, LogOptions::new());
        log.write("one\ntw");
        log.wait_until_read();
        fs::rename(&path, old(&path, 1)).unwrap();
        log.signal(Signal::USR1);
        log.write("o\nthree\n");
        log.wait_until_read();
        log.end();
        assert_eq!(fs::read_to_string(old(&path, 1)).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
    }

    #[test]
    fn a_line_of_the_supervisor_behind_one_of_the_daemon_ends_nothing() {
        let (_folder, path) = place();
        let target = LogTarget::File(c_string(&path));
        let Pipe { reader, writer } = sys::pipe().unwrap();
        let [supervisor, other] = sys::socketpair().unwrap();
        // At the first look, both can be read.
        sys::write(writer, b"daemon\n").unwrap();
        sys::send(supervisor.raw(), b"supervisor\n", false).unwrap();
        let thread = std::thread::spawn(move || {
            sys::block_signals(SignalSet::ALL).unwrap();
            let options = LogOptions {
                target,
                ..LogOptions::default()
            };
            let code = run(&options, reader, other.raw());
            sys::close(reader);
            code
        });
        let first = "daemon\nsupervisor\n";
        while fs::read_to_string(&path).unwrap_or_default() != first {
            std::thread::yield_now();
        }
        sys::write(writer, b"more\n").unwrap();
        sys::close(writer);
        assert_eq!(thread.join().unwrap(), 0);
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            std::format!("{first}more\n")
        );
    }

    #[test]
    fn sigterm_writes_what_the_pipe_holds() {
        let (_folder, path) = place();
        let log = Running::start(&path, LogOptions::new());
        let text = "some line\n".repeat(6000);
        log.write(&text);
        log.signal(Signal::TERM);
        assert_eq!(log.thread.join().unwrap(), 0);
        sys::close(log.writer);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn each_line_has_a_time() {
        let (_folder, path) = place();
        fs::write(&path, "unfinished").unwrap();
        let options = LogOptions {
            time: LogTime::Boot,
            ..LogOptions::new()
        };
        let log = Running::start(&path, options);
        log.write(" line\none\nt");
        log.wait_until_read();
        log.write("wo\n");
        log.end();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text
            .lines()
            .map(|line| line.split("] ").last().unwrap())
            .collect();
        assert_eq!(lines, ["unfinished line", "one", "two"]);
        assert_eq!(text.matches('[').count(), 2);
    }

    #[test]
    fn dropped_lines_are_counted() {
        let (_folder, path) = place();
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let log = Running::start(&path, LogOptions::new());
        log.write("one\ntwo\nthr");
        log.wait_until_read();
        log.write("ee\nfour\nfiv");
        log.wait_until_read();
        fs::remove_file(&path).unwrap();
        log.signal(Signal::USR1);
        log.write("e\nsix\n");
        log.end();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "rawdaemon: 5 lines dropped\nsix\n");
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("log");
        let target = LogTarget::File(c_string(&path));
        let error = open(&LogOptions {
            target,
            ..LogOptions::new()
        })
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OpenFailed);
        assert_eq!(error.subject(), Some(Subject::Stdout));
        let log = Running::start(&path, LogOptions::new());
        let text = "some line\n".repeat(20_000);
        log.write(&text);
        log.wait_until_read();
        fs::create_dir(path.parent().unwrap()).unwrap();
        log.write("here\n");
        log.end();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "rawdaemon: 20000 lines dropped\nhere\n");
    }

    #[test]
    fn the_first_open_ends_an_unfinished_line() {
        let (_folder, path) = place();
        fs::write(&path, "unfinished").unwrap();
        let options = LogOptions {
            target: LogTarget::File(c_string(&path)),
            size: 4096,
            ..LogOptions::new()
        };
        for _ in 0..2 {
            open(&options).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "unfinished\n");
        }
        let link = old(&path, 7);
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let target = LogTarget::File(c_string(&link));
        let error = open(&LogOptions { target, ..options }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OpenFailed);
    }
}
