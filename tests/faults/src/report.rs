//! The figures, and what was wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::faults::Case;
use crate::known::{Known, pattern};

#[derive(Clone, Copy, Default)]
struct Figures {
    cases: usize,
    missed: usize,
    right: usize,
    wrong: usize,
    debris: usize,
    hangs: usize,
    known: usize,
    unsteady: usize,
}

/// A kind of wrong answer: how often it was seen, the first case, and what was seen there.
struct Finding {
    count: usize,
    case: String,
    text: String,
    is_known: bool,
}

pub struct Report {
    known: Known,
    scenarios: BTreeMap<String, Figures>,
    findings: BTreeMap<(String, String), Finding>,
    slowest: (u64, String),
    pub took: Duration,
    pub left_out: usize,
}

impl Report {
    pub fn new(known: Known) -> Self {
        Self {
            known,
            scenarios: BTreeMap::new(),
            findings: BTreeMap::new(),
            slowest: (0, String::new()),
            took: Duration::ZERO,
            left_out: 0,
        }
    }

    /// Takes a worker's answer: `right`, `missed` or `wrong`, the milliseconds, and kinds and texts.
    pub fn add(&mut self, case: &Case, answer: &str) {
        let mut words = answer.split('\t');
        let how = words.next().unwrap_or_default();
        let milliseconds = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        self.slowest = self.slowest.clone().max((milliseconds, case.to_string()));
        let figures = self.scenarios.entry(case.scenario.clone()).or_default();
        figures.cases += 1;
        match how {
            "right" => figures.right += 1,
            "missed" => figures.missed += 1,
            "unsteady" => {
                figures.unsteady += 1;
                println!(
                    "only once: {case}: {}",
                    words.next_back().unwrap_or_default()
                );
            }
            _ => {
                let mut problems = Vec::new();
                while let (Some(kind), Some(text)) = (words.next(), words.next()) {
                    problems.push((kind, text));
                }
                if problems.is_empty() {
                    problems.push(("error", answer));
                }
                let has = |name: &str| problems.iter().any(|(kind, _)| *kind == name);
                figures.hangs += usize::from(has("hang"));
                figures.debris += usize::from(has("debris"));
                figures.wrong += usize::from(
                    problems
                        .iter()
                        .any(|(kind, _)| !["hang", "debris"].contains(kind)),
                );
                let is_known = |kind: &str| self.known.contains(kind, case);
                figures.known += usize::from(problems.iter().all(|(kind, _)| is_known(kind)));
                for (kind, text) in problems {
                    let is_known = is_known(kind);
                    let key = (kind.to_owned(), pattern(case)[1..].join("/"));
                    let finding = self.findings.entry(key).or_insert_with(|| Finding {
                        count: 0,
                        case: case.to_string(),
                        text: text.to_owned(),
                        is_known,
                    });
                    finding.count += 1;
                    if finding.is_known && !is_known {
                        finding.is_known = false;
                        finding.case = case.to_string();
                        finding.text = text.to_owned();
                    }
                }
            }
        }
    }

    pub fn is_well(&self) -> bool {
        self.findings.values().all(|finding| finding.is_known)
    }

    pub fn print(&self, shows_known: bool) {
        for ((kind, what), finding) in &self.findings {
            if !finding.is_known || shows_known {
                let known = if finding.is_known { "known, " } else { "" };
                println!(
                    "{known}{kind} {what}, {} times: {}",
                    finding.count, finding.case
                );
                println!("    {}", finding.text);
            }
        }
        println!(
            "scenario          cases   right   wrong  debris   hangs  (known)  missed    once"
        );
        let mut all = Figures::default();
        for (name, figures) in &self.scenarios {
            line(name, figures);
            all.cases += figures.cases;
            all.missed += figures.missed;
            all.right += figures.right;
            all.wrong += figures.wrong;
            all.debris += figures.debris;
            all.hangs += figures.hangs;
            all.known += figures.known;
            all.unsteady += figures.unsteady;
        }
        line("all", &all);
        let (milliseconds, case) = &self.slowest;
        println!(
            "{} s; {} cases left out; the slowest: {milliseconds} ms, {case}",
            self.took.as_secs(),
            self.left_out
        );
    }
}

fn line(name: &str, figures: &Figures) {
    let Figures {
        cases,
        right,
        wrong,
        debris,
        hangs,
        known,
        missed,
        unsteady,
    } = figures;
    println!(
        "{name:16} {cases:6}  {right:6}  {wrong:6}  {debris:6}  {hangs:6}   {known:6}  {missed:6}  {unsteady:6}"
    );
}
