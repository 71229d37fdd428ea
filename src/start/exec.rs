//! The command of `spawn`, and its exec.

use core::convert::Infallible;

use super::context::{Context, Role, WorkingDirectory};
use super::file_head::is_script;
use super::intermediate::run_daemon;
use super::kept_fds::{FIRST_FD, KeptFds};
use super::path_search::{any_path, is_relative};
use super::plan::Memory;
use crate::protocol::{Errno, Error, ErrorKind, Nanoseconds, Note, Pid, failed};
use crate::sys::{
    self, CStrings, Child, End, ExitSignal, Fork, Forked, NO_FD, Open, RawFd, SignalSet, ThinCStr,
    Thread, WORKING_DIRECTORY, clone_vm,
};
use crate::text::split_once;

/// A command: the arguments of execve(2).
pub(super) struct Command<'a> {
    pub(super) program: ThinCStr<'a>,
    pub(super) argv: CStrings<'a>,
    pub(super) envp: CStrings<'a>,
    /// Called before the exec: only in the foreground, where this process is the caller's.
    pub(super) before_exec: Option<&'a dyn Fn()>,
}

/// The daemon, which runs in its parent's memory until it executes the command.
struct Daemon<'c, 'a>(&'c Context<'c, Command<'a>>);

impl Child for Daemon<'_, '_> {
    type Output = Infallible;

    fn run(&self) -> End<Forked<Infallible>> {
        match run_daemon(self.0) {
            End::Exit(status) => End::Exit(status),
        }
    }

    fn stops_parent(&self) -> bool {
        self.0.shared.plan.memory == Memory::SharedStopping
    }
}

impl Role for Command<'_> {
    /// None: the daemon executes the command or fails.
    type Output = Infallible;

    fn thread(&self) -> Option<&Thread> {
        None
    }

    fn environment(&self) -> CStrings<'_> {
        self.envp
    }

    fn is_relative(&self, environment: CStrings<'_>) -> bool {
        is_relative(self.program, environment)
    }

    fn create<M>(
        context: &Context<'_, Self>,
        watch: impl FnOnce(Result<Pid, Errno>) -> M,
    ) -> Fork<Forked<Infallible>, M> {
        clone_vm(
            context.shared.stack,
            ExitSignal::Child,
            &Daemon(context),
            watch,
        )
    }

    /// Nothing: a command has default dispositions, and its exec discards the rest.
    fn restore(_: &Context<'_, Self>) -> Result<(), Errno> {
        Ok(())
    }

    fn finish(
        &self,
        context: &Context<'_, Self>,
        working_directory: WorkingDirectory<'_>,
        locks: [RawFd; 2],
    ) -> Result<Infallible, Error> {
        let kept = KeptFds {
            first: FIRST_FD,
            requested: context.shared.plan.options.keep.unwrap_or_default(),
            internal: &locks,
            streams: &[],
        };
        let mut fd = kept.next_from(0);
        while fd != NO_FD {
            sys::clear_cloexec(fd)
                .map_err(|errno| Error::of_descriptor(ErrorKind::CloseFailed, errno, fd as i32))?;
            fd = kept.next_from(fd.wrapping_add(1));
        }
        if let Some(signal @ 1..) = context.shared.supervision.map(|it| it.death_signal) {
            // After the change of the user, which clears it, and before the look at the parent.
            sys::set_pdeathsig(signal).map_err(failed(ErrorKind::SignalsFailed))?;
        }
        if !(context.announces_exec() & context.is_watched()) {
            return Err(failed(ErrorKind::WaitFailed)(Errno::ESRCH));
        }
        if let Some(before_exec) = self.before_exec {
            before_exec();
        }
        sys::set_signal_mask(SignalSet::NONE).map_err(failed(ErrorKind::SignalsFailed))?;
        Err(self.execute(context.environment, working_directory))
    }

    fn begin(output: &Infallible, _: Result<(), Errno>) {
        match *output {}
    }
}

impl Command<'_> {
    /// Executes the command from the first directory in which execve(2) succeeds. Returns only on
    /// failure.
    #[inline(never)]
    fn execute(&self, envp: CStrings<'_>, working_directory: WorkingDirectory<'_>) -> Error {
        let Self { program, argv, .. } = *self;
        let is_searched = split_once(program.to_bytes(), b'/').1.is_none();
        let WorkingDirectory { path, fd } = working_directory;
        let exists = |path: ThinCStr<'_>| sys::access_at(fd, path);
        let mut missing = Errno::ENOENT;
        let mut error = None;
        any_path(program, envp, path, &mut |path| {
            let errno = match path {
                Some(path) => match execute_file(fd, path, argv, envp) {
                    // Usually the file does not exist. Whether it does is checked after the search.
                    Errno::ENOENT => return false,
                    // Not permitted: perhaps only to search the directory. This is remembered, as by execvp(3).
                    Errno::EACCES => Errno::EACCES,
                    // The file cannot be reached: a directory of this path is none, or is on a mount that is gone
                    // (ESTALE, ENOTCONN, EIO). Skip it: execvp(3) does so with most of these errors.
                    errno if (is_searched | (errno == Errno::ENOTDIR)) && !exists(path) => {
                        if !(is_searched && errno == Errno::ENOTDIR) {
                            missing = errno;
                        }
                        return false;
                    }
                    errno => errno,
                },
                None => Errno::ENAMETOOLONG,
            };
            error = Some(errno);
            // After these errors, continue with the next directory.
            !matches!(errno, Errno::EACCES | Errno::ENAMETOOLONG)
        });
        // ENOENT for a file that exists means that its interpreter is missing.
        let error = match error {
            None if any_path(program, envp, path, &mut |path| path.is_some_and(&exists)) => {
                Some(Errno::ENOENT)
            }
            error => error,
        };
        let lacks_path = fd != WORKING_DIRECTORY && error.is_some();
        let error = error.map_or(
            failed(ErrorKind::CommandNotFound)(missing),
            failed(ErrorKind::ExecFailed),
        );
        match lacks_path {
            true => error.with(Note::Other),
            false => error,
        }
    }
}

/// How often, and at what interval, a file is tried that a process has open for writing.
const BUSY_ATTEMPTS: u32 = 20;
const BUSY_INTERVAL: Nanoseconds = 5_000_000;

/// Executes a file. Returns only on failure.
///
/// A file that was just written may be open for writing (ETXTBSY) in a process that another thread of its writer
/// has forked, until that process executes its own program. The call is therefore tried again for 100 ms.
///
/// A path that begins with a dot is relative to the directory `fd`, if there is one.
#[inline(never)]
fn execute_file(fd: RawFd, path: ThinCStr<'_>, argv: CStrings<'_>, envp: CStrings<'_>) -> Errno {
    let has_path = fd == WORKING_DIRECTORY || path.first_byte() != b'.';
    for _ in 0..BUSY_ATTEMPTS {
        let errno = match has_path {
            true => sys::execve(path, argv, envp),
            false => sys::execveat(fd, path, argv, envp),
        };
        match errno {
            Errno::ETXTBSY => sys::sleep(BUSY_INTERVAL),
            Errno::ENOEXEC if has_path => return execute_script(path, argv, envp),
            errno => return errno,
        }
    }
    Errno::ETXTBSY
}

const SHELL: ThinCStr<'static> = ThinCStr::new(c"/bin/sh");

/// The number of arguments that a script without an interpreter can have, its name included, and two more.
const SCRIPT_ARGUMENTS: usize = 256;

/// Executes a file that the kernel does not know, if it may be a script, by the shell, as execvp(3) does. Returns only
/// on failure.
#[inline(never)]
fn execute_script(path: ThinCStr<'_>, argv: CStrings<'_>, envp: CStrings<'_>) -> Errno {
    let mut head = [0; 256];
    match sys::open(path, Open::Read).and_then(|file| sys::read(file.raw(), &mut head)) {
        Ok(length) if is_script(head.get(..length as usize).unwrap_or_default()) => {}
        Ok(_) => return Errno::ENOEXEC,
        Err(errno) => return errno,
    }
    // The daemon may share the memory of a process that goes on: what it maps would stay.
    let mut list = [None; SCRIPT_ARGUMENTS];
    for (slot, argument) in list.iter_mut().skip(1).zip(argv.as_slice()) {
        *slot = *argument;
    }
    let [shell, script, ..] = &mut list;
    (*shell, *script) = (Some(SHELL), Some(path));
    // The last one is none of the arguments.
    let Some(list) = CStrings::new(&list) else {
        return Errno::E2BIG;
    };
    sys::execve(SHELL, list, envp)
}
