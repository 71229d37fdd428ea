//! The equivalent ways to write a command line.

use std::ffi::CString;

use crate::args::{Invocation, Name};

use super::{c_string, list};

/// An option, and its value if it takes one.
#[derive(Clone, Debug)]
pub struct Given {
    pub name: Name,
    pub value: Vec<u8>,
}

/// A way to write options.
#[derive(Clone, Copy, Debug)]
pub enum Style {
    /// `--name=VALUE`
    Long,
    /// `--name VALUE`
    LongApart,
    /// `-x VALUE`
    ShortApart,
    /// `-xyzVALUE`
    Grouped,
}

pub const STYLES: [Style; 4] = [
    Style::Long,
    Style::LongApart,
    Style::ShortApart,
    Style::Grouped,
];

/// The same options parse to the same result in every style.
pub fn check_spellings(invocation: &Invocation<'_>, given: &[Given], command: &[CString]) {
    for style in STYLES {
        let mut words = spell(given, style);
        words.push(c"--".into());
        words.extend_from_slice(command);
        let arguments = list(&words);
        let again = match Invocation::parse(&arguments) {
            Ok(again) => again,
            Err(error) => panic!("{style:?} {words:?}: {error:?}"),
        };
        let expected = Invocation {
            command: again.command,
            ..invocation.clone()
        };
        let texts = [&again, &expected].map(|invocation| format!("{invocation:?}"));
        assert_eq!(texts[0], texts[1], "{style:?} {words:?}");
        assert_eq!(&words[again.command..], command, "{style:?} {words:?}");
    }
}

/// Writes the options in this style. An option without a letter always has its long name.
pub fn spell(given: &[Given], style: Style) -> Vec<CString> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut group = Vec::new();
    for Given { name, value } in given {
        let value = name.takes_value().then_some(value);
        // Its value is optional, and must be attached.
        let is_optional = matches!(name, Name::Respawn | Name::Init);
        let value = value.filter(|value| !(is_optional && value.is_empty()));
        let long = [b"--", name.long()].concat();
        let short = vec![b'-', name.letter()];
        let style = match (style, name.letter()) {
            _ if is_optional => Style::Long,
            (Style::ShortApart | Style::Grouped, b'-') => Style::LongApart,
            _ => style,
        };
        if !matches!(style, Style::Grouped) && !group.is_empty() {
            words.push([b"-", group.as_slice()].concat());
            group.clear();
        }
        match (style, value) {
            (Style::Long, Some(value)) => words.push([&long, &b"="[..], value].concat()),
            (Style::LongApart, Some(value)) => words.extend([long, value.clone()]),
            (Style::Long | Style::LongApart, None) => words.push(long),
            // An empty value cannot be attached.
            (Style::ShortApart, Some(value)) => words.extend([short, value.clone()]),
            (Style::Grouped, Some(value)) if value.is_empty() => {
                words.extend([[b"-", group.as_slice(), &[name.letter()]].concat(), vec![]]);
                group.clear();
            }
            (Style::ShortApart, None) => words.push(short),
            (Style::Grouped, Some(value)) => {
                group.push(name.letter());
                words.push([b"-", group.as_slice(), value].concat());
                group.clear();
            }
            (Style::Grouped, None) => group.push(name.letter()),
        }
    }
    if !group.is_empty() {
        words.push([b"-", group.as_slice()].concat());
    }
    words.iter().map(|word| c_string(word)).collect()
}
