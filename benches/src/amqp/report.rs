//! What was measured: tables for people, and the RESULT lines.

use super::{
    lap::{Lap, Run},
    program::Took,
};
use crate::spread::Spread;

/// The contestant that the others are compared with; it has a loop for each style.
pub const RAW: &str = "raw";

/// One loop, and what it took each time.
#[derive(Debug)]
struct Row {
    name: &'static str,
    style: &'static str,
    /// `None` if the loop publishes.
    prefetch: Option<u16>,
    took: Vec<Took>,
}

impl Row {
    fn rate(&self) -> Spread {
        Spread::of_all(&self.took, |took| took.rate)
    }

    fn cpu(&self) -> Spread {
        Spread::of_all(&self.took, |took| took.cpu)
    }

    fn is(&self, other: &Self) -> bool {
        (self.name, self.style, self.prefetch) == (other.name, other.style, other.prefetch)
    }
}

/// Shows every lap, and its runs.
pub fn show(laps: &[(Lap, Vec<Run>)]) {
    let (mut published, mut consumed) = (Vec::new(), Vec::new());
    for (lap, runs) in laps {
        let row = |style, prefetch, took| Row {
            name: lap.name,
            style,
            prefetch,
            took,
        };
        let took = runs.iter().map(|run| run.published).collect();
        add(&mut published, row(lap.publish, None, took));
        let took = runs.iter().map(|run| run.consumed).collect();
        add(&mut consumed, row(lap.consume, Some(lap.prefetch), took));
    }
    println!("\npublished, confirmed");
    table(&published);
    results("publish", &published);
    println!("\nconsumed, by a handler that does nothing");
    consumed.sort_by_key(|row| row.prefetch);
    table(&consumed);
    results("consume", &consumed);
}

/// Adds a row to that of the same loop, if there is one: a loop runs in more than one lap.
fn add(rows: &mut Vec<Row>, row: Row) {
    match rows.iter_mut().find(|other| other.is(&row)) {
        Some(same) => same.took.extend(row.took),
        None => rows.push(row),
    }
}

fn table(rows: &[Row]) {
    println!(
        "                     prefetch   msgs/s   CPU s/1000   least to most msgs/s, CPU s/1000"
    );
    for row in rows {
        let (rate, cpu) = (row.rate(), row.cpu());
        println!(
            "{:<20} {:>8} {:>8.0} {:>12.4}   {:.0} to {:.0}, {:.4} to {:.4}",
            format!("{} {}", row.name, row.style),
            row.prefetch
                .map_or("-".into(), |prefetch| prefetch.to_string()),
            rate.median,
            cpu.median,
            rate.least,
            rate.most,
            cpu.least,
            cpu.most
        );
    }
}

fn results(part: &str, rows: &[Row]) {
    for row in rows {
        let (rate, cpu) = (row.rate().median, row.cpu().median);
        print!(
            "RESULT bench=amqp part={part} loop={} style={}",
            row.name, row.style
        );
        if let Some(prefetch) = row.prefetch {
            print!(" prefetch={prefetch}");
        }
        print!(" msgs_per_s={rate:.0} cpu_s_per_1000={cpu:.4}");
        if let Some((best, its_cpu)) = best(rows, row.prefetch).filter(|_| row.name != RAW) {
            print!(
                " rate_ratio={:.3} cpu_ratio={:.3}",
                rate / best,
                cpu / its_cpu
            );
        }
        println!();
    }
}

/// Returns rate and CPU time of the fastest hand-written loop with the same prefetch.
fn best(rows: &[Row], prefetch: Option<u16>) -> Option<(f64, f64)> {
    let same = rows
        .iter()
        .filter(|row| row.name == RAW && row.prefetch == prefetch);
    let best = same.max_by(|a, b| a.rate().median.total_cmp(&b.rate().median))?;
    Some((best.rate().median, best.cpu().median))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_hand_written_loop_of_the_same_prefetch_is_the_measure() {
        let row = |name, style, prefetch, rate| Row {
            name,
            style,
            prefetch: Some(prefetch),
            took: vec![Took {
                rate,
                cpu: 1.0 / rate,
            }],
        };
        let rows = [
            row(RAW, "each", 50, 10.0),
            row(RAW, "together", 50, 20.0),
            row(RAW, "together", 500, 40.0),
            row("loafer", "-", 50, 80.0),
        ];
        assert_eq!(best(&rows, Some(50)), Some((20.0, 0.05)));
        assert_eq!(best(&rows, Some(7)), None);
    }

    #[test]
    fn laps_of_the_same_loop_are_one_row() {
        let row = |rate| Row {
            name: RAW,
            style: "pipelined",
            prefetch: None,
            took: vec![Took { rate, cpu: 1.0 }],
        };
        let mut rows = Vec::new();
        add(&mut rows, row(1.0));
        add(&mut rows, row(3.0));
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].rate().most, 3.0);
    }
}
