//! The command `check`: connects, and says what it found.

use std::{
    fmt::Write as _,
    io::{IsTerminal as _, stdout},
    process::ExitCode,
};

use loafer_core::{
    broker::{Finding, Level},
    outcome::BoxError,
};
use loafer_runtime::program::Manager;
use serde_json::json;

use crate::{logging, routes::print};

/// Prints the rights that each route needs.
pub(crate) async fn policy(manager: &Manager) -> Result<ExitCode, BoxError> {
    let rights = manager.rights().await;
    if rights.is_empty() {
        return Err(
            "no broker of its routes has a form for rights: `check` tries what may be done".into(),
        );
    }
    print(&format!("{}\n", serde_json::to_string_pretty(&rights)?))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints what is found of routes, topics and reply queues. With `delete`, reply queues that were left behind are deleted.
pub(crate) async fn check(
    manager: &Manager,
    json: bool,
    delete: bool,
) -> Result<ExitCode, BoxError> {
    let mut findings = manager.check().await;
    let routes = findings.len();
    // After the routes: what these made need not be made again.
    let topics = manager.check_topics().await;
    if !topics.is_empty() {
        findings.push(("topics".to_owned(), topics));
    }
    let replies = manager.check_replies(delete).await;
    if !replies.is_empty() {
        findings.push(("replies".to_owned(), replies));
    }
    let colours = logging::colours(stdout().is_terminal());
    print(&match json {
        true => in_json(&findings),
        false => report(&findings, routes, colours),
    })?;
    Ok(if count(&findings, Level::Problem) == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The first `routes` findings are those of routes, and the others those of topics and of reply queues.
fn report(findings: &[(String, Vec<Finding>)], routes: usize, colours: bool) -> String {
    let mut text = String::new();
    for (route, found) in findings {
        _ = writeln!(text, "{route}");
        for finding in found {
            let (mark, colour) = match finding.level {
                Level::Good => ("✓", 32),
                Level::Warning => ("! warning:", 33),
                Level::Problem => ("✗ problem:", 31),
            };
            let lines = finding.text.replace('\n', "\n    ");
            _ = match colours {
                true => writeln!(text, "  \x1b[{colour}m{mark}\x1b[0m {lines}"),
                false => writeln!(text, "  {mark} {lines}"),
            };
        }
    }
    let (problems, warnings) = (
        count(findings, Level::Problem),
        count(findings, Level::Warning),
    );
    let routes = amount(routes, "route");
    _ = writeln!(
        text,
        "{routes}: {}, {}",
        amount(problems, "problem"),
        amount(warnings, "warning")
    );
    text
}

/// One object: what was found of each route and of the topics, and how much of it is wrong.
fn in_json(findings: &[(String, Vec<Finding>)]) -> String {
    let of_one = |(name, found): &(String, Vec<Finding>)| {
        let found = found.iter().map(|finding| {
            let level = match finding.level {
                Level::Good => "good",
                Level::Warning => "warning",
                Level::Problem => "problem",
            };
            json!({ "level": level, "text": finding.text })
        });
        json!({ "of": name, "findings": found.collect::<Vec<_>>() })
    };
    let told = json!({
        "checked": findings.iter().map(of_one).collect::<Vec<_>>(),
        "problems": count(findings, Level::Problem),
        "warnings": count(findings, Level::Warning),
    });
    format!("{told:#}\n")
}

fn count(findings: &[(String, Vec<Finding>)], level: Level) -> usize {
    findings
        .iter()
        .flat_map(|(_, found)| found)
        .filter(|finding| finding.level == level)
        .count()
}

fn amount(count: usize, of: &str) -> String {
    format!("{count} {of}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<(String, Vec<Finding>)> {
        let sound = ("a".to_owned(), vec![Finding::good("queue `a` exists")]);
        let broken = (
            "b".to_owned(),
            vec![
                Finding::warning("max receives is 3"),
                Finding::problem("no queue `b`\ncreate it"),
            ],
        );
        vec![sound, broken]
    }

    #[test]
    fn each_route_has_its_findings_and_all_are_counted() {
        let expected = "a\n  ✓ queue `a` exists\n\
                        b\n  ! warning: max receives is 3\n  ✗ problem: no queue `b`\n    create it\n\
                        2 routes: 1 problem, 1 warning\n";
        assert_eq!(report(&findings(), 2, false), expected);
    }

    #[test]
    fn in_json_each_finding_has_its_level() {
        let told: serde_json::Value = serde_json::from_str(&in_json(&findings())).unwrap();
        assert_eq!(
            (&told["problems"], &told["warnings"]),
            (&json!(1), &json!(1))
        );
        let broken = json!({ "of": "b", "findings": [
            { "level": "warning", "text": "max receives is 3" },
            { "level": "problem", "text": "no queue `b`\ncreate it" },
        ] });
        assert_eq!(told["checked"][1], broken);
    }

    #[test]
    fn marks_are_coloured_on_a_terminal() {
        assert!(report(&findings(), 2, true).contains("\x1b[31m✗ problem:\x1b[0m no queue"));
    }
}
