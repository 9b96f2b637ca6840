//! The text form of metrics (Prometheus exposition format 0.0.4).
//!
//! Written here: the crates that write it know no type `untyped`, which a number needs whose name is given and ends
//! like that of a counter, and keep counters of their own where ours are in the store and in places of their own.

use std::fmt::{self, Display, Write};

use crate::telemetry::counters::Snapshot;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It only grows, from zero at the start of the process.
    Counter,
    Gauge,
    /// The same, with a name that promises something else.
    Untyped,
    Histogram,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Untyped => "untyped",
            Self::Histogram => "histogram",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// What it says, in a sentence without line breaks.
    pub(crate) help: &'static str,
}

/// Names with values, which tell one sample from another.
pub(crate) type Labels<'a> = &'a [(&'a str, &'a str)];

#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
    last: Option<&'static str>,
}

impl Page {
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// One sample. Those of one family follow each other.
    pub(crate) fn sample(&mut self, family: &Family, labels: Labels<'_>, value: impl Display) {
        self.head(family);
        self.line(family.name, "", labels, None, value);
    }

    pub(crate) fn histogram(&mut self, family: &Family, labels: Labels<'_>, seen: &Snapshot) {
        self.head(family);
        let per_second = f64::from(seen.buckets.per_second);
        let bounds = seen.buckets.bounds.iter();
        let bounds = bounds.map(|bound| (to_f64(*bound) / per_second).to_string());
        let bounds = bounds.chain(["+Inf".to_owned()]);
        let mut count = 0;
        for (bound, in_range) in bounds.zip(&seen.ranges) {
            count += in_range;
            self.line(family.name, "_bucket", labels, Some(&bound), count);
        }
        let sum = to_f64(seen.sum) / per_second;
        self.line(family.name, "_sum", labels, None, sum);
        self.line(family.name, "_count", labels, None, count);
    }

    fn head(&mut self, family: &Family) {
        let Family { name, kind, help } = family;
        if self.last != Some(*name) {
            let kind = kind.as_str();
            self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
            self.last = Some(*name);
        }
    }

    fn line(
        &mut self,
        name: &str,
        suffix: &str,
        labels: Labels<'_>,
        bound: Option<&str>,
        value: impl Display,
    ) {
        self.write(format_args!("{name}{suffix}"));
        let bound = bound.map(|bound| ("le", bound));
        let mut opens = '{';
        for (label, text) in labels.iter().copied().chain(bound) {
            let text = Escaped(text);
            self.write(format_args!("{opens}{label}=\"{text}\""));
            opens = ',';
        }
        let closes = if opens == ',' { "}" } else { "" };
        self.write(format_args!("{closes} {value}\n"));
    }

    /// Writing to a text cannot fail.
    fn write(&mut self, text: fmt::Arguments<'_>) {
        let _infallible = self.text.write_fmt(text);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "every number of this format is a float of 64 bits"
)]
pub(super) fn to_f64(number: u64) -> f64 {
    number as f64
}

/// The value of a label, between quotes.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::counters::{Buckets, Histogram};

    #[test]
    fn a_family_is_told_of_once_and_values_of_labels_are_escaped() {
        let family = Family {
            name: "things",
            kind: Kind::Gauge,
            help: "Things there are.",
        };
        let mut page = Page::default();
        page.sample(&family, &[], 1);
        page.sample(&family, &[("of", "a\"b\\c\nd"), ("in", "e")], 2.5);
        let text = "# HELP things Things there are.\n# TYPE things gauge\nthings 1\n\
                    things{of=\"a\\\"b\\\\c\\nd\",in=\"e\"} 2.5\n";
        assert_eq!(page.into_text(), text);
    }

    #[test]
    fn ranges_of_a_histogram_add_up_and_are_told_in_seconds() {
        static BUCKETS: Buckets = Buckets {
            bounds: &[250, 1_500],
            per_second: 1_000,
        };
        let family = Family {
            name: "took_seconds",
            kind: Kind::Histogram,
            help: "How long it took.",
        };
        let histogram = Histogram::new(&BUCKETS);
        for value in [100, 200, 500, 2_000] {
            histogram.take(value);
        }
        let mut page = Page::default();
        page.histogram(&family, &[("of", "a")], &histogram.seen());
        let text = "# HELP took_seconds How long it took.\n# TYPE took_seconds histogram\n\
                    took_seconds_bucket{of=\"a\",le=\"0.25\"} 2\n\
                    took_seconds_bucket{of=\"a\",le=\"1.5\"} 3\n\
                    took_seconds_bucket{of=\"a\",le=\"+Inf\"} 4\n\
                    took_seconds_sum{of=\"a\"} 2.8\n\
                    took_seconds_count{of=\"a\"} 4\n";
        assert_eq!(page.into_text(), text);
    }
}
