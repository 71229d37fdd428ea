//! The list of arguments, and an iterator over the options at its head.

use rawdaemon::ThinCStr;
use rawdaemon::internal::split_once;

use super::options::Name;
use super::usage::UsageError;

const EMPTY: ThinCStr<'static> = ThinCStr::new(c"");

/// A list of arguments, as for execve(2), that ends at the first `None`. `argv[0]` is not part of it.
pub(crate) type Arguments<'a> = &'a [Option<ThinCStr<'a>>];

/// An option and its value. The value is empty if the option takes none.
pub(crate) type OptionAndValue<'a> = (Name, ThinCStr<'a>);

/// An iterator over the options at the head of a list of arguments. The command and its arguments remain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options<'a> {
    /// The arguments that have not been read.
    pub(crate) rest: Arguments<'a>,
    /// The letters that have not been read, of a group such as `-avo`.
    letters: ThinCStr<'a>,
}

impl<'a> Options<'a> {
    pub(crate) const fn new(arguments: Arguments<'a>) -> Self {
        Self {
            rest: arguments,
            letters: EMPTY,
        }
    }

    fn next_argument(&mut self) -> Option<ThinCStr<'a>> {
        let [Some(argument), rest @ ..] = self.rest else {
            return None;
        };
        self.rest = rest;
        Some(*argument)
    }

    /// Reads `-x`, `-xVALUE` or `-x VALUE`. More letters may follow an option that takes no value.
    fn read_letter(&mut self) -> Result<OptionAndValue<'a>, UsageError<'a>> {
        let name = Name::find(self.letters.first_byte(), b"");
        let name = name.ok_or(UsageError::UnknownLetter(self.letters))?;
        self.letters = self.letters.skip(1);
        if !name.takes_value() {
            return Ok((name, EMPTY));
        }
        let attached = core::mem::replace(&mut self.letters, EMPTY);
        self.with_value(name, (attached.first_byte() != 0).then_some(attached))
    }

    /// Reads `--name`, `--name=VALUE` or `--name VALUE`.
    fn read_long(&mut self, argument: ThinCStr<'a>) -> Result<OptionAndValue<'a>, UsageError<'a>> {
        let text = argument.skip(2);
        let (long, attached) = split_once(text.to_bytes(), b'=');
        let attached = attached.map(|_| text.skip(long.len().saturating_add(1)));
        let name = Name::find(b'-', long);
        let name = name.ok_or(UsageError::UnknownOption(argument))?;
        match attached {
            // Their values may be left out.
            None if name == Name::Respawn => Ok((name, ThinCStr::new(c"failure"))),
            None if name == Name::Init => Ok((name, ThinCStr::new(c"container"))),
            _ if name.takes_value() => self.with_value(name, attached),
            None => Ok((name, EMPTY)),
            Some(_) => Err(UsageError::UnwantedValue(name)),
        }
    }

    /// Pairs the option with the attached value, or else with the next argument.
    fn with_value(
        &mut self,
        name: Name,
        attached: Option<ThinCStr<'a>>,
    ) -> Result<OptionAndValue<'a>, UsageError<'a>> {
        let value = attached.or_else(|| self.next_argument());
        Ok((name, value.ok_or(UsageError::NoValue(name))?))
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Result<OptionAndValue<'a>, UsageError<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.letters.first_byte() == 0 {
            let arguments = self.rest;
            let argument = self.next_argument()?;
            match argument.to_bytes() {
                // The command follows, even if it looks like an option.
                b"--" => return None,
                [b'-', b'-', ..] => return Some(self.read_long(argument)),
                [b'-', _, ..] => self.letters = argument.skip(1),
                _ => {
                    self.rest = arguments;
                    return None;
                }
            }
        }
        Some(self.read_letter())
    }
}
