//! Sets of capabilities, and the securebits.

use core::ops::BitOr;

use linux_raw_sys::general as raw;

use crate::text::{Lines, before, lines, next_field, parse_number};

/// A set of capabilities (capabilities(7)).
///
/// ```
/// use rawdaemon::Capabilities;
///
/// let set = Capabilities::NET_BIND_SERVICE | Capabilities::NET_RAW;
/// assert_eq!(Capabilities::parse(b"net_bind_service,CAP_NET_RAW"), Some(set));
/// assert_eq!(Capabilities::parse(b"none"), Some(Capabilities::NONE));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Capabilities(u64);

macro_rules! capabilities {
    ($($name:ident = $number:ident,)*) => {
        impl Capabilities {
            $(
                #[doc = concat!("`", stringify!($number), "`.")]
                pub const $name: Self = Self(1 << raw::$number);
            )*
        }

        /// The names, by their numbers.
        static NAMES: Lines = lines![$(stringify!($name);)*];
    };
}

capabilities! {
    CHOWN = CAP_CHOWN,
    DAC_OVERRIDE = CAP_DAC_OVERRIDE,
    DAC_READ_SEARCH = CAP_DAC_READ_SEARCH,
    FOWNER = CAP_FOWNER,
    FSETID = CAP_FSETID,
    KILL = CAP_KILL,
    SETGID = CAP_SETGID,
    SETUID = CAP_SETUID,
    SETPCAP = CAP_SETPCAP,
    LINUX_IMMUTABLE = CAP_LINUX_IMMUTABLE,
    NET_BIND_SERVICE = CAP_NET_BIND_SERVICE,
    NET_BROADCAST = CAP_NET_BROADCAST,
    NET_ADMIN = CAP_NET_ADMIN,
    NET_RAW = CAP_NET_RAW,
    IPC_LOCK = CAP_IPC_LOCK,
    IPC_OWNER = CAP_IPC_OWNER,
    SYS_MODULE = CAP_SYS_MODULE,
    SYS_RAWIO = CAP_SYS_RAWIO,
    SYS_CHROOT = CAP_SYS_CHROOT,
    SYS_PTRACE = CAP_SYS_PTRACE,
    SYS_PACCT = CAP_SYS_PACCT,
    SYS_ADMIN = CAP_SYS_ADMIN,
    SYS_BOOT = CAP_SYS_BOOT,
    SYS_NICE = CAP_SYS_NICE,
    SYS_RESOURCE = CAP_SYS_RESOURCE,
    SYS_TIME = CAP_SYS_TIME,
    SYS_TTY_CONFIG = CAP_SYS_TTY_CONFIG,
    MKNOD = CAP_MKNOD,
    LEASE = CAP_LEASE,
    AUDIT_WRITE = CAP_AUDIT_WRITE,
    AUDIT_CONTROL = CAP_AUDIT_CONTROL,
    SETFCAP = CAP_SETFCAP,
    MAC_OVERRIDE = CAP_MAC_OVERRIDE,
    MAC_ADMIN = CAP_MAC_ADMIN,
    SYSLOG = CAP_SYSLOG,
    WAKE_ALARM = CAP_WAKE_ALARM,
    BLOCK_SUSPEND = CAP_BLOCK_SUSPEND,
    AUDIT_READ = CAP_AUDIT_READ,
    PERFMON = CAP_PERFMON,
    BPF = CAP_BPF,
    CHECKPOINT_RESTORE = CAP_CHECKPOINT_RESTORE,
}

impl Capabilities {
    /// No capability.
    pub const NONE: Self = Self(0);

    /// The set of the capabilities whose bits are set, bit 0 being `CAP_CHOWN`.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits of the set.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Parses a list, separated by commas: names with or without `CAP_`, in capital or small letters, and numbers
    /// from 0 to 63. `none` is the empty set.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let number = |name: &[u8]| match parse_number(name, 10) {
            None => {
                let bare = name.split_at_checked(PREFIX.len());
                let name = match bare {
                    Some((prefix, bare)) if is_same(prefix, PREFIX) => bare,
                    _ => name,
                };
                let index = NAMES.iter().position(|other| is_same(name, other));
                index.map(|index| index as u64)
            }
            number => number,
        };
        bits(text, &number).map(Self)
    }
}

impl BitOr for Capabilities {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The securebits: how the kernel treats root (capabilities(7)).
///
/// ```
/// use rawdaemon::Securebits;
///
/// let bits = Securebits::NOROOT | Securebits::NOROOT_LOCKED;
/// assert_eq!(Securebits::parse(b"noroot,noroot-locked"), Some(bits));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Securebits(u32);

/// The names of the bits. Each is followed by the bit that locks it.
static SECUREBITS: Lines = Lines::new("noroot\nno-setuid-fixup\nkeep-caps\nno-cap-ambient-raise\n");

impl Securebits {
    /// No bit is set.
    pub const NONE: Self = Self(0);
    /// A program that root executes gets no capabilities for that.
    pub const NOROOT: Self = Self(1);
    /// Locks [`NOROOT`](Self::NOROOT).
    pub const NOROOT_LOCKED: Self = Self(1 << 1);
    /// A change of the user changes no capabilities.
    pub const NO_SETUID_FIXUP: Self = Self(1 << 2);
    /// Locks [`NO_SETUID_FIXUP`](Self::NO_SETUID_FIXUP).
    pub const NO_SETUID_FIXUP_LOCKED: Self = Self(1 << 3);
    /// The permitted capabilities survive a change of the user. An exec clears this bit, so it has no effect on a
    /// command.
    pub const KEEP_CAPS: Self = Self(1 << 4);
    /// Locks [`KEEP_CAPS`](Self::KEEP_CAPS).
    pub const KEEP_CAPS_LOCKED: Self = Self(1 << 5);
    /// No ambient capability can be added. Since Linux 4.3.
    pub const NO_CAP_AMBIENT_RAISE: Self = Self(1 << 6);
    /// Locks [`NO_CAP_AMBIENT_RAISE`](Self::NO_CAP_AMBIENT_RAISE).
    pub const NO_CAP_AMBIENT_RAISE_LOCKED: Self = Self(1 << 7);

    /// The bits, as prctl(2) takes them.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Parses a list, separated by commas: `noroot`, `no-setuid-fixup`, `keep-caps`, `no-cap-ambient-raise`, and each
    /// of them with `-locked`. `none` clears all.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let number = |name: &[u8]| {
            let (name, is_locked) = match before(name, b"-locked") {
                Some(name) => (name, 1),
                None => (name, 0),
            };
            let index = SECUREBITS.position(name)?;
            Some((index as u64).wrapping_mul(2) | is_locked)
        };
        bits(text, &number).map(|bits| Self(bits as u32))
    }
}

impl BitOr for Securebits {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

const PREFIX: &[u8] = b"CAP_";

/// Whether two names differ at most in capital and small letters.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut pairs = one.iter().zip(other);
    one.len() == other.len() && pairs.all(|(one, other)| one.eq_ignore_ascii_case(other))
}

/// The bits of a list, whose names have these numbers.
fn bits(text: &[u8], number: &dyn Fn(&[u8]) -> Option<u64>) -> Option<u64> {
    let mut bits = 0;
    let mut rest = Some(text).filter(|text| *text != b"none");
    while rest.is_some() {
        let number = number(next_field(&mut rest, b','))?;
        bits |= 1_u64.checked_shl(number.try_into().ok()?)?;
    }
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::{Capabilities, NAMES, Securebits};

    #[test]
    fn capabilities_have_names_and_numbers() {
        let parse = Capabilities::parse;
        assert_eq!(NAMES.iter().count(), 41);
        for (number, name) in NAMES.iter().enumerate() {
            let bit = Capabilities::from_bits(1 << number);
            let small = name.to_ascii_lowercase();
            for text in [
                name,
                &small,
                &[b"CAP_", name].concat(),
                &[b"cap_", &*small].concat(),
                std::format!("{number}").as_bytes(),
            ] {
                assert_eq!(parse(text), Some(bit));
            }
        }
        assert_eq!(NAMES.position(b"CHECKPOINT_RESTORE"), Some(40));
        assert_eq!(Capabilities::CHECKPOINT_RESTORE.bits(), 1 << 40);
        assert_eq!(parse(b"chown,63"), Some(Capabilities(1 << 63 | 1)));
        for bad in [
            "",
            "chown,",
            ",chown",
            "64",
            "cap_",
            "all",
            "none,chown",
            "cap_1",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn securebits_have_names() {
        let parse = |text: &str| Securebits::parse(text.as_bytes()).map(Securebits::bits);
        let names = [
            "noroot",
            "no-setuid-fixup",
            "keep-caps",
            "no-cap-ambient-raise",
        ];
        for (index, name) in names.iter().enumerate() {
            assert_eq!(parse(name), Some(1 << (2 * index)));
            let locked = std::format!("{name}-locked,{name}");
            assert_eq!(parse(&locked), Some(3 << (2 * index)));
        }
        assert_eq!(parse("none"), Some(0));
        for bad in ["", "-locked", "NOROOT", "noroot-locked-locked", "1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
