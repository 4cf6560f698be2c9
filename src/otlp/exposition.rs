//! Reads the Prometheus text of the own recorder.
//!
//! One recorder feeds both ways out, so `/metrics` and a collector cannot disagree, and nothing is recorded twice.

use std::collections::BTreeMap;

/// How values of a family are to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Label names and values in the order of the text.
pub(super) type Labels = Vec<(String, String)>;

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Series {
    /// Of a counter or gauge.
    Number(Labels, f64),
    /// Of a histogram: upper bounds with cumulative counts (without infinity), sum, count.
    Histogram {
        labels: Labels,
        buckets: Vec<(f64, u64)>,
        sum: f64,
        count: u64,
    },
}

/// A metric with its series.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) help: String,
    pub(super) kind: Kind,
    pub(super) series: Vec<Series>,
}

/// All families. Lines that cannot be read are left out.
pub(super) fn parse(text: &str) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    let mut help: BTreeMap<&str, &str> = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help.extend(rest.split_once(' '));
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            families.push(Family {
                name: name.to_owned(),
                help: help.get(name).copied().unwrap_or_default().to_owned(),
                kind: match kind {
                    "counter" => Kind::Counter,
                    "histogram" => Kind::Histogram,
                    _ => Kind::Gauge,
                },
                series: Vec::new(),
            });
        } else if let (Some(family), Some(sample)) = (families.last_mut(), Sample::parse(line)) {
            family.take(sample);
        }
    }
    families
}

impl Family {
    fn take(&mut self, sample: Sample<'_>) {
        let Some(part) = sample.name.strip_prefix(self.name.as_str()) else {
            return;
        };
        if self.kind == Kind::Histogram {
            self.take_part(part, sample);
        } else if part.is_empty() {
            self.series.push(Series::Number(sample.labels, sample.value));
        }
    }

    fn take_part(&mut self, part: &str, mut sample: Sample<'_>) {
        let bound = sample.labels.iter().position(|(name, _)| name == "le");
        let bound = bound.map(|at| sample.labels.remove(at).1);
        let value = sample.value;
        let is_same = |series: &Series| matches!(series, Series::Histogram { labels, .. } if *labels == sample.labels);
        if !self.series.last().is_some_and(is_same) {
            self.series.push(Series::Histogram {
                labels: sample.labels,
                buckets: Vec::new(),
                sum: 0.0,
                count: 0,
            });
        }
        if let Some(Series::Histogram {
            buckets, sum, count, ..
        }) = self.series.last_mut()
        {
            match part {
                "_bucket" => {
                    let bound = bound.and_then(|bound| bound.parse::<f64>().ok());
                    buckets.extend(
                        bound
                            .filter(|bound| bound.is_finite())
                            .map(|bound| (bound, whole(value))),
                    );
                }
                "_sum" => *sum = value,
                "_count" => *count = whole(value),
                _ => {}
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are whole and not negative"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

struct Sample<'a> {
    name: &'a str,
    labels: Labels,
    value: f64,
}

impl<'a> Sample<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (name, labels, value) = match line.find('{') {
            Some(open) => {
                let (name, rest) = line.split_at_checked(open)?;
                let (labels, value) = labels(rest.strip_prefix('{')?)?;
                (name, labels, value)
            }
            None => {
                let (name, value) = line.split_once(' ')?;
                (name, Labels::new(), value)
            }
        };
        let value = value.trim().parse().ok()?;
        (!name.is_empty()).then_some(Self { name, labels, value })
    }
}

/// Reads `a="b",c="d"}` and gives back what follows.
fn labels(mut text: &str) -> Option<(Labels, &str)> {
    let mut labels = Labels::new();
    loop {
        text = text.trim_start_matches(',');
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = text.split_once("=\"")?;
        let (value, rest) = quoted(rest)?;
        labels.push((name.to_owned(), value));
        text = rest;
    }
}

/// Reads up to the closing quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => match characters.next()? {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_text_of_the_recorder_is_read_back() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new()
            .set_buckets(&[0.5, 1.0])
            .unwrap()
            .build_recorder();
        metrics::with_local_recorder(&recorder, || {
            metrics::describe_counter!("seen_total", "What was seen.");
            metrics::counter!("seen_total", "label" => "a\"b\\c\nd,}").increment(3);
            metrics::gauge!("level").set(-1.5);
            for value in [0.25, 0.75, 9.0] {
                metrics::histogram!("took_seconds", "route" => "/x").record(value);
            }
        });
        let families = parse(&recorder.handle().render());
        let family = |name: &str| families.iter().find(|family| family.name == name).unwrap().clone();
        let seen = family("seen_total");
        assert_eq!((seen.kind, seen.help.as_str()), (Kind::Counter, "What was seen."));
        let label = ("label".to_owned(), "a\"b\\c\nd,}".to_owned());
        assert_eq!(seen.series, [Series::Number(vec![label], 3.0)]);
        assert_eq!(family("level").series, [Series::Number(Vec::new(), -1.5)]);
        let took = Series::Histogram {
            labels: vec![("route".to_owned(), "/x".to_owned())],
            buckets: vec![(0.5, 1), (1.0, 2)],
            sum: 10.0,
            count: 3,
        };
        assert_eq!(family("took_seconds").series, [took]);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "(# TYPE [a-c]{1,2} (counter|histogram)\n|[a-c_{}\"=\\\\, 0-9\n]{0,40})*") {
            parse(&text);
        }
    }
}
