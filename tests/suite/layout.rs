//! The layout of the source: imports run downward only, files are short, and folders say what they are for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The parts of the library, from the bottom to the top. Each imports from parts to its left only.
const ORDER: [&str; 13] = [
    "text",
    "packed",
    "protocol",
    "sys",
    "entry",
    "accounts",
    "options",
    "environment",
    "pidfile",
    "start",
    "supervisor",
    "hosted",
    "internal",
];

/// The longest file, in lines.
const LONGEST: usize = 450;

/// The files below `src`, by their paths in it.
fn sources() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_owned();
                sources.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert!(sources.len() > 50, "{}", sources.len());
    sources
}

/// The code of a file, without comments and without its tests.
fn code(text: &str) -> String {
    let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
    let code = code.lines().map(|line| line.split("//").next().unwrap());
    code.collect::<Vec<_>>().join("\n")
}

/// The module of a file, as its path from the crate's root.
fn module(file: &Path) -> Vec<String> {
    let mut parts: Vec<String> = file
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// The paths that the code names from `crate` or `super`, with the names in braces spelled out, as paths from
/// the crate's root.
fn named(code: &str, module: &[String]) -> BTreeSet<Vec<String>> {
    assert!(!code.contains("super::super"), "not understood: {module:?}");
    let mut found = BTreeSet::new();
    for (start, parent) in [("crate::", 0), ("super::", module.len().saturating_sub(1))] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            // `pub(crate)` and longer words are not paths.
            if before.is_some_and(|before| before.is_alphanumeric() || before == ':') {
                continue;
            }
            // An exported macro names public items by the crate's root or by the public module.
            let after = &code[at + start.len()..];
            let is_public =
                after.starts_with(char::is_uppercase) || after.starts_with("internal::");
            if before == Some('$') && is_public {
                continue;
            }
            let mut path = module[..parent].to_vec();
            let mut rest = &code[at + start.len()..];
            loop {
                let end = rest
                    .find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                if end == 0 {
                    break;
                }
                path.push(rest[..end].to_owned());
                match rest[end..].strip_prefix("::") {
                    Some(after) => rest = after,
                    None => {
                        rest = "";
                        break;
                    }
                }
            }
            match rest
                .strip_prefix('{')
                .and_then(|list| list.split('}').next())
            {
                Some(list) => {
                    assert!(!list.contains('{'), "not understood: {module:?}: {list}");
                    for name in list
                        .split(',')
                        .map(str::trim)
                        .filter(|name| !name.is_empty())
                    {
                        let first = name.split("::").next().unwrap().to_owned();
                        found.insert([&path[..], &[first]].concat());
                    }
                }
                None => {
                    found.insert(path);
                }
            }
        }
    }
    found
}

#[test]
fn imports_run_downward() {
    let rank = |part: &str| ORDER.iter().position(|other| *other == part);
    for (file, text) in sources() {
        let module = module(&file);
        let part = module[0].as_str();
        if matches!(part, "lib" | "command") {
            continue;
        }
        let own = rank(part).unwrap_or_else(|| panic!("{part} has no place in the order"));
        for path in named(&code(&text), &module) {
            // Macros stand at the crate's root.
            let Some(other) = path.first().and_then(|first| rank(first)) else {
                assert!(path[0].starts_with("__"), "{}: {path:?}", file.display());
                continue;
            };
            assert!(other <= own, "{} imports {path:?}", file.display());
        }
    }
}

/// The command reaches the library by its public names and this module.
#[test]
fn the_library_has_one_public_module() {
    let sources = sources();
    let lines = sources[Path::new("lib.rs")].lines();
    let modules: Vec<&str> = lines.filter(|line| line.starts_with("pub mod ")).collect();
    // The guide has text only.
    assert_eq!(modules, ["pub mod internal;", "pub mod guide {"]);
    for (file, text) in sources {
        let is_outside = text.contains("#[path");
        assert!(!is_outside, "{} includes a file", file.display());
    }
}

/// The compiler refuses `unsafe` where it is not allowed.
#[test]
fn unsafe_code_is_allowed_in_few_places() {
    let sources = sources();
    let allowing = sources
        .iter()
        .filter(|(_, text)| code(text).contains("allow(unsafe_code)"));
    let files: Vec<&str> = allowing.map(|(file, _)| file.to_str().unwrap()).collect();
    // One allows it in two folders, one declares a function that is unsafe to call.
    assert_eq!(files, ["lib.rs", "start/daemonize.rs"]);
    let library = code(&sources[Path::new("lib.rs")]);
    let folders: Vec<&str> = library
        .split("#[allow(unsafe_code)]")
        .skip(1)
        .map(|after| after.trim_start().lines().next().unwrap())
        .collect();
    assert_eq!(folders, ["mod entry;", "mod sys;"]);
    let daemonize = code(&sources[Path::new("start/daemonize.rs")]);
    assert!(!daemonize.contains("unsafe {"));
}

/// A program with a C library has the symbols of the entry code from there. So only macros define them, in the
/// program that uses them.
#[test]
fn the_library_defines_no_symbols() {
    let mut defining = Vec::new();
    for (file, text) in sources() {
        let code = code(&text);
        let outside = code.split("macro_rules!").next().unwrap();
        for word in ["no_mangle", "export_name", "panic_handler", "global_asm!"] {
            assert!(!outside.contains(word), "{}: {word}", file.display());
            if code.contains(word) {
                defining.push(file.to_str().unwrap().to_owned());
            }
        }
    }
    defining.dedup();
    defining.retain(|file| !file.starts_with("sys/arch/"));
    assert_eq!(defining, ["entry/mod.rs"]);
}

/// Within a folder, files import each other without a circle, and none imports from its folder's `mod.rs`.
#[test]
fn files_of_a_folder_do_not_import_in_a_circle() {
    let sources = sources();
    let modules: BTreeSet<Vec<String>> = sources.keys().map(|file| module(file)).collect();
    let mut arrows: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for (file, text) in &sources {
        let module = module(file);
        // A `mod.rs` names its files for others.
        if file.ends_with("mod.rs") || matches!(module[0].as_str(), "lib" | "internal") {
            continue;
        }
        let is_main = module.last().is_some_and(|last| last == "main");
        // The command is a crate of its own.
        let root = usize::from(module[0] == "command");
        for path in named(&code(text), &module[root..]) {
            let path = [&module[..root], &path[..]].concat();
            let longest = (1..=path.len())
                .rev()
                .map(|length| path[..length].to_vec())
                .find(|path| modules.contains(path));
            let is_of_root = root == 1 && longest.is_none();
            assert!(!is_of_root, "{} imports {path:?}", file.display());
            if let Some(other) = longest {
                let is_parent = module.starts_with(&other) && other != module;
                assert!(!is_parent || is_main, "{} imports {path:?}", file.display());
                if other != module {
                    arrows.entry(module.clone()).or_default().insert(other);
                }
            }
        }
    }
    // Remove files that import no remaining file, until none remains.
    while !arrows.is_empty() {
        let remaining: BTreeSet<_> = arrows.keys().cloned().collect();
        let before = arrows.len();
        arrows.retain(|_, others| others.iter().any(|other| remaining.contains(other)));
        assert!(arrows.len() < before, "a circle: {arrows:#?}");
    }
}

#[test]
fn files_are_short_and_folders_say_what_they_are_for() {
    for (file, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= LONGEST, "{}: {lines} lines", file.display());
        assert!(
            text.starts_with("//! "),
            "{} has no first words",
            file.display()
        );
        let folder = file.parent().unwrap();
        let head = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src")
            .join(folder);
        let is_crate_root = folder == Path::new("") || folder == Path::new("command");
        let head = head.join("mod.rs");
        assert!(
            is_crate_root || head.is_file(),
            "{} has no mod.rs",
            folder.display()
        );
        if file.ends_with("mod.rs") {
            let question = text.lines().next().unwrap();
            assert!(question.ends_with('?'), "{}: {question}", file.display());
        }
    }
}

/// Code that depends on the architecture is in `sys/arch`. A feature of the compiler is named at the root.
#[test]
fn architectures_are_named_in_one_folder() {
    let feature = "#![cfg_attr(target_arch = \"mips\", feature(asm_experimental_arch))]";
    for (file, text) in sources() {
        let code = code(&text).replace(feature, "");
        let is_named = code.contains("target_arch") || code.contains("target_pointer_width");
        assert!(
            !is_named || file.starts_with("sys/arch"),
            "{}",
            file.display()
        );
    }
}

/// Of `sys`, the parts that decide name only the types for C strings and descriptors.
#[test]
fn the_parts_that_decide_make_no_system_call() {
    let pure = [
        "options/",
        "protocol/",
        "accounts/parse.rs",
        "environment.rs",
        "pidfile/fingerprint.rs",
        "start/file_head.rs",
        "start/kept_fds.rs",
        "start/path_search.rs",
        "start/plan.rs",
        "supervisor/log/name.rs",
        "supervisor/log/notice.rs",
        "supervisor/log/options.rs",
        "supervisor/log/position.rs",
        "supervisor/log/record.rs",
        "supervisor/log/stamp.rs",
        "supervisor/respawn.rs",
        "text.rs",
        "packed.rs",
    ];
    for part in pure {
        let sources = sources();
        let mut files = sources
            .iter()
            .filter(|(file, _)| file.to_str().unwrap().starts_with(part))
            .peekable();
        assert!(files.peek().is_some(), "{part}");
        for (file, text) in files {
            for path in named(&code(text), &module(file)) {
                let name = path.get(1).map_or("", String::as_str);
                let is_call = match path[0].as_str() {
                    "sys" => !matches!(
                        name,
                        "ThinCStr" | "CStrings" | "RawFd" | "NO_FD" | "PATH_SIZE"
                    ),
                    // The other files of these folders make system calls. A stage of a stop is only told.
                    "accounts" | "pidfile" | "start" => name != "Stage",
                    _ => false,
                };
                assert!(!is_call, "{} imports {path:?}", file.display());
            }
        }
    }
}
