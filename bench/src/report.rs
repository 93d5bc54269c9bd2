//! What was measured, as JSON for programs and as Markdown for people.

use std::{fmt::Write as _, fs, path::Path};

use serde::Serialize;

/// Everything that a run measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    quick: bool,
    rows: Vec<Row>,
    bars: Vec<Bar>,
    #[serde(skip)]
    sections: String,
}

/// Where it was measured.
#[derive(Debug, Serialize)]
struct Machine {
    cpus: usize,
    model: String,
    kernel: String,
}

/// One comparison.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// `mesh/unary/64-bytes/16-in-flight/1-connection`.
    pub(crate) bench: String,
    /// `cpu_us_per_call`.
    pub(crate) metric: &'static str,
    /// What was measured for us: the median of the rounds.
    pub(crate) subject: f64,
    pub(crate) baseline: &'static str,
    /// The same of the baseline.
    pub(crate) base: f64,
    /// Subject by baseline, the median of the rounds' ratios: below one, we are
    /// cheaper.
    pub(crate) ratio: f64,
    /// The least and the greatest ratio of a round.
    pub(crate) spread: (f64, f64),
}

impl Row {
    /// Compares what was measured in turn, round by round.
    pub(crate) fn of(
        bench: &str,
        metric: &'static str,
        subject: Vec<f64>,
        baseline: &'static str,
        base: Vec<f64>,
    ) -> Self {
        let mut ratios: Vec<f64> =
            subject.iter().zip(&base).map(|(ours, its)| ours / its).collect();
        ratios.sort_by(f64::total_cmp);
        let spread = (ratios[0], ratios[ratios.len() - 1]);
        Self {
            bench: bench.to_owned(),
            metric,
            subject: median(subject),
            baseline,
            base: median(base),
            ratio: median(ratios),
            spread,
        }
    }
}

/// What must hold, and whether it does.
#[derive(Debug, Serialize)]
pub(crate) struct Bar {
    /// What is measured, with its unit.
    pub(crate) name: String,
    /// `<= 0.55`.
    pub(crate) bar: String,
    pub(crate) measured: String,
    pub(crate) held: bool,
}

impl Report {
    pub(crate) fn new(quick: bool) -> Self {
        Self {
            machine: Machine::this(),
            quick,
            rows: Vec::new(),
            bars: Vec::new(),
            sections: String::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    pub(crate) fn rows(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.rows.extend(rows);
    }

    pub(crate) fn bar(&mut self, name: &str, bar: String, measured: String, held: bool) {
        self.bars.push(Bar { name: name.to_owned(), bar, measured, held });
    }

    /// Adds Markdown, and shows it at once: a whole run takes minutes.
    pub(crate) fn section(&mut self, text: &str) {
        progress(text);
        self.sections.push_str(text);
        self.sections.push('\n');
    }

    /// Writes the JSON, and the Markdown beside it.
    pub(crate) fn write(mut self, path: &Path) -> anyhow::Result<()> {
        self.verdict();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, serde_json::to_vec_pretty(&self)?)?;
        let text = path.with_extension("md");
        let Machine { cpus, model, kernel } = &self.machine;
        let head = format!("{cpus} cores of {model}, Linux {kernel}\n\n");
        fs::write(&text, head + &self.sections)?;
        progress(&format!("{} and {}", path.display(), text.display()));
        Ok(())
    }

    fn verdict(&mut self) {
        if self.bars.is_empty() {
            return;
        }
        let mut table = Table::new("What must hold", &["", "bar", "measured", ""]);
        for bar in &self.bars {
            let held = if bar.held { "holds" } else { "does not hold" };
            table.row([bar.name.clone(), bar.bar.clone(), bar.measured.clone(), held.to_owned()]);
        }
        let text = table.finish();
        self.section(&text);
    }
}

impl Machine {
    fn this() -> Self {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = processors.lines().find(|line| line.starts_with("model name"));
        let model = model.and_then(|line| line.split_once(": ")).map_or("?", |(_, model)| model);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            model: model.to_owned(),
            kernel: kernel.trim().to_owned(),
        }
    }
}

/// A Markdown table under a title.
#[derive(Debug)]
pub(crate) struct Table(String);

impl Table {
    pub(crate) fn new(title: &str, columns: &[&str]) -> Self {
        let mut table = Self(format!("### {title}\n"));
        table.row(columns);
        table.row(columns.iter().enumerate().map(|(at, _)| if at == 0 { "---" } else { "---:" }));
        table
    }

    pub(crate) fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        for cell in cells {
            let _ = write!(self.0, "| {} ", cell.as_ref());
        }
        self.0.push_str("|\n");
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }
}

/// The middle value: a disturbed round does not move it.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[expect(clippy::print_stdout, reason = "the report is what the program is for")]
pub(crate) fn progress(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disturbed_round_does_not_move_the_median() {
        assert!((median(vec![1.0, 900.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn rounds_are_compared_with_what_was_measured_beside_them() {
        // The machine was half as fast in the second round.
        let row = Row::of("a", "cpu", vec![1.0, 2.0, 1.0], "b", vec![2.0, 4.0, 2.0]);
        assert!((row.ratio - 0.5).abs() < f64::EPSILON);
        assert!((row.spread.1 - 0.5).abs() < f64::EPSILON);
    }
}
