//! What was measured, as JSON for programs and as a table for people.

use std::{fs, path::Path};

use serde::Serialize;

/// One comparison.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// `mesh/unary/concurrency-16`.
    pub(crate) bench: String,
    /// `cpu_us_per_call`.
    pub(crate) metric: &'static str,
    pub(crate) unit: &'static str,
    /// What was measured for us.
    pub(crate) subject: f64,
    pub(crate) baseline: Baseline,
    /// Subject by baseline: below one, we are cheaper.
    pub(crate) ratio: f64,
}

/// What we are compared with.
#[derive(Debug, Serialize)]
pub(crate) struct Baseline {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
}

impl Row {
    pub(crate) fn new(
        bench: &str,
        (metric, unit): (&'static str, &'static str),
        subject: f64,
        baseline: (&'static str, f64),
    ) -> Self {
        let (name, value) = baseline;
        let ratio = subject / value;
        Self {
            bench: bench.to_owned(),
            metric,
            unit,
            subject,
            baseline: Baseline { name, value },
            ratio,
        }
    }
}

/// The middle value: a disturbed round does not move it.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Writes the JSON and prints the table.
#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
pub(crate) fn write(rows: &[Row], path: &Path) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, serde_json::to_vec_pretty(rows)?)?;
    println!(
        "{:<28} {:<28} {:>10}  {:<30} {:>10} {:>7}",
        "bench", "metric", "titan", "baseline", "", "ratio"
    );
    for row in rows {
        println!(
            "{:<28} {:<28} {:>10.2}  {:<30} {:>10.2} {:>6.2}x",
            row.bench, row.metric, row.subject, row.baseline.name, row.baseline.value, row.ratio
        );
    }
    println!("report: {}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disturbed_round_does_not_move_the_median() {
        assert!((median(vec![1.0, 900.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
