//! What happens to the applications that a process calls: breakers, ejections,
//! panic and full bulkheads, by application name. Ejections have the names of
//! gRFC A91, the rest follows them.
//!
//! The handles stand in the channel, and nothing here is touched by a call that
//! goes well.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};

use super::{client::Calls, page::Page};

/// More applications than this share one entry: names come from settings and
/// code, but nothing keeps a program from making them up.
const MAX_DESTINATIONS: usize = 256;
/// The entry of what has no application name of its own.
const OTHER: &str = "other";

/// Why an instance was taken out of rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detection {
    ConsecutiveFailures,
    SuccessRate,
    Outlier,
    Probe,
}

/// Label values, by [`Detection`].
const DETECTIONS: [&str; 4] =
    ["consecutive_failures", "success_rate", "outlier_success_rate", "half_open_probe"];

/// The counters of one application.
#[derive(Debug, Default)]
pub(crate) struct Destination {
    pub(crate) opened: AtomicU64,
    pub(crate) half_opened: AtomicU64,
    pub(crate) closed: AtomicU64,
    enforced: [AtomicU64; DETECTIONS.len()],
    unenforced: [AtomicU64; DETECTIONS.len()],
    panics: AtomicU64,
    panicking: AtomicI64,
    pub(crate) bulkhead_full: AtomicU64,
    /// Earlier answers that were given in place of one that could not be had.
    pub(crate) last_good: AtomicU64,
    /// Calls that no contract knows.
    pub(crate) other: Arc<Calls>,
}

impl Destination {
    /// An instance failed too much: it was taken out of rotation, or was not
    /// because too few would have been left.
    pub(crate) fn ejected(&self, by: Detection, enforced: bool) {
        let counters = if enforced { &self.enforced } else { &self.unenforced };
        counters[by as usize].fetch_add(1, Relaxed);
    }

    /// A pick set begins or ends to ignore breakers.
    pub(crate) fn panic(&self, begins: bool) {
        if begins {
            self.panics.fetch_add(1, Relaxed);
        }
        self.panicking.fetch_add(if begins { 1 } else { -1 }, Relaxed);
    }
}

/// The applications that a process calls. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Destinations(Arc<Mutex<BTreeMap<String, Arc<Destination>>>>);

impl Destinations {
    /// The counters of an application; addresses share one entry.
    pub(crate) fn of(&self, app: &str) -> Arc<Destination> {
        let mut all = self.0.lock().expect("nothing panics while it is held");
        let known = all.contains_key(app);
        let named = !app.contains(':') && (known || all.len() < MAX_DESTINATIONS);
        let name = if named { app } else { OTHER };
        all.entry(name.to_owned()).or_default().clone()
    }

    /// Each with its name.
    pub(super) fn all(&self) -> BTreeMap<String, Arc<Destination>> {
        self.0.lock().expect("nothing panics while it is held").clone()
    }

    /// Adds what happened to the page.
    pub(crate) fn write(&self, page: &mut Page) {
        let all = self.all();
        breakers(page, &all);
        ejections(page, &all);
        let name = "mesh_panic";
        page.head(name, "gauge", "Whether open breakers are ignored.");
        of_each(page, name, &all, |of| of.panicking.load(Relaxed).unsigned_abs());
        let name = "mesh_panics_total";
        page.head(name, "counter", "Times that panic began.");
        of_each(page, name, &all, |of| of.panics.load(Relaxed));
        let name = "mesh_bulkhead_full_total";
        page.head(name, "counter", "Calls refused by a full bulkhead.");
        of_each(page, name, &all, |of| of.bulkhead_full.load(Relaxed));
        let name = "mesh_fallback_last_good_total";
        page.head(name, "counter", "Failed calls that were answered by an earlier answer.");
        of_each(page, name, &all, |of| of.last_good.load(Relaxed));
    }
}

type All = BTreeMap<String, Arc<Destination>>;

fn breakers(page: &mut Page, all: &All) {
    let name = "mesh_breaker_transitions_total";
    page.head(name, "counter", "Changes of instances' breakers, by the state they came to.");
    for (app, of) in all {
        for (state, count) in
            [("open", &of.opened), ("half_open", &of.half_opened), ("closed", &of.closed)]
        {
            let labels = format!("grpc_target=\"{app}\",state=\"{state}\"");
            page.line(format_args!("{name}{{{labels}}} {}", count.load(Relaxed)));
        }
    }
}

fn of_each(page: &mut Page, name: &str, all: &All, value: impl Fn(&Destination) -> u64) {
    for (app, of) in all {
        page.line(format_args!("{name}{{grpc_target=\"{app}\"}} {}", value(of)));
    }
}

fn ejections(page: &mut Page, all: &All) {
    let name = "grpc_lb_outlier_detection_ejections_enforced_total";
    page.head(name, "counter", "Instances taken out of rotation.");
    by_detection(page, name, "", all, |of| &of.enforced);
    let name = "grpc_lb_outlier_detection_ejections_unenforced_total";
    page.head(name, "counter", "Instances kept since too few would have been left.");
    let reason = ",grpc_lb_outlier_detection_unenforced_reason=\"max_ejection_overflow\"";
    by_detection(page, name, reason, all, |of| &of.unenforced);
}

fn by_detection(
    page: &mut Page,
    name: &str,
    further: &str,
    all: &All,
    counters: impl Fn(&Destination) -> &[AtomicU64],
) {
    for (app, of) in all {
        for (method, count) in DETECTIONS.iter().zip(counters(of)) {
            let detection = format!("grpc_lb_outlier_detection_detection_method=\"{method}\"");
            let labels = format!("grpc_target=\"{app}\",{detection}{further}");
            page.line(format_args!("{name}{{{labels}}} {}", count.load(Relaxed)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::page::Format;

    fn page(all: &Destinations) -> String {
        let mut page = Page::new(Format::Prometheus);
        all.write(&mut page);
        page.finish()
    }

    #[test]
    fn what_happened_to_an_application_is_on_the_page() {
        let all = Destinations::default();
        let shop = all.of("shop");
        shop.opened.fetch_add(2, Relaxed);
        shop.ejected(Detection::ConsecutiveFailures, true);
        shop.ejected(Detection::SuccessRate, false);
        shop.panic(true);
        let page = page(&all);
        for expected in [
            "mesh_breaker_transitions_total{grpc_target=\"shop\",state=\"open\"} 2\n",
            "mesh_panic{grpc_target=\"shop\"} 1\n",
            "mesh_panics_total{grpc_target=\"shop\"} 1\n",
            "detection_method=\"consecutive_failures\"} 1\n",
            "detection_method=\"success_rate\",\
             grpc_lb_outlier_detection_unenforced_reason=\"max_ejection_overflow\"} 1\n",
        ] {
            assert!(page.contains(expected), "{expected} is missing in\n{page}");
        }
        shop.panic(false);
        assert!(self::page(&all).contains("mesh_panic{grpc_target=\"shop\"} 0\n"));
    }

    #[test]
    fn addresses_and_too_many_names_share_one_entry() {
        let all = Destinations::default();
        all.of("127.0.0.1:1").bulkhead_full.fetch_add(1, Relaxed);
        for number in 0..2 * MAX_DESTINATIONS {
            all.of(&format!("app{number}")).bulkhead_full.fetch_add(1, Relaxed);
        }
        let page = page(&all);
        let lines = page.lines().filter(|line| line.starts_with("mesh_bulkhead_full_total"));
        assert_eq!(lines.count(), MAX_DESTINATIONS);
        assert!(!page.contains("127.0.0.1"));
    }
}
