//! What callgrind wrote, summed by the source file that an instruction comes
//! from. Functions are inlined, files are not: the line table says for every
//! instruction which file it was written in, so nothing here has to be kept in
//! step with the names of functions.

use std::collections::{BTreeMap, HashMap};

/// Instructions by source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profile(BTreeMap<Source, f64>);

/// Where code comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// A file of the mesh, below its `src`.
    Mesh(String),
    /// A crate, the standard library, or a part of libc.
    Of(String),
}

impl Profile {
    /// Reads callgrind's format (valgrind's manual, "Callgrind Format
    /// Specification").
    pub(crate) fn parse(text: &str) -> Self {
        let mut all = Self::default();
        // Names are written once and then meant by their number.
        let mut sources: HashMap<&str, Source> = HashMap::new();
        let mut source = Source::Of("unknown".to_owned());
        let mut callee = false;
        for line in text.lines() {
            if let Some((key, value)) = line.split_once('=') {
                let file = matches!(key, "fl" | "fi" | "fe" | "cfi" | "cfl");
                if file {
                    let (number, name) = value.split_once(' ').unwrap_or((value, ""));
                    if !name.is_empty() {
                        sources.insert(number, Source::of(name));
                    }
                    if !key.starts_with('c')
                        && let Some(known) = sources.get(number)
                    {
                        source.clone_from(known);
                    }
                }
                // The next line tells what the callee costs, which is counted
                // where it is spent.
                callee = key == "calls";
            } else if line.starts_with(|first: char| "0123456789+-*".contains(first)) {
                let cost = line.split(' ').nth(1).and_then(|cost| cost.parse::<f64>().ok());
                if let (false, Some(cost)) = (callee, cost) {
                    *all.0.entry(source.clone()).or_default() += cost;
                }
                callee = false;
            }
        }
        all
    }

    pub(crate) fn total(&self) -> f64 {
        self.0.values().sum()
    }

    /// Of one call, by the profile of a shorter run.
    pub(crate) fn since(&self, shorter: &Self, calls: f64) -> Self {
        let of = |(source, cost): (&Source, &f64)| {
            let before = shorter.0.get(source).copied().unwrap_or_default();
            (source.clone(), (cost - before) / calls)
        };
        Self(self.0.iter().map(of).collect())
    }

    /// Of one source.
    pub(crate) fn of(&self, source: &Source) -> f64 {
        self.0.get(source).copied().unwrap_or_default()
    }

    /// By file of the mesh.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&Source, f64)> {
        self.0.iter().filter(|(source, _)| source.file().is_some()).map(|(at, cost)| (at, *cost))
    }

    /// By crate; all files of the mesh are one.
    pub(crate) fn crates(&self) -> BTreeMap<&str, f64> {
        let mut all = BTreeMap::new();
        for (source, cost) in &self.0 {
            *all.entry(source.crate_name()).or_default() += cost;
        }
        all
    }
}

impl Source {
    pub(crate) fn file(&self) -> Option<&str> {
        match self {
            Self::Mesh(file) => Some(file),
            Self::Of(_) => None,
        }
    }

    fn crate_name(&self) -> &str {
        match self {
            Self::Mesh(_) => "mesh",
            Self::Of(name) => name,
        }
    }

    fn of(file: &str) -> Self {
        if let Some((_, file)) = file.split_once("mesh/src/") {
            return Self::Mesh(file.to_owned());
        }
        Self::Of(Self::room(file).to_owned())
    }

    fn room(file: &str) -> &str {
        if let Some((_, path)) = file.split_once("/registry/src/") {
            let folder = path.split('/').nth(1).unwrap_or(path);
            // `tracing-core-0.1.36`: the version begins at the first digit.
            let version = folder.find("-0.").or_else(|| folder.find("-1."));
            let version = version.or_else(|| folder.rfind('-')).unwrap_or(folder.len());
            return &folder[..version];
        }
        if file.contains("/library/") {
            return "std";
        }
        if file.contains("bench/src/") || file.contains("/out/") {
            return "bench and generated stubs";
        }
        if file.contains("malloc") { "allocator" } else { "libc and others" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
positions: line
events: Ir
fl=(1) /home/titan/mesh/src/channel.rs
fn=(1) call
10 5
fi=(2) /home/.cargo/registry/src/index/h2-0.4.20/src/lib.rs
+1 7
cfi=(3) /rustc/library/core/src/x.rs
cfn=(2) x
calls=3 4
* 900
fe=(1)
20 1
";

    #[test]
    fn instructions_count_for_the_file_they_were_written_in() {
        let profile = Profile::parse(TEXT);
        assert!((profile.of(&Source::Mesh("channel.rs".to_owned())) - 6.0).abs() < f64::EPSILON);
        assert!((profile.of(&Source::Of("h2".to_owned())) - 7.0).abs() < f64::EPSILON);
    }

    #[test]
    fn what_a_callee_costs_is_not_counted_twice() {
        assert!((Profile::parse(TEXT).total() - 13.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_shorter_run_cancels_what_starting_takes() {
        let (short, long) = (Profile::parse(TEXT), Profile::parse(&TEXT.replace("+1 7", "+1 27")));
        assert!((long.since(&short, 10.0).total() - 2.0).abs() < f64::EPSILON);
    }
}
