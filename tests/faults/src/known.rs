//! The wrong answers that are known, from `known.txt`.

use std::path::Path;
use std::{fs, io};

use crate::faults::Case;

/// Lines of a kind of problem and a pattern for cases, in which `*` stands for any word.
pub struct Known(Vec<(String, Vec<String>)>);

impl Known {
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut lines = Vec::new();
        for line in fs::read_to_string(path)?.lines() {
            let mut words = line
                .split('#')
                .next()
                .unwrap_or_default()
                .split_whitespace();
            if let (Some(kind), Some(pattern)) = (words.next(), words.next()) {
                lines.push((kind.into(), pattern.split('/').map(str::to_owned).collect()));
            }
        }
        Ok(Self(lines))
    }

    pub fn contains(&self, kind: &str, case: &Case) -> bool {
        let words = pattern(case);
        self.0.iter().any(|(known, pattern)| {
            let fits = |(pattern, word): (&String, &String)| pattern == "*" || pattern == word;
            (known == kind || known == "*")
                && pattern.len() == words.len()
                && pattern.iter().zip(&words).all(fits)
        })
    }
}

/// A case without its number: the scenario, the process, the call and the fault. A policy concerns all calls.
pub fn pattern(case: &Case) -> Vec<String> {
    let role = case.role.to_string();
    vec![
        case.scenario.clone(),
        role,
        case.call.clone(),
        case.kind.to_string(),
    ]
}
