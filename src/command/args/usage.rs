//! Errors in a command line.

use rawdaemon::ThinCStr;
use rawdaemon::internal::Sink;

use super::options::Name;

/// An error in a command line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum UsageError<'a> {
    /// There is no such option.
    UnknownOption(ThinCStr<'a>),
    /// The first of these letters is not an option.
    UnknownLetter(ThinCStr<'a>),
    /// The option needs a value and has none.
    NoValue(Name),
    /// The option takes no value and has one.
    UnwantedValue(Name),
    /// The option's value is not what it must be.
    BadValue(Name, ThinCStr<'a>),
    /// There is no command.
    NoCommand,
    /// There is no pidfile, by which the daemon could be found.
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
            Self::NoValue(name) => name.describe_need(out),
            Self::UnwantedValue(name) => {
                name.describe(out);
                out(b" takes no value");
            }
            Self::BadValue(name, given) => {
                name.describe_need(out);
                out(b", which '");
                out(given.to_bytes());
                out(b"' is not");
            }
            Self::NoCommand => out(b"no command given"),
            Self::NoPidfile => out(b"no pidfile given"),
        }
    }
}
