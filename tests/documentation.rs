//! Holds the documentation to what exists: links, file names, commands, targets and every YAML example.

#[path = "documentation/yaml_examples.rs"]
mod yaml_examples;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A page and its text.
struct Page {
    path: PathBuf,
    text: String,
}

/// A fenced block: the words after the fence, its text, and the line it begins on.
struct Block<'a> {
    info: &'a str,
    text: String,
    line: usize,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|other| other == extension) {
            found.push(path);
        }
    }
}

fn pages() -> Vec<Page> {
    let mut paths: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name)).into();
    files(&root().join("docs"), "md", &mut paths);
    files(&root().join("config"), "md", &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Page { path, text }
    };
    paths.into_iter().map(read).collect()
}

impl Page {
    fn name(&self) -> String {
        self.path.strip_prefix(root()).unwrap_or(&self.path).display().to_string()
    }

    fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks = Vec::new();
        let mut open: Option<Block<'_>> = None;
        for (number, line) in self.text.lines().enumerate() {
            match (&mut open, line.strip_prefix("```")) {
                (None, Some(info)) => open = Some(Block { info: info.trim(), text: String::new(), line: number + 1 }),
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a fenced block has no end", self.name());
        blocks
    }

    /// The text outside of fenced blocks.
    fn prose(&self) -> String {
        let mut inside = false;
        let mut prose = String::new();
        for line in self.text.lines() {
            if line.starts_with("```") {
                inside = !inside;
            } else if !inside {
                prose.push_str(line);
                prose.push('\n');
            }
        }
        prose
    }
}

/// What is set as code within text.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// What stands between two different marks, each time they occur.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> Vec<&'a str> {
    text.split(begin).skip(1).filter_map(|rest| rest.split_once(end)).map(|(inner, _)| inner).collect()
}

/// The anchor that a heading gets on the usual forges.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn hold(violations: &[String]) {
    assert!(violations.is_empty(), "\n  {}\n", violations.join("\n  "));
}

/// Cargo's settings were once left out: the image's ledger then wrote twice for each commit.
#[test]
fn the_image_is_built_from_all_that_the_build_reads() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).expect(name);
    let (recipe, admitted) = (read("Dockerfile"), read(".dockerignore"));
    let build = recipe.split("\nFROM ").nth(1).expect("the stage that builds");
    let copied: Vec<&str> =
        build.lines().filter_map(|line| line.strip_prefix("COPY ")).flat_map(str::split_whitespace).collect();
    let mut inputs: BTreeSet<String> = ["Cargo.toml", "Cargo.lock", ".cargo", "src"].map(String::from).into();
    let mut sources = Vec::new();
    files(&root().join("src"), "rs", &mut sources);
    for file in sources.iter().filter(|file| !file.iter().any(|part| part == "tests")) {
        let text = std::fs::read_to_string(file).expect("a source file");
        for included in between(&text, "include_str!(\"", "\")") {
            let path = file.parent().expect("a folder").join(included).canonicalize().expect(included);
            let path = path.strip_prefix(root().canonicalize().expect("a folder")).expect("inside").to_owned();
            inputs.extend(path.iter().next().map(|top| top.to_string_lossy().into_owned()));
        }
    }
    let missing = inputs.iter().filter(|input| {
        !copied.contains(&input.as_str()) || !admitted.lines().any(|line| line.strip_prefix('!') == Some(input))
    });
    hold(&missing.map(|input| format!("{input}: the Dockerfile doesn't copy it")).collect::<Vec<_>>());
    assert!(inputs.contains("config") && inputs.contains("flags"), "{inputs:?}");
}

#[test]
fn links_lead_somewhere() {
    let mut violations = Vec::new();
    for page in pages() {
        for link in between(&page.prose(), "](", ")") {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = page.path.parent().expect("a folder").join(file);
            let target = if file.is_empty() { page.path.clone() } else { target };
            let Ok(text) = std::fs::read_to_string(&target).or_else(|_| target.is_dir().then(String::new).ok_or(()))
            else {
                violations.push(format!("{}: {link} leads nowhere", page.name()));
                continue;
            };
            let known = text
                .lines()
                .filter(|line| line.starts_with('#'))
                .any(|line| anchor(line.trim_start_matches('#').trim()) == fragment);
            if !fragment.is_empty() && !known {
                violations.push(format!("{}: {link}: no such heading", page.name()));
            }
        }
    }
    hold(&violations);
}

#[test]
fn file_names_in_the_documentation_exist() {
    let mut violations = Vec::new();
    let mut seen = 0;
    for page in pages().into_iter().filter(|page| !page.name().starts_with("CHANGELOG")) {
        for name in code_spans(&page.prose()) {
            let is_path = ["src/", "tests/", "docs/", "bench/", "config/", "examples/"]
                .iter()
                .any(|start| name.starts_with(start));
            if is_path && !name.contains(['*', ' ', '{']) {
                seen += 1;
                if !root().join(name).exists() {
                    violations.push(format!("{}: `{name}` does not exist", page.name()));
                }
            }
        }
    }
    assert!(seen > 20, "hardly any file name found: this test would prove nothing");
    hold(&violations);
}

#[test]
fn pages_named_in_the_code_exist() {
    let mut sources = Vec::new();
    for folder in ["src", "tests", "examples"] {
        files(&root().join(folder), "rs", &mut sources);
    }
    let mut violations = Vec::new();
    for source in sources {
        let text = std::fs::read_to_string(&source).expect("a source file");
        for name in between(&text, "`docs/", "`") {
            if !name.contains(['"', '{']) && !root().join("docs").join(name).exists() {
                violations.push(format!("{}: `docs/{name}` does not exist", source.display()));
            }
        }
    }
    hold(&violations);
}

#[test]
fn commands_in_the_documentation_are_understood() {
    let targets = make_targets();
    let mut violations = Vec::new();
    for page in pages() {
        for block in page.blocks().iter().filter(|block| matches!(block.info, "sh" | "console")) {
            for line in block.text.lines() {
                let typed = if block.info == "console" { line.strip_prefix("$ ") } else { Some(line) };
                let line = typed.unwrap_or_default().split(" #").next().unwrap_or_default();
                let line = line.split(" | ").next().unwrap_or_default().trim();
                let words: Vec<&str> = line.split_whitespace().collect();
                let complaint = match words.as_slice() {
                    ["make", target, ..] if !targets.contains(*target) => {
                        Some(format!("make has no target {target:?}"))
                    }
                    ["figway", ..] => misunderstood(line),
                    _ => None,
                };
                violations.extend(complaint.map(|what| format!("{}:{}: {line}: {what}", page.name(), block.line)));
            }
        }
    }
    hold(&violations);
}

fn make_targets() -> BTreeSet<String> {
    let makefile = std::fs::read_to_string(root().join("Makefile")).expect("Makefile");
    let targets = makefile.lines().filter_map(|line| line.split_once(": ").or_else(|| line.split_once(':')));
    targets
        .map(|(target, _)| target.trim().to_owned())
        .filter(|target| target.chars().all(|c| c.is_ascii_lowercase()))
        .collect()
}

/// What the program itself says against a command line. With `--help` at its end nothing is done, and everything before it
/// has been parsed.
fn misunderstood(line: &str) -> Option<String> {
    let words = shell_words(line);
    let output =
        Command::new(env!("CARGO_BIN_EXE_figway")).args(&words[1..]).arg("--help").output().expect("the program");
    (!output.status.success())
        .then(|| String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned())
}

/// Splits at spaces outside of quotes: all that the examples need.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, ' ') => words.push(String::new()),
            (_, c) => words.last_mut().expect("never empty").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
