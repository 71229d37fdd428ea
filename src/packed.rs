//! Texts that are packed while they are compiled. Pure.
//!
//! A seventh of the command is messages, the descriptions of errors, and the text of `--help`. Some bytes of a
//! packed text stand for a fragment that occurs often, and a fragment is packed with those that follow it in the
//! table. This saves 3 KiB of 7 KiB, the table of the fragments and the code included.

use crate::text::{Lines, Sink};

macro_rules! fragments {
    ($($fragment:literal;)*) => {
        const FRAGMENTS: &[&str] = &[$($fragment),*];
    };
}

// The fragments that save most in today's texts. The first one that fits is taken, so long ones come first.
fragments! {
    "ransport endpoint "; "not supported"; "a directory"; "the daemon "; "Operation "; "onnection ";
    "NAME=SOFT"; "Protocol "; "Too many "; "escriptor"; "foregroun"; "rawdaemon"; "standard ";
    "Invalid "; "OSUPPORT"; "already "; "dev/null"; "irectory"; "set the "; "vailable"; " number";
    "COMMAND"; "No such"; "become "; "cannot "; "in time"; "pidfile"; "process"; "running"; "t most)";
    "unknown"; "      "; ", and "; "comman"; "daemon"; "execut"; "needs "; "notify"; "ource "; "output";
    "signal"; " file"; " the "; " with"; "PROTO"; "bove "; "ddres"; "error"; "essag"; "group"; "limit";
    "must "; "ocket"; "other"; "tion "; "too l"; " is "; " it "; " or "; " to "; ", --"; "; --"; "ECON";
    "FILE"; "NAME"; "ate "; "evic"; "has "; "its "; "lock"; "not "; "read"; "runs"; "the "; "work";
    "   "; "  -"; " of"; "ENO"; "ed "; "for"; "in "; "ing"; "it "; "own"; "pid"; "ter"; " ("; " -"; " a";
    " d"; ", "; ": "; "; "; "AD"; "ED"; "EI"; "ER"; "RE"; "ac"; "al"; "am"; "an"; "ar"; "ch"; "d "; "e ";
    "ec"; "ed"; "em"; "en"; "er"; "es"; "et"; "ex"; "ic"; "il"; "in"; "it"; "le"; "ma"; "o "; "on"; "op";
    "or"; "re"; "ro"; "s "; "st"; "t "; "th"; "ti"; "um"; "un"; "us"; "ut"; "wa"; "y ";
}

/// The byte that stands for the first fragment. The bytes from 0 to 9 follow 255.
const FIRST: u8 = 128;

/// The largest number of fragments.
const MOST: usize = 138;

/// The fragments, packed, each with a newline.
static TABLE: Lines = Lines::of_bytes(&{
    const PACKED: ([u8; 1024], usize) = pack_fragments();
    shortened::<{ PACKED.1 }>(&PACKED.0)
});

/// A text that is packed. The macro `packed!` makes one.
#[derive(Clone, Copy, Debug)]
pub struct Packed(&'static [u8]);

impl Packed {
    /// Wraps what [`pack`] has returned.
    #[must_use]
    pub const fn new(packed: &'static [u8]) -> Self {
        Self(packed)
    }

    /// The line at this index; empty if the index is out of range. No fragment contains a newline.
    #[must_use]
    pub fn line(self, index: usize) -> Self {
        Self(Lines::of_bytes(self.0).get(index))
    }

    /// Writes the text.
    pub fn write(self, out: &mut Sink<'_>) {
        for byte in self.0 {
            let index = usize::from(byte.wrapping_sub(FIRST));
            if index < MOST {
                Self(TABLE.get(index)).write(out);
            } else {
                out(core::slice::from_ref(byte));
            }
        }
    }
}

/// Packs an ASCII text of `N` bytes, for the macro `packed!`, and returns the length too.
#[must_use]
pub const fn pack<const N: usize>(text: &[u8]) -> ([u8; N], usize) {
    let mut packed = [0; N];
    let length = append(text, 0, &mut packed, 0);
    (packed, length)
}

/// The first `N` bytes of what [`pack`] returns.
#[must_use]
#[expect(
    clippy::panic,
    reason = "runs in the compiler, where a panic is an error in the source"
)]
pub const fn shortened<const N: usize>(packed: &[u8]) -> [u8; N] {
    match packed.first_chunk() {
        Some(bytes) => *bytes,
        None => panic!("it is not that long"),
    }
}

/// [`TABLE`], as [`pack`] returns a text.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "runs in the compiler, where a panic is an error in the source"
)]
const fn pack_fragments<const N: usize>() -> ([u8; N], usize) {
    assert!(FRAGMENTS.len() <= MOST);
    let mut packed = [0; N];
    let (mut length, mut index) = (0, 0);
    while index < FRAGMENTS.len() {
        index += 1;
        length = append(FRAGMENTS[index - 1].as_bytes(), index, &mut packed, length);
        length = append(b"\n", index, &mut packed, length);
    }
    (packed, length)
}

/// Which fragment is the first that begins with a byte, and which one follows another that begins with the same
/// byte; `FRAGMENTS.len()` for none. Without this, the compiler compares each place of a text with all of them, and
/// takes four times as long for this crate.
#[expect(
    clippy::indexing_slicing,
    reason = "runs in the compiler, where a panic is an error in the source"
)]
const BY_FIRST_BYTE: ([usize; 128], [usize; FRAGMENTS.len()]) = {
    let mut first = [FRAGMENTS.len(); 128];
    let mut next = [FRAGMENTS.len(); FRAGMENTS.len()];
    let mut index = FRAGMENTS.len();
    while index > 0 {
        index -= 1;
        let byte = FRAGMENTS[index].as_bytes()[0] as usize;
        next[index] = first[byte];
        first[byte] = index;
    }
    (first, next)
};

/// Packs a text with the fragments from this index on, and writes it to `packed` from this length on. Returns the
/// length that follows.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "runs in the compiler, where a panic is an error in the source"
)]
const fn append(text: &[u8], from: usize, packed: &mut [u8], mut length: usize) -> usize {
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        assert!(byte.is_ascii() && *byte > 9);
        let mut code = *byte;
        let mut next = after;
        let mut index = BY_FIRST_BYTE.0[*byte as usize];
        while index < FRAGMENTS.len() {
            if index >= from {
                if let Some(after) = strip_prefix(rest, FRAGMENTS[index].as_bytes()) {
                    code = FIRST.wrapping_add(index as u8);
                    next = after;
                    break;
                }
            }
            index = BY_FIRST_BYTE.1[index];
        }
        packed[length] = code;
        length += 1;
        rest = next;
    }
    length
}

const fn strip_prefix<'t>(mut text: &'t [u8], mut prefix: &[u8]) -> Option<&'t [u8]> {
    while let [expected, others @ ..] = prefix {
        match text {
            [byte, rest @ ..] if *byte == *expected => (text, prefix) = (rest, others),
            _ => return None,
        }
    }
    Some(text)
}

/// Makes a [`Packed`] of constant text.
#[doc(hidden)]
#[macro_export]
macro_rules! __packed {
    ($($part:expr),* $(,)?) => {{
        const TEXT: &[u8] = concat!($($part),*).as_bytes();
        const ALL: ([u8; TEXT.len()], usize) = $crate::internal::pack(TEXT);
        static PACKED: [u8; ALL.1] = $crate::internal::shortened(&ALL.0);
        $crate::internal::Packed::new(&PACKED)
    }};
}
pub use crate::__packed as packed;

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::{FRAGMENTS, Packed, packed};

    fn unpacked(packed: Packed) -> Vec<u8> {
        let mut text = Vec::new();
        packed.write(&mut |piece| text.extend_from_slice(piece));
        text
    }

    #[test]
    fn a_packed_text_is_shorter_and_comes_out_as_it_was() {
        let text = packed!("cannot open the file\nthe daemon, the signal: \x0b~\n");
        assert!(text.0.len() < 40, "{}", text.0.len());
        assert_eq!(
            unpacked(text),
            b"cannot open the file\nthe daemon, the signal: \x0b~\n"
        );
        assert_eq!(unpacked(text.line(0)), b"cannot open the file");
        assert_eq!(unpacked(text.line(1)), b"the daemon, the signal: \x0b~");
        assert_eq!(unpacked(text.line(2)), b"");
        assert_eq!(unpacked(packed!()), b"");
    }

    #[test]
    fn every_fragment_has_a_byte_and_fits_before_those_that_begin_it() {
        for (index, fragment) in FRAGMENTS.iter().enumerate() {
            assert!(!fragment.contains('\n') && fragment.len() > 1);
            let earlier = FRAGMENTS.iter().take(index);
            assert!(earlier.clone().all(|other| !fragment.starts_with(other)));
        }
    }
}
