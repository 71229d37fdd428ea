//! The table of the options.

use rawdaemon::Resource;
use rawdaemon::internal::{Lines, Packed, Sink, pack, packed, shortened, split_once};

macro_rules! options {
    ($($name:ident $line:literal,)*) => {
        /// An option.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Name {
            $(#[doc = $line] $name,)*
        }

        impl Name {
            /// All options, in the order of [`TABLE`].
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];
        }

        /// A line for each option: its letter, or `-` if it has none; its long name; and a description of its
        /// value, if it takes one.
        const TEXT: &[u8] = concat!($($line, "\n",)*).as_bytes();
    };
}

/// The lines of [`TEXT`], up to the blank after the long name.
static TABLE: Lines = Lines::of_bytes(&{
    const LENGTH: usize = columns::<0>(false).1;
    columns::<LENGTH>(false).0
});

/// The descriptions of the values.
static VALUES: Packed = Packed::new(&{
    const LENGTH: usize = columns::<0>(true).1;
    const VALUES: [u8; LENGTH] = columns(true).0;
    const PACKED: ([u8; LENGTH], usize) = pack(&VALUES);
    shortened::<{ PACKED.1 }>(&PACKED.0)
});

/// Cuts the descriptions of the values off [`TEXT`], or leaves them alone: the first `N` bytes, and the length of
/// all.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "runs in the compiler, where a panic is an error in the source"
)]
const fn columns<const N: usize>(of_values: bool) -> ([u8; N], usize) {
    let mut text = [0; N];
    let (mut length, mut blanks, mut index) = (0, 0, 0);
    while index < TEXT.len() {
        let byte = TEXT[index];
        if byte == b'\n' {
            blanks = 0;
        }
        if byte == b'\n' || (blanks > 1) == of_values {
            if length < N {
                text[length] = byte;
            }
            length += 1;
        }
        if byte == b' ' {
            blanks += 1;
        }
        index += 1;
    }
    (text, length)
}

options! {
    Stdin "i stdin a file",
    Stdout "o stdout a file",
    Stderr "e stderr a file",
    Pidfile "p pidfile a file",
    LockFile "l lock a file",
    Chroot "r chroot a directory",
    Chdir "c chdir a directory",
    User "u user USER or USER:GROUP",
    Group "g group a group",
    Argv0 "- argv0 a name",
    Umask "m umask an octal mask from 0 to 777",
    Timeout "t timeout a number of seconds",
    Ready "R ready exec, fd:N with N above 2, notify, notify:@, notify:/PATH, fork or fork:/PATH",
    Nice "n nice a number from -20 to 19",
    OomScoreAdj "- oom-score-adj a number from -1000 to 1000",
    Rlimit "- rlimit NAME=SOFT or NAME=SOFT:HARD (numbers or unlimited, SOFT not above HARD), NAME one of",
    Sched "- sched other, batch, idle, fifo:N or rr:N with N from 1 to 99",
    Ionice "- ionice idle, best-effort:N or realtime:N with N from 0 to 7",
    Cpus "- cpus numbers and ranges as in 0-3,6",
    Capabilities "- capabilities none or names as in chown,net_raw (capabilities(7))",
    Securebits "- securebits none or names as in noroot,noroot-locked (capabilities(7))",
    KeepFd "- keep-fd a number above 2 (16 of them at most)",
    Mkdir "- mkdir a directory (8 of them at most)",
    Env "E env NAME=VALUE",
    Signal "s signal a signal's name or number",
    KillAfter "- kill-after a number of seconds",
    Retry "- retry SECONDS or SIGNAL/SECONDS/... (8 signals at most)",
    Respawn "- respawn failure or always",
    RespawnDelay "- respawn-delay MIN or MIN:MAX, numbers of seconds, MIN not 0",
    RespawnMax "- respawn-max a number",
    RespawnGood "- respawn-good a number of seconds",
    RespawnFinal "- respawn-final exit codes as in 126,127",
    RespawnOrphan "- respawn-orphan run or kill",
    Watchdog "- watchdog SECONDS or SECONDS:SIGNAL",
    LogSize "- log-size a number of bytes above 4095, as in 64K or 1M",
    LogKeep "- log-keep a number from 0 to 999",
    LogTime "- log-time utc or boot",
    Log "- log kmsg, syslog or syslog:FACILITY (syslog(3))",
    Init "- init container or image",
    NoNewPrivs "- no-new-privs",
    ClearEnv "- clear-env",
    StartOrOk "- start-or-ok",
    ProcessGroup "- process-group",
    TrustPidfile "- trust-pidfile",
    Strict "- strict",
    Restart "- restart",
    Stop "K stop",
    Status "T status",
    List "L list",
    Foreground "f foreground",
    Append "a append",
    Quiet "q quiet",
    Verbose "v verbose",
    Help "h help",
    Version "V version",
}

impl Name {
    /// The option with this letter or this long name.
    pub(super) fn find(letter: u8, long: &[u8]) -> Option<Self> {
        let index = TABLE.iter().position(|line| {
            let [own_letter, _, rest @ ..] = line else {
                return false;
            };
            *own_letter == letter && letter != b'-' || split_once(rest, b' ').0 == long
        });
        Self::ALL.get(index?).copied()
    }

    /// The letter, or `-` if there is none.
    #[allow(dead_code, reason = "for the tests")]
    pub(crate) fn letter(self) -> u8 {
        TABLE.get(self as usize).first().copied().unwrap_or(b'-')
    }

    /// The long name.
    pub(crate) fn long(self) -> &'static [u8] {
        self.columns().0
    }

    /// The flag of the option, as a bit.
    pub(crate) const fn bit(self) -> u64 {
        1 << self as u8
    }

    pub(crate) fn takes_value(self) -> bool {
        self.columns().1.is_some()
    }

    /// The long name, and nothing behind the blank if a value follows.
    fn columns(self) -> (&'static [u8], Option<&'static [u8]>) {
        split_once(TABLE.get(self as usize).get(2..).unwrap_or_default(), b' ')
    }

    /// Writes `option --stdout`.
    pub(super) fn describe(self, out: &mut Sink<'_>) {
        packed!("option --").write(out);
        out(self.long());
    }

    /// Writes `option --stdout needs a file`.
    pub(super) fn describe_value(self, out: &mut Sink<'_>) {
        self.describe(out);
        packed!(" needs ").write(out);
        VALUES.line(self as usize).write(out);
        if self == Self::Rlimit {
            for resource in Resource::ALL {
                out(b" ");
                out(resource.subject().name());
            }
        }
    }
}
