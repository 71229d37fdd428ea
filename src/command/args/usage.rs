//! Errors in a command line.

use rawdaemon::ThinCStr;
use rawdaemon::internal::Sink;

use super::options::Name;

/// An error in a command line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum UsageError<'a> {
    /// This option does not exist.
    UnknownOption(ThinCStr<'a>),
    /// The first of these letters is not an option.
    UnknownLetter(ThinCStr<'a>),
    /// The option needs a value, but has none.
    NoValue(Name),
    /// The option takes no value, but has one.
    UnwantedValue(Name),
    /// The value of the option is invalid.
    BadValue(Name, ThinCStr<'a>),
    /// There is no command.
    NoCommand,
    /// The action needs a pidfile to find the daemon.
    NoPidfile,
}

impl UsageError<'_> {
    /// Writes the error in words.
    pub(crate) fn describe(&self, out: &mut Sink<'_>) {
        match self {
            Self::UnknownOption(option) => {
                out(b"unknown option ");
                out(option.to_bytes());
            }
            Self::UnknownLetter(letters) => {
                out(b"unknown option -");
                out(&[letters.first_byte()]);
            }
            Self::NoValue(name) => name.describe_value(out),
            Self::UnwantedValue(name) => {
                name.describe(out);
                out(b" takes no value");
            }
            Self::BadValue(name, value) => {
                name.describe_value(out);
                out(b", which '");
                out(value.to_bytes());
                out(b"' is not");
            }
            Self::NoCommand => out(b"no command given"),
            Self::NoPidfile => out(b"no pidfile given"),
        }
    }
}
