//! How options are spelled, and taken off the head of a list of arguments one after the other.

use crate::protocol::{Say, cut, line, take};
use crate::sys::ThinCStr;

/// How the options are written, a line to each: letter, name, and what the value must be if it takes
/// one. What is no letter stands for an option without one. A table of texts is larger.
///
/// The ones whose value is kept as it is come first, in the order of [`Invocation::words`].
static OPTIONS: &[u8] = b"\
i stdin a file
o stdout a file
e stderr a file
p pidfile a file
l lock a file
r chroot a directory
c chdir a directory
u user USER or USER:GROUP
g group a group
0 argv0 a name
m umask an octal mask from 0 to 777
t timeout a number of seconds
R ready exec, fd:N, notify or notify:/PATH
n nice a number from -20 to 19
1 oom-score-adj a number from -1000 to 1000
2 rlimit NAME=SOFT or NAME=SOFT:HARD
3 keep-fd a number above 2 (16 of them at most)
E env NAME=VALUE
s signal a signal's name or number
6 kill-after a number of seconds
7 retry SECONDS or SIGNAL/SECONDS/... (8 signals at most)
4 no-new-privs
5 clear-env
8 start-or-ok
9 process-group
. trust-pidfile
: strict
; restart
K stop
T status
f foreground
a append
q quiet
v verbose
h help
V version";

/// How an option is written: its line in the table of options.
#[derive(Clone, Copy, Debug)]
pub struct Spelling(pub(super) usize);

impl Spelling {
    /// The option with this letter or this name.
    #[inline(never)]
    fn find(letter: u8, name: &[u8]) -> Option<Self> {
        let mut index = 0_usize;
        let mut lines = Some(OPTIONS);
        while lines.is_some() {
            let line = take(&mut lines, b'\n');
            let (own, name_and_value) = line.split_first()?;
            let is_own = *own == letter && letter.is_ascii_alphabetic();
            if is_own || cut(name_and_value.get(1..)?, b' ').0 == name {
                return Some(Self(index));
            }
            index = index.saturating_add(1);
        }
        None
    }

    /// Zero where there is no option.
    pub(super) fn letter(self) -> u8 {
        line(OPTIONS, self.0).first().copied().unwrap_or_default()
    }

    #[inline(never)]
    fn name_and_value(self) -> (&'static [u8], Option<&'static [u8]>) {
        cut(line(OPTIONS, self.0).get(2..).unwrap_or_default(), b' ')
    }

    fn takes_value(self) -> bool {
        self.name_and_value().1.is_some()
    }

    fn tell(self, say: &mut Say<'_>) {
        say(b"option --");
        say(self.name_and_value().0);
    }

    fn tell_need(self, say: &mut Say<'_>) {
        self.tell(say);
        say(b" needs ");
        say(self.name_and_value().1.unwrap_or_default());
    }
}

/// What is wrong with a command line.
#[derive(Clone, Copy, Debug)]
pub enum UsageError<'a> {
    /// There is no such option.
    UnknownOption(ThinCStr<'a>),
    /// There is no such letter as the first of these.
    UnknownLetter(ThinCStr<'a>),
    /// The option needs a value and has none.
    NoValue(Spelling),
    /// The option takes no value and has one.
    UnwantedValue(Spelling),
    /// The option's value is not what it must be.
    BadValue(Spelling, ThinCStr<'a>),
    /// There is no command.
    NoCommand,
    /// There is no pidfile, by which the daemon could be found.
    NoPidfile,
}

impl UsageError<'_> {
    /// Says it in words.
    pub fn tell(&self, say: &mut Say<'_>) {
        match self {
            Self::UnknownOption(option) => {
                say(b"unknown option ");
                say(option.to_bytes());
            }
            Self::UnknownLetter(letters) => {
                say(b"unknown option -");
                say(&[letters.first()]);
            }
            Self::NoValue(spelling) => spelling.tell_need(say),
            Self::UnwantedValue(spelling) => {
                spelling.tell(say);
                say(b" takes no value");
            }
            Self::BadValue(spelling, given) => {
                spelling.tell_need(say);
                say(b", which '");
                say(given.to_bytes());
                say(b"' is not");
            }
            Self::NoCommand => say(b"no command given"),
            Self::NoPidfile => say(b"no pidfile given"),
        }
    }
}

const EMPTY: ThinCStr<'static> = ThinCStr::new(c"");

/// A list of arguments that ends at its first `None`, as main(3) has it but without the program's
/// own name.
pub type Arguments<'a> = &'a [Option<ThinCStr<'a>>];

/// The options at the head of a list of arguments, one after the other. What is left at the end are
/// the command and its arguments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options<'a> {
    pub(super) left: Arguments<'a>,
    /// The letters of a group that are still to be read.
    letters: ThinCStr<'a>,
}

impl<'a> Options<'a> {
    pub(super) const fn new(arguments: Arguments<'a>) -> Self {
        Self {
            left: arguments,
            letters: EMPTY,
        }
    }

    fn take(&mut self) -> Option<ThinCStr<'a>> {
        let [Some(argument), left @ ..] = self.left else {
            return None;
        };
        self.left = left;
        Some(*argument)
    }

    /// `-x`, `-xVALUE` or `-x VALUE`, where more letters may follow an option that takes no value.
    fn read_letter(&mut self) -> Result<Given<'a>, UsageError<'a>> {
        let spelling = Spelling::find(self.letters.first(), b"");
        let spelling = spelling.ok_or(UsageError::UnknownLetter(self.letters))?;
        self.letters = self.letters.rest();
        if !spelling.takes_value() {
            return Ok((spelling, EMPTY));
        }
        let attached = core::mem::replace(&mut self.letters, EMPTY);
        self.value(spelling, (attached.first() != 0).then_some(attached))
    }

    /// `--name`, `--name=VALUE` or `--name VALUE`.
    fn read_long(&mut self, argument: ThinCStr<'a>) -> Result<Given<'a>, UsageError<'a>> {
        let text = argument.rest().rest();
        let (name, attached) = cut(text.to_bytes(), b'=');
        let attached = attached.map(|_| text.tail(name.len().saturating_add(1)));
        let spelling = Spelling::find(0, name);
        let spelling = spelling.ok_or(UsageError::UnknownOption(argument))?;
        match attached {
            _ if spelling.takes_value() => self.value(spelling, attached),
            None => Ok((spelling, EMPTY)),
            Some(_) => Err(UsageError::UnwantedValue(spelling)),
        }
    }

    /// The option with the value that is attached to it or follows it.
    // Smaller where it is called: there the compiler knows more.
    #[inline(always)]
    fn value(
        &mut self,
        spelling: Spelling,
        attached: Option<ThinCStr<'a>>,
    ) -> Result<Given<'a>, UsageError<'a>> {
        let value = attached.or_else(|| self.take());
        Ok((spelling, value.ok_or(UsageError::NoValue(spelling))?))
    }
}

/// An option and its value; the value is empty if it takes none.
pub(super) type Given<'a> = (Spelling, ThinCStr<'a>);

impl<'a> Iterator for Options<'a> {
    type Item = Result<Given<'a>, UsageError<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.letters.first() == 0 {
            let arguments = self.left;
            let argument = self.take()?;
            let behind_dash = argument.rest();
            match (argument.first(), behind_dash.first()) {
                // What follows is the command, even if it looks like an option.
                (b'-', b'-') if behind_dash.rest().first() == 0 => return None,
                (b'-', b'-') => return Some(self.read_long(argument)),
                (b'-', 1..) => self.letters = behind_dash,
                _ => {
                    self.left = arguments;
                    return None;
                }
            }
        }
        Some(self.read_letter())
    }
}
