//! Errors in a command line.

use rawdaemon::ThinCStr;
use rawdaemon::internal::{Sink, packed};

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
    /// The options of these flags exclude each other.
    Excluded(u64),
    /// The first option, or its value, makes sense with the second one only.
    Needs(Name, Name),
    /// The command was built without a supervisor.
    NotBuilt,
    /// There is no command.
    NoCommand,
    /// The action needs a pidfile to find the daemon.
    NoPidfile,
}

impl UsageError<'_> {
    /// Writes the error in words.
    #[inline(never)]
    pub(crate) fn describe(&self, out: &mut Sink<'_>) {
        match self {
            Self::UnknownOption(option) => {
                packed!("unknown option ").write(out);
                out(option.to_bytes());
            }
            Self::UnknownLetter(letters) => {
                packed!("unknown option -").write(out);
                out(&[letters.first_byte()]);
            }
            Self::NoValue(name) => name.describe_value(out),
            Self::UnwantedValue(name) => {
                name.describe(out);
                packed!(" takes no value").write(out);
            }
            Self::BadValue(name, value) => {
                name.describe_value(out);
                packed!(", which '").write(out);
                out(value.to_bytes());
                packed!("' is not").write(out);
            }
            Self::Excluded(actions) => {
                packed!("these exclude each other:").write(out);
                for name in Name::ALL.iter().filter(|name| actions & name.bit() != 0) {
                    packed!(" --").write(out);
                    out(name.long());
                }
            }
            Self::Needs(name, other) => {
                name.describe(out);
                packed!(" needs --").write(out);
                out(other.long());
            }
            Self::NotBuilt => packed!("this rawdaemon was built without the supervisor").write(out),
            Self::NoCommand => packed!("no command given").write(out),
            Self::NoPidfile => packed!("no pidfile given").write(out),
        }
    }
}
