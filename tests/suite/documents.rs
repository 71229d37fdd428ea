//! The documents say what the code does: options, exit codes and steps are in each list that should have them.

use std::fs;
use std::path::Path;
use std::process::Command;

use rawdaemon::ErrorKind;
use rawdaemon::internal::Step;

use crate::args::Name;
use crate::support::{package_folder, skip};

/// A file of the package.
fn document(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn steps() -> Vec<String> {
    let words = Step::ALL.iter().map(|step| {
        let mut words = Vec::new();
        step.words()
            .write(&mut |piece| words.extend_from_slice(piece));
        String::from_utf8(words).unwrap()
    });
    words.collect()
}

/// The long names of the options, without their dashes.
fn options() -> Vec<String> {
    let names = Name::ALL.iter().map(|name| name.long().to_vec());
    names.map(|name| String::from_utf8(name).unwrap()).collect()
}

#[test]
fn the_readme_lists_the_steps() {
    let readme = document("README.md");
    let (_, section) = readme.split_once("\n## The steps\n").unwrap();
    let listed: Vec<&str> = section
        .lines()
        .take_while(|line| !line.starts_with("## "))
        .filter(|line| line.starts_with(|first: char| first.is_ascii_digit()))
        .map(|line| line.split_once(". ").unwrap().1)
        .collect();
    assert_eq!(listed, steps());
    assert!(readme.lines().count() <= 200);
}

#[test]
fn the_steps_and_the_exit_codes_are_listed() {
    let page = document("src/command/rawdaemon.8");
    let (_, section) = page.split_once("\n.Sh STEPS\n").unwrap();
    let listed: Vec<&str> = section
        .lines()
        .take_while(|line| !line.starts_with(".Sh "))
        .filter_map(|line| line.strip_prefix(".Sy "))
        .map(|line| line.trim_end_matches(" :"))
        .collect();
    assert_eq!(listed, steps());
    let front = document("src/lib.rs");
    for kind in ErrorKind::ALL {
        let row = format!(
            "//! | [`{kind:?}`](ErrorKind::{kind:?}) | {} | ",
            kind.exit_code()
        );
        assert!(front.lines().any(|line| line.starts_with(&row)), "{row}");
        let item = format!(".It {} Ta {kind:?} Ta ", kind.exit_code());
        assert!(page.lines().any(|line| line.starts_with(&item)), "{item}");
    }
}

#[test]
fn every_option_is_in_every_list_of_options() {
    let help = Command::new(env!("CARGO_BIN_EXE_rawdaemon"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let page = document("src/command/rawdaemon.8");
    let items: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with(".It Fl "))
        .collect();
    let bash = document("src/command/completion/rawdaemon.bash");
    let zsh = document("src/command/completion/_rawdaemon");
    let names = |text: &str, name: &str| {
        let end = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-');
        text.match_indices(&format!("--{name}"))
            .any(|(at, found)| end(&text[at + found.len()..]))
    };
    for name in options() {
        assert!(names(&help, &name), "--help lacks --{name}");
        let is_item = items
            .iter()
            .any(|line| line.split(' ').any(|word| word == format!("-{name}")));
        assert!(is_item, "the manual page lacks --{name}");
        assert!(
            names(&bash, &name),
            "the completion for bash lacks --{name}"
        );
        assert!(names(&zsh, &name), "the completion for zsh lacks --{name}");
    }
}

/// The tests build these programs and run them, so a reader who follows the chapter gets what it says.
#[test]
fn the_chapter_on_programs_without_libc_shows_programs_that_are_tested() {
    let chapter = document("src/guide/no_libc.md");
    for package in ["nolibc", "origin"] {
        let folder = Path::new("tests").join(package);
        if !package_folder().join(&folder).exists() {
            skip("the packaged crate has no programs without libc");
            return;
        }
        let file = |name: &str| document(folder.join(name).to_str().unwrap());
        let manifest = file("Cargo.toml").replace("\"../..\"", "\"../rawdaemon\"");
        let (_, sections) = manifest.split_once("\n[dependencies]\n").unwrap();
        for block in [
            format!("\n```toml\n[dependencies]\n{sections}```\n"),
            format!("\n```rust,no_run\n{}```\n", file("build.rs")),
            format!("\n```rust,ignore\n{}```\n", file("src/main.rs")),
        ] {
            assert!(chapter.contains(&block), "the chapter lacks: {block}");
        }
    }
}
