//! Texts that are packed while they are compiled. Pure.
//!
//! A seventh of the command is messages, the descriptions of errors, and the text of `--help`. A byte above 127
//! of a packed text stands for a fragment that occurs often. This saves 2 KiB of 7 KiB, the table of the
//! fragments and the code included.

use crate::text::{Lines, Sink, lines};

macro_rules! fragments {
    ($($fragment:literal;)*) => {
        const FRAGMENTS: &[&str] = &[$($fragment),*];

        static TABLE: Lines = lines![$($fragment;)*];
    };
}

// The fragments that save most in today's texts. The first one that fits is taken, so long ones come first.
fragments! {
    " /dev/null"; " [OPTIONS]"; "NOSUPPORT"; "Protocol "; "available"; "(default"; "descript";
    "COMMAND"; "Invalid"; "process"; "Level "; "daemon"; " the "; "PROTO"; "tion "; "    "; "EBAD";
    "ELIB"; "FILE"; "PIPE"; "evic"; "lock"; "not "; "rupt"; "sign"; "supp"; " --"; "DIR"; "ENO"; "KEY";
    "NAM"; "OWN"; "aft"; "fil"; "ock"; "own"; "pid"; "run"; "  "; " b"; " c"; " d"; " i"; " s"; " t";
    "; "; "EA"; "EC"; "ED"; "EI"; "EL"; "EM"; "EN"; "ER"; "ES"; "ET"; "EX"; "No"; "OT"; "Op"; "To";
    "a "; "ac"; "ad"; "al"; "am"; "an"; "ar"; "ch"; "co"; "ct"; "d "; "e "; "ec"; "ed"; "em"; "en";
    "er"; "es"; "et"; "ex"; "ge"; "gr"; "ha"; "ic"; "il"; "in"; "it"; "le"; "li"; "o "; "of"; "on";
    "op"; "or"; "ot"; "ou"; "qu"; "re"; "ro"; "s "; "st"; "t "; "ti"; "um"; "un"; "us"; "ut"; "y ";
    "yp";
}

/// The byte that stands for the first fragment.
const FIRST: u8 = 128;

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
            match byte.checked_sub(FIRST) {
                Some(index) => out(TABLE.get(index.into())),
                None => out(core::slice::from_ref(byte)),
            }
        }
    }
}

/// Packs an ASCII text, for the macro `packed!`: the first `N` bytes, and the length of all.
#[must_use]
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::missing_panics_doc,
    reason = "runs in the compiler, where a panic is an error in the source"
)]
pub const fn pack<const N: usize>(text: &[u8]) -> ([u8; N], usize) {
    let mut packed = [0; N];
    let mut length = 0;
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        assert!(byte.is_ascii());
        let mut code = *byte;
        let mut next = after;
        let mut index = 0;
        while index < FRAGMENTS.len() {
            if let Some(after) = strip_prefix(rest, FRAGMENTS[index].as_bytes()) {
                code = FIRST + index as u8;
                next = after;
                break;
            }
            index += 1;
        }
        if length < N {
            packed[length] = code;
        }
        length += 1;
        rest = next;
    }
    (packed, length)
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
        const LENGTH: usize = $crate::internal::pack::<0>(TEXT).1;
        static PACKED: [u8; LENGTH] = $crate::internal::pack(TEXT).0;
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
        let text = packed!("cannot open the file\nthe daemon, the signal: \x01~\n");
        assert!(text.0.len() < 40, "{}", text.0.len());
        assert_eq!(
            unpacked(text),
            b"cannot open the file\nthe daemon, the signal: \x01~\n"
        );
        assert_eq!(unpacked(text.line(0)), b"cannot open the file");
        assert_eq!(unpacked(text.line(1)), b"the daemon, the signal: \x01~");
        assert_eq!(unpacked(text.line(2)), b"");
        assert_eq!(unpacked(packed!()), b"");
    }

    #[test]
    fn every_fragment_has_a_byte_and_fits_before_those_that_begin_it() {
        assert!(FRAGMENTS.len() <= 128);
        for (index, fragment) in FRAGMENTS.iter().enumerate() {
            assert!(!fragment.contains('\n') && fragment.len() > 1);
            let earlier = FRAGMENTS.iter().take(index);
            assert!(earlier.clone().all(|other| !fragment.starts_with(other)));
        }
    }
}
