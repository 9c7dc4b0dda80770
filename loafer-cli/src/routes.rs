//! The command `routes`: a table.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use loafer_core::outcome::BoxError;
use loafer_runtime::program::Manager;

const HEAD: [&str; 8] = [
    "ROUTE",
    "QUEUE",
    "PROVIDER",
    "TRANSLATOR",
    "CONCURRENCY",
    "TAKES",
    "HANDLER",
    "DECLARED AT",
];

pub(crate) fn list(manager: &Manager) -> Result<ExitCode, BoxError> {
    let rows = manager.routes().into_iter().map(|route| {
        let (file, line) = route.location;
        [
            route.route,
            route.queue,
            route.broker,
            route.translator.to_owned(),
            concurrency(route.concurrency, route.batch, route.enabled),
            route.on.unwrap_or_else(|| "all".to_owned()),
            route.handler,
            format!("{file}:{line}"),
        ]
    });
    let rows: Vec<_> = [HEAD.map(str::to_owned)].into_iter().chain(rows).collect();
    print(&table(&rows))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns how many messages the route handles at once, and that it starts paused.
fn concurrency(calls: usize, batch: Option<usize>, enabled: bool) -> String {
    let each = batch.map_or(String::new(), |most| format!(" x {most}"));
    let paused = if enabled { "" } else { ", paused" };
    format!("{calls}{each}{paused}")
}

/// Returns the rows as a table. Columns are aligned at the left, two spaces apart, and nothing follows the last one.
pub(crate) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Prints to stdout. A reader that has seen enough is not a failure.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            ["ROUTE", "QUEUE", "AT"],
            ["a", "somewhere-else", "src/main.rs:7"],
            ["größer", "b", "x"],
        ];
        let table = table(&rows.map(|row| row.map(str::to_owned)));
        assert_eq!(
            table,
            "ROUTE   QUEUE           AT\n\
             a       somewhere-else  src/main.rs:7\n\
             größer  b               x\n"
        );
    }
}
