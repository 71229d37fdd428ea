//! `daemonize_or_exit`: the shortest way for a program that only ever is a daemon.

use std::io::{self, Write};
use std::path::Path;
use std::process::exit;

use crate::options::DaemonizeOptions;
use crate::protocol::Error;
use crate::start::{Identity, Ready};

impl DaemonizeOptions<'_> {
    /// [`daemonize`](Self::daemonize) for a program whose original has nothing left to do, with the feature
    /// `std`. Returns in the daemon only.
    ///
    /// Before the start, standard output is flushed. The original exits with 0; if the start fails, it prints
    /// the error as [`describe`](Self::describe) does, after the name of the program, and exits with the
    /// [exit code](crate::Error::exit_code) of the error.
    ///
    /// ```no_run
    /// use rawdaemon::DaemonizeOptions;
    ///
    /// let ready = DaemonizeOptions::new().pidfile("/run/web.pid").daemonize_or_exit();
    /// // … open sockets, read the configuration …
    /// let _ = ready.notify();
    /// // … serve …
    /// ```
    pub fn daemonize_or_exit(&self) -> Ready {
        // The daemon has a copy of what is not written yet.
        let _ = io::stdout().flush();
        match self.daemonize() {
            Ok(Identity::Daemon(ready)) => ready,
            Ok(Identity::Original(_)) => exit(0),
            Err(error) => self.report(&error),
        }
    }

    fn report(&self, error: &Error) -> ! {
        let program = std::env::args_os().next().unwrap_or_default();
        let name = Path::new(&program).file_name().unwrap_or_default();
        let (name, why) = (Path::new(name).display(), self.describe(error));
        // The exit status tells it, too.
        let _ = writeln!(io::stderr(), "{name}: {why}");
        exit(error.exit_code().into())
    }
}
