//! The crate `fork` with other daemonizers: `daemon` and `checked_daemon` are rawdaemon's.
//!
//! With this in place of `fork`, the tests of `fork` show what a program finds that moves to rawdaemon.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rawdaemon::{Cause, DaemonizeOptions, Error, ErrorKind, Identity, Ready, Stdio};

pub use fork::*;

/// As the function of `fork`: both parents exit.
pub fn daemon(nochdir: bool, noclose: bool) -> io::Result<Fork> {
    let mut options = DaemonizeOptions::new()
        .inherit_umask()
        .timeout(Duration::ZERO);
    if nochdir {
        options = options.chdir(".");
    }
    if noclose {
        options = options
            .stdin(Stdio::inherit())
            .stdout(Stdio::inherit())
            .stderr(Stdio::inherit());
    }
    match options.daemonize()? {
        // SAFETY: the process ends.
        Identity::Original(_) => unsafe { libc::_exit(0) },
        Identity::Daemon(_) => Ok(Fork::Child),
    }
}

/// The options that the tests use.
#[derive(Debug, Default)]
pub struct DaemonOptions {
    current_directory: Option<OsString>,
    null: bool,
    preserved: Vec<OwnedFd>,
    maps: bool,
}

impl DaemonOptions {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn current_directory(&mut self, path: impl AsRef<OsStr>) -> io::Result<&mut Self> {
        self.current_directory = Some(path.as_ref().to_owned());
        Ok(self)
    }

    pub fn redirect_standard_io_to_null(&mut self) -> io::Result<&mut Self> {
        self.null = true;
        Ok(self)
    }

    pub fn preserve_descriptor(&mut self, descriptor: OwnedFd) -> io::Result<&mut Self> {
        self.preserved.push(descriptor);
        Ok(self)
    }

    /// rawdaemon has no such option.
    pub fn map_descriptor(&mut self, _: OwnedFd, _: RawFd) -> io::Result<&mut Self> {
        self.maps = true;
        Ok(self)
    }
}

#[derive(Debug, Clone, Copy)]
pub struct DaemonProcess {
    process: ProcessId,
    process_group: ProcessGroupId,
}

impl DaemonProcess {
    pub fn process(&self) -> ProcessId {
        self.process
    }

    pub fn process_group(&self) -> ProcessGroupId {
        self.process_group
    }
}

#[derive(Debug)]
pub struct DaemonNotifier(Ready);

impl DaemonNotifier {
    pub fn notify_ready(self) -> io::Result<()> {
        Ok(self.0.notify()?)
    }

    pub fn fail_and_exit(self, error: &io::Error) -> ! {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        let _ = self.0.fail(io::Error::from_raw_os_error(errno));
        // SAFETY: the process ends.
        unsafe { libc::_exit(1) }
    }
}

#[derive(Debug)]
pub enum CheckedDaemon {
    Parent(DaemonProcess),
    Daemon(DaemonNotifier),
}

/// As the function of `fork`. The tests call it in a thread of their harness.
pub fn checked_daemon(
    options: DaemonOptions,
    startup_timeout: Duration,
) -> Result<CheckedDaemon, DaemonError> {
    let cleanup_pending = DaemonCleanup::default();
    if options.maps {
        return Err(DaemonError::OperatingSystem {
            stage: DaemonStage::Descriptors,
            error: io::ErrorKind::InvalidInput.into(),
            cleanup_pending,
        });
    }
    let preserved: Vec<RawFd> = options.preserved.iter().map(|fd| fd.as_raw_fd()).collect();
    let mut daemonize = DaemonizeOptions::new()
        .chdir(options.current_directory.unwrap_or_else(|| ".".into()))
        .inherit_umask()
        .reset_signals(true)
        .close_fds(&preserved)
        .require_ready(true)
        .timeout(startup_timeout);
    if !options.null {
        daemonize = daemonize
            .stdin(Stdio::inherit())
            .stdout(Stdio::inherit())
            .stderr(Stdio::inherit());
    }
    // SAFETY: the other threads are those of the test harness. The daemons of the tests use nothing of theirs.
    match unsafe { daemonize.daemonize_unchecked() } {
        Ok(Identity::Original(daemon)) => Ok(CheckedDaemon::Parent(DaemonProcess {
            process: ProcessId::new(daemon.pid().get()).expect("a pid is above 0"),
            process_group: ProcessGroupId::new(daemon.process_group().get()).expect("and a group"),
        })),
        Ok(Identity::Daemon(ready)) => {
            // As in `fork`, they stay open in the daemon.
            std::mem::forget(options.preserved);
            Ok(CheckedDaemon::Daemon(DaemonNotifier(ready)))
        }
        Err(error) => Err(daemon_error(error, startup_timeout, cleanup_pending)),
    }
}

fn daemon_error(error: Error, timeout: Duration, cleanup_pending: DaemonCleanup) -> DaemonError {
    let stage = match error.kind() {
        ErrorKind::FirstForkFailed => DaemonStage::FirstFork,
        ErrorKind::SetsidFailed => DaemonStage::CreateSession,
        ErrorKind::ForkFailed => DaemonStage::SecondFork,
        ErrorKind::ChdirFailed => DaemonStage::CurrentDirectory,
        ErrorKind::OpenDevNullFailed | ErrorKind::StdioFailed | ErrorKind::CloseFailed => {
            DaemonStage::Descriptors
        }
        ErrorKind::SignalsFailed => DaemonStage::SignalState,
        // The daemon has dropped its notifier; it may have exited by now.
        ErrorKind::Refused if error.cause() == Cause::Silent => {
            return DaemonError::Abandoned { cleanup_pending };
        }
        ErrorKind::DaemonDied => return DaemonError::Abandoned { cleanup_pending },
        ErrorKind::Refused => DaemonStage::Initialization,
        ErrorKind::TimedOut => {
            return DaemonError::TimedOut {
                timeout,
                cleanup_pending,
            };
        }
        _ => DaemonStage::Handshake,
    };
    let error = match error.cause() {
        Cause::Errno(errno) => io::Error::from_raw_os_error(errno.number()),
        _ => error.into(),
    };
    DaemonError::OperatingSystem {
        stage,
        error,
        cleanup_pending,
    }
}
