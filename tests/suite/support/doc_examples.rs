//! The examples of the README and of the library's documentation, as programs. They are compiled from the documents
//! themselves, so both say the same.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::built::{cargo_build, run};
use super::{PROGRAMS, package_folder, skip};

/// What differs from the document when an example runs. It has files in its own folder, any free port, and an end if
/// the test wants that.
const REPLACED: [(&str, &str); 8] = [
    // The daemon is in `/` by then.
    (
        "remove_file(\"/run/web.pid\")",
        "remove_file(std::env::var_os(\"PIDFILE\").unwrap())",
    ),
    ("/run/web.pid", "web.pid"),
    ("/var/log/web.log", "web.log"),
    ("\"/var/lib/web\"", "\".\""),
    ("127.0.0.1:8080", "127.0.0.1:0"),
    ("0.0.0.0:80", "127.0.0.1:0"),
    // A server that may have nothing to serve.
    (
        "std::thread::park()",
        "{ if std::env::var_os(\"ENDS\").is_some() { break; } std::thread::park() }",
    ),
    // It must be alive when the intermediate looks. On a busy machine that may look late.
    ("exec sleep 0.1", "exec sleep 1"),
];

/// An example: a block of Rust in a document.
pub struct DocExample {
    /// The document, from the package's folder.
    pub page: String,
    /// Its number in the document, from 1 on.
    pub number: usize,
    /// Its lines, with the hidden ones.
    pub text: String,
}

impl DocExample {
    /// All examples, by the paths of their documents.
    pub fn all() -> Vec<Self> {
        let root = package_folder();
        let mut pages = vec![root.join("README.md")];
        let mut folders = vec![root.join("src")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path
                    .extension()
                    .is_some_and(|end| end == "rs" || end == "md")
                {
                    pages.push(path);
                }
            }
        }
        pages.sort();
        let mut examples = Vec::new();
        for path in pages {
            let page = path.strip_prefix(&root).unwrap().to_str().unwrap();
            let text = fs::read_to_string(&path).unwrap();
            let lines: Vec<&str> = match page.ends_with(".md") {
                true => text.lines().collect(),
                false => text.lines().map(documentation).collect(),
            };
            for (number, text) in (1..).zip(blocks_of_rust(&lines)) {
                let page = page.to_owned();
                examples.push(Self { page, number, text });
            }
        }
        examples
    }

    /// The name of its program.
    pub fn name(&self) -> String {
        let page = Path::new(&self.page).file_stem().unwrap();
        format!("{}_{}", page.to_str().unwrap().to_lowercase(), self.number)
    }

    /// The source of its program, which `rustdoc` makes in the same way.
    fn source(&self) -> String {
        let mut text = self.text.clone();
        for (from, to) in REPLACED {
            text = text.replace(from, to);
        }
        if text.contains("fn main()") {
            return text;
        }
        let last = text.lines().last().unwrap_or_default();
        match last.starts_with("Ok::<") {
            true => format!(
                "fn main() {{\nfn example() -> Result<(), impl std::fmt::Debug> {{\n{text}}}\n\
                example().unwrap();\n}}\n"
            ),
            false => format!("fn main() {{\n{text}}}\n"),
        }
    }
}

/// The text of a line of documentation.
fn documentation(line: &str) -> &str {
    let line = line.trim_start();
    let text = line
        .strip_prefix("///")
        .or_else(|| line.strip_prefix("//!"));
    let text = text.unwrap_or_default();
    text.strip_prefix(' ').unwrap_or(text)
}

/// The blocks that `rustdoc` takes for Rust, with their hidden lines.
fn blocks_of_rust(lines: &[&str]) -> Vec<String> {
    let is_rust = |word: &str| matches!(word, "" | "rust" | "ignore" | "no_run" | "should_panic");
    let mut blocks = Vec::new();
    let mut rest = lines.iter();
    while let Some(line) = rest.next() {
        let Some(words) = line.strip_prefix("```") else {
            continue;
        };
        let block = rest.by_ref().take_while(|line| !line.starts_with("```"));
        let block = block.map(|line| match line.trim_start() {
            "#" => "\n".to_owned(),
            text => format!("{}\n", text.strip_prefix("# ").unwrap_or(*line)),
        });
        let block: String = block.collect();
        if words.split(',').all(is_rust) {
            blocks.push(block);
        }
    }
    blocks
}

/// Builds the programs of these examples, all of one package. Returns their paths. Without them, the test is
/// skipped.
pub fn doc_programs(examples: &[DocExample]) -> Option<Vec<PathBuf>> {
    build(examples).inspect_err(|why| skip(why)).ok()
}

fn build(examples: &[DocExample]) -> Result<Vec<PathBuf>, String> {
    let programs = |folder: &Path| examples.iter().map(|one| folder.join(one.name())).collect();
    if let Some(folder) = std::env::var_os(PROGRAMS) {
        return Ok(programs(Path::new(&folder)));
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples");
    let programs: Vec<PathBuf> = programs(&folder.join("debug"));
    if let Err(error) = write_package(&folder, examples) {
        let are_there = programs.iter().all(|program| program.is_file());
        let why = format!("{} cannot be written to: {error}", folder.display());
        return if are_there { Ok(programs) } else { Err(why) };
    }
    // The dependencies are those of this package, which Cargo has.
    let mut cargo = cargo_build(&folder.join("Cargo.toml"), &folder);
    cargo.arg("--offline");
    run(cargo, &folder, &programs)?;
    Ok(programs)
}

fn write_package(folder: &Path, examples: &[DocExample]) -> io::Result<()> {
    let root = package_folder();
    let mut manifest = format!(
        "[workspace]\n[package]\nname = \"examples\"\nedition = \"2024\"\n\
        [dependencies]\nrawdaemon = {{ path = {root:?}, features = [\"std\"] }}\n\
        [lints.rust]\nunused = \"allow\"\n[profile.dev]\ndebug = false\n"
    );
    fs::create_dir_all(folder.join("src"))?;
    for example in examples {
        let path = format!("src/{}.rs", example.name());
        manifest += &format!("[[bin]]\nname = {:?}\npath = {path:?}\n", example.name());
        write_new(&folder.join(path), &example.source())?;
    }
    write_new(&folder.join("Cargo.toml"), &manifest)?;
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(())
}

/// Writes a file, unless it has this text: Cargo compiles again what was written.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    match fs::read_to_string(path) {
        Ok(old) if old == text => Ok(()),
        _ => fs::write(path, text),
    }
}
